// The parts put in their places, and drawn again when something is chosen or the window changes.

const chart = place("front-chart") ? new FrontChart(place("front-chart")) : null;
const curves = JSON.parse(place("curves").textContent).map((one, at) => new CurveChart(place(`curve-${at}`), one));

function showChosen() {
  if (place("beside")) showBeside(place("beside"));
}

watchers.push((changes) => {
  const isHoverOnly = Object.keys(changes).every((name) => name === "hovered");
  const isChoice = "first" in changes || "second" in changes;
  if (isHoverOnly || isChoice) chart?.drawRings();
  else chart?.draw();
  if (chart) showCard(place("front-card"));
  if (isChoice) showChosen();
});

function drawAll() {
  chart?.draw();
  curves.forEach((one) => one.draw());
}

letCopy();
if (chart) {
  place("front-controls").append(...frontControls());
  showCard(place("front-card"));
}
showChosen();
new ResizeObserver(drawAll).observe(document.querySelector("header"));
drawAll();
document.documentElement.dataset.drawn = "yes";
