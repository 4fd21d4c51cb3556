// How the search went: small charts over the number of evaluations, pointed at together.

const steps = found.history.map(([evaluations, seconds, hypervolume, accuracy, tau]) => {
  return { evaluations, seconds, hypervolume, accuracy, tau };
});

function clock(seconds) {
  if (seconds < 60) return `${fixed(seconds, seconds < 10 ? 1 : 0)} s`;
  const isLong = seconds >= 3600;
  const whole = Math.round(isLong ? seconds / 60 : seconds);
  const [first, second] = [Math.floor(whole / 60), whole % 60];
  const [large, small] = isLong ? ["h", "min"] : ["min", "s"];
  return second ? `${first} ${large} ${second} ${small}` : `${first} ${large}`;
}

// A line for a field of the steps, dots for single networks, and a point for where the line ends.
class SmallChart {
  constructor(holder, { title, field, words, dots = [], floor = [], inSteps = false }) {
    Object.assign(this, { field, words, dots, floor, inSteps });
    this.points = steps.filter((step) => step[field] !== null);
    this.value = element("b");
    this.svg = shape("svg", { height: 190, role: "img", "aria-label": `${title} over evaluations` });
    this.cursor = shape("g");
    const caption = element("figcaption", {}, element("span", {}, title), this.value);
    holder.append(element("figure", { class: "card" }, caption, this.svg));
    this.point(null);
  }

  draw() {
    const wide = Math.max(200, this.svg.getBoundingClientRect().width);
    const box = { left: 46, right: wide - 10, top: 12, bottom: 150 };
    const line = this.points.map((step) => step[this.field]);
    const values = [...line, ...this.dots.map(([, value]) => value), ...this.floor];
    const last = Math.max(1, steps.at(-1).evaluations);
    this.box = box;
    this.across = new Axis([0, last], [box.left, box.right], wide / 80);
    this.up = new Axis(reach(values, 0.08), [box.bottom, box.top], 4);
    const spot = ([across, up]) => `${this.across.at(across).toFixed(1)} ${this.up.at(up).toFixed(1)}`;
    const corners = this.points.map((step) => spot([step.evaluations, step[this.field]]));
    const [x, y] = corners.at(-1).split(" ");
    const stairs = corners.map((corner, at) => (at ? `H${corner.replace(" ", "V")}` : `M${corner}`)).join("");
    this.svg.setAttribute("viewBox", `0 0 ${wide} 190`);
    this.svg.replaceChildren(
      frame(box, this.across, this.up, "evaluations", ""),
      shape("path", { class: "dots", d: this.dots.map((one) => `M${spot(one)}h0`).join("") }),
      shape("path", { class: "line", d: this.inSteps ? stairs : `M${corners.join("L")}` }),
      shape("circle", { class: "mark front", cx: x, cy: y, r: 3.5 }),
      this.cursor,
    );
  }

  // The step nearest to a number of evaluations; the last one where nothing is pointed at.
  point(evaluations) {
    this.cursor.replaceChildren();
    const gap = (step) => Math.abs(step.evaluations - evaluations);
    const nearest = (one, other) => (gap(other) < gap(one) ? other : one);
    const step = evaluations === null ? this.points.at(-1) : this.points.reduce(nearest);
    const value = this.words(step[this.field]);
    this.value.textContent = value;
    if (evaluations === null) return;
    this.value.textContent = `${value} after ${step.evaluations.toLocaleString("en-US")}, ${clock(step.seconds)}`;
    const [x, y] = [this.across.at(step.evaluations), this.up.at(step[this.field])];
    this.cursor.append(
      shape("path", { class: "cross-hair", d: `M${x} ${this.box.top}V${this.box.bottom}` }),
      shape("circle", { class: "ring hovered", cx: x, cy: y, r: 5 }),
    );
  }
}

function progressCharts(holder) {
  const accuracy = metrics[0];
  const volumes = { unit: "", factor: 1 };
  volumes.decimals = decimalsOf(volumes, steps.map((step) => step.hypervolume));
  const dots = networks.filter((network) => network.isFeasible && network.value(accuracy) !== null);
  const wanted = [
    { title: "Hypervolume", field: "hypervolume", words: (value) => number(volumes, value) },
    {
      title: "Best accuracy within the limits",
      field: "accuracy",
      words: (value) => withUnit(accuracy, value),
      inSteps: true,
      dots: dots.map((network) => [network.index + 1, network.value(accuracy)]),
    },
    { title: "Kendall’s tau of the predictor", field: "tau", words: (value) => fixed(value, 3), floor: [0] },
  ];
  const known = wanted.filter(({ field }) => steps.some((step) => step[field] !== null));
  const charts = known.map((options) => new SmallChart(holder, options));
  for (const { svg } of charts) {
    svg.addEventListener("pointermove", (event) => {
      const { box, across } = charts[0];
      const share = (event.clientX - svg.getBoundingClientRect().left - box.left) / (box.right - box.left);
      charts.forEach((one) => one.point(share * across.high));
    });
    svg.addEventListener("pointerleave", () => charts.forEach((one) => one.point(null)));
  }
  return charts;
}

function progressWords() {
  const last = steps.at(-1);
  if (!last) return "No batch has ended yet.";
  const rate = last.seconds > 0 ? last.evaluations / last.seconds : null;
  const speed = rate === null ? "" : rate >= 1 ? `, ${fixed(rate, 1)} a second` : `, ${fixed(rate * 60, 1)} a minute`;
  const evaluations = `${last.evaluations.toLocaleString("en-US")} evaluation${last.evaluations === 1 ? "" : "s"}`;
  return `${evaluations} in ${steps.length} batch${steps.length === 1 ? "" : "es"} and ${clock(last.seconds)} of evaluating${speed}.`;
}
