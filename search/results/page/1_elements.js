// Elements whose texts are text nodes, whatever a user called things; and numbers with their units.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

const element = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const shape = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
const note = (...words) => element("p", { class: "note" }, ...words);
const place = (id) => document.getElementById(id);

// Lengths that follow from data: the page's policy allows no style attributes, but this.
function styled(node, properties) {
  for (const [name, value] of Object.entries(properties)) node.style.setProperty(name, value);
  return node;
}

function once(make) {
  let made;
  return () => (made ??= make());
}

// As many decimals as give the largest value of a metric four digits; percentages have two.
function decimalsOf(metric, values) {
  if (metric.unit === "%") return 2;
  const known = values.filter((value) => value !== null);
  const largest = known.reduce((most, value) => Math.max(most, Math.abs(value) / metric.factor), 0);
  return largest > 0 ? Math.min(4, Math.max(0, 3 - Math.floor(Math.log10(largest)))) : 0;
}

function fixed(value, decimals) {
  const options = { minimumFractionDigits: decimals, maximumFractionDigits: decimals, useGrouping: "min2" };
  return value.toLocaleString("en-US", options).replace("-", "−");
}

const number = (metric, value) => (value === null ? "–" : fixed(value / metric.factor, metric.decimals));
const unitOf = (metric, value) => (value === null || !metric.unit ? "" : ` ${metric.unit}`);

function withUnit(metric, value) {
  const shown = metric.unit === "k" && value >= 1e6 ? inMillions(metric, value) : metric; // a published one beside tiny ones
  return `${number(shown, value)}${unitOf(shown, value)}`;
}

function inMillions(metric, value) {
  const millions = { ...metric, unit: "M", factor: 1e6 };
  return { ...millions, decimals: decimalsOf(millions, [value]) };
}

const axisTitle = (metric) => (metric.unit ? `${metric.shown}, ${metric.unit}` : metric.shown);

// With as many decimals as it takes for the ends to differ.
function range(metric, ends) {
  const words = (decimals) => ends.map((end) => (end === null ? "–" : fixed(end / metric.factor, decimals)));
  let decimals = metric.decimals;
  while (decimals < 9 && ends[0] !== ends[1] && words(decimals)[0] === words(decimals)[1]) decimals += 1;
  return words(decimals).join(" to ");
}

// A difference in the words of the metric: points of a percentage, else percent of the other.
function difference(metric, value, other) {
  if (value === null || other === null || value === undefined || other === undefined) return null;
  const sign = value > other ? "+" : value < other ? "−" : "±";
  const size = Math.abs(value - other);
  if (metric.unit === "%") return `${sign}${fixed(size, metric.decimals)} points`;
  return other === 0 ? null : `${sign}${fixed((100 * size) / Math.abs(other), 1)} %`;
}

const isBetter = (metric, value, other) => (metric.maximised ? value > other : value < other);

// Buttons that copy the text of another element.
function letCopy() {
  for (const button of document.querySelectorAll("[data-copies]")) {
    button.addEventListener("click", async () => {
      const source = place(button.dataset.copies);
      getSelection().selectAllChildren(source);
      const copying = navigator.clipboard?.writeText(source.textContent) ?? Promise.reject();
      button.textContent = await copying.then(() => "Copied", () => "Selected"); // not all browsers let a file copy
    });
  }
}
