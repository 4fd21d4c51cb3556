// The parts put in their places, and drawn again when something is chosen or the window changes.

const chart = new FrontChart(place("front-chart"));
const charts = progressCharts(place("progress"));

place("front-controls").append(...frontControls());
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

letCopy();

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
