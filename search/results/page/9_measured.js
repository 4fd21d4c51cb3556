// The best network as predicted and as measured, on one line: with the interval of the one, the spread of the other.

function measuredCard(comparison) {
  const metric = metricOf.get(comparison.metric);
  const { predicted, measured, interval, spread } = comparison;
  const [low, high] = reach([predicted, measured, ...(interval ?? []), ...(spread ?? [])], 0.15);
  const at = (value) => (100 * (value - low)) / (high - low);
  const mark = (kind, from, to = null) => {
    const width = to === null ? {} : { width: `${at(to) - at(from)}%` };
    return styled(element("i", { class: kind }), { left: `${at(from)}%`, ...width });
  };
  const marks = [
    interval ? mark("interval", ...interval) : null,
    spread ? mark("spread", ...spread) : null,
    mark("predicted", predicted),
    mark("point", measured),
  ];
  const isInside = interval && measured >= interval[0] && measured <= interval[1];
  const verdict = interval ? `, ${isInside ? "inside" : "outside"} the interval` : "";
  const words = (value, around) => `${withUnit(metric, value)}${around ? ` (${range(metric, around)})` : ""}`;
  const sentence = `Predicted ${words(predicted, interval)}, measured ${words(measured, spread)}`;
  return element(
    "div",
    { class: "card measured" },
    element("h3", {}, metric.shown),
    element("div", { class: "track", "aria-hidden": "true" }, marks),
    element("p", {}, `${sentence}: the prediction is off by ${difference(metric, predicted, measured)}${verdict}.`),
    comparison.how ? note(comparison.how) : null,
  );
}
