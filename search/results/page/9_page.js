// The parts put in their places, and drawn again when something is chosen or the window changes.

const chart = new FrontChart(place("front-chart"));
const charts = progressCharts(place("progress"));

function axisChooser(label, axis) {
  const pick = (event) => look({ [axis]: metrics[Number(event.target.value)] });
  const attributes = (metric, at) => ({ value: at, selected: metric === view[axis] });
  const options = metrics.map((metric, at) => element("option", attributes(metric, at), axisTitle(metric)));
  return element("label", {}, `${label} `, element("select", { onchange: pick, "data-axis": axis }, options));
}

function closeUpChooser() {
  const choice = (words, closeUp) => {
    const pick = { type: "radio", name: "shown", checked: view.closeUp === closeUp, onchange: () => look({ closeUp }) };
    return element("label", {}, element("input", pick), element("span", {}, words));
  };
  const group = { class: "segments", role: "group", "aria-label": "What the chart shows" };
  return element("div", group, choice("All networks", false), choice("The front", true));
}

place("front-controls").append(axisChooser("Up", "up"), axisChooser("across", "across"), closeUpChooser());
place("progress-words").textContent = progressWords();
place("measured").append(...found.comparisons.map(measuredCard));
place("measured-section").hidden = !found.comparisons.length;

watchers.push((changes) => {
  const isHoverOnly = Object.keys(changes).every((name) => name === "hovered");
  const isChoice = "first" in changes || "second" in changes;
  if (isHoverOnly || isChoice) chart.drawRings();
  else chart.draw();
  showCard(place("front-card"));
  if (isChoice) {
    showBeside(place("beside"));
    showTable(place("front-table"));
  }
});

for (const button of document.querySelectorAll("[data-copies]")) {
  button.addEventListener("click", async () => {
    const source = place(button.dataset.copies);
    getSelection().selectAllChildren(source);
    const copying = navigator.clipboard?.writeText(source.textContent) ?? Promise.reject();
    button.textContent = await copying.then(() => "Copied", () => "Selected"); // not all browsers let a file copy
  });
}

function drawAll() {
  chart.draw();
  charts.forEach((one) => one.draw());
}
new ResizeObserver(drawAll).observe(document.querySelector("header")); // as wide as all, and no taller for a chart

drawAll();
showCard(place("front-card"));
showBeside(place("beside"));
showTable(place("front-table"));
document.documentElement.dataset.drawn = "yes";
