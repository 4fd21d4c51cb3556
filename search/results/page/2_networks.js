// What was found, as networks that all parts of the page show; and what is looked at just now.

const found = JSON.parse(place("findings").textContent);

const metrics = found.metrics.map((metric) => {
  const others = [...found.published, ...found.trained].filter((one) => !one.aside);
  const known = others.map((one) => one.values[metric.name] ?? null);
  return { ...metric, decimals: decimalsOf(metric, [...found.columns[metric.name], ...known]) };
});
const metricOf = new Map(metrics.map((metric) => [metric.name, metric]));
const infeasible = new Set(found.infeasible);
const rankOf = new Map(found.front.map((index, at) => [index, at]));

function evaluated(index) {
  const rank = rankOf.get(index);
  return {
    name: `network ${index}`,
    index,
    rank: rank === undefined ? null : rank + 1,
    file: rank === undefined ? null : `${found.folder}front/${found.files[rank]}`,
    isBest: index === found.best,
    isFeasible: !infeasible.has(index),
    isPublished: false,
    isTrained: false,
    value: (metric) => found.columns[metric.name][index],
    interval: (metric) => found.intervals[metric.name]?.[index] ?? null,
    drawing: found.networks[index] ?? null,
  };
}

// Of those the search did not evaluate itself: published ones, and those that were trained on their own. What lies
// `aside` is compared, but costs too much or too little to stand in the same chart.
function other(one, kind) {
  return {
    name: one.name,
    index: null,
    rank: null,
    file: one.file ?? null,
    isBest: false,
    isFeasible: true,
    isPublished: kind === "published",
    isTrained: kind === "trained",
    isAside: one.aside ?? false,
    was: networks[one.was] ?? null,
    value: (metric) => one.values[metric.name] ?? null,
    interval: (metric) => one.intervals?.[metric.name] ?? null,
    drawing: one.network,
  };
}

const count = found.columns[metrics[0].name].length;
const networks = Array.from({ length: count }, (_, index) => evaluated(index));
const published = found.published.map((one) => other(one, "published"));
const trained = found.trained.map((one) => other(one, "trained"));
const front = found.front.map((index) => networks[index]);
const best = found.best === null ? null : networks[found.best];
const everyone = [...networks, ...published, ...trained];

function broken(network) {
  if (network.isAside) return [];
  return found.constraints.filter((limit) => {
    const value = network.value(metricOf.get(limit.metric));
    return value !== null && (limit.atMost ? value > limit.limit : value < limit.limit);
  });
}

function badges(network) {
  const words = [];
  if (network.isBest) words.push(["best", "best"]);
  if (network.rank !== null) words.push([`${network.rank} of ${front.length} on the front`, "front"]);
  if (network.isTrained) words.push(["trained", "trained"]);
  if (network.isPublished) words.push(["published", "published"]);
  for (const limit of broken(network)) words.push([`breaks ${limit.words}`, "broken"]);
  const spans = words.map(([text, kind]) => element("span", { class: `badge ${kind}` }, text));
  return element("p", { class: "badges" }, spans);
}

// What is looked at: `first` is laid beside `second`; `hovered` is only pointed at.
// At first that is the best, beside the published one that costs most nearly the same.
const [across, up] = found.axes.map((name) => metricOf.get(name));
const begin = best ?? front[0] ?? networks[0] ?? trained[0] ?? null;

function besideOf(network) {
  const gap = (other) => Math.abs(other.value(across) - network.value(across));
  const others = (published.length ? published : front).filter((other) => other !== network && other.drawing);
  return others.sort((a, b) => gap(a) - gap(b))[0] ?? null;
}

const view = { across, up, closeUp: false, hovered: null, first: begin, second: begin && besideOf(begin) };
const watchers = [];

function look(changes) {
  Object.assign(view, changes);
  for (const watcher of watchers) watcher(changes);
}

// The clicked network comes first; the second stays, unless it is the clicked one: then they change places.
function choose(network) {
  if (network === view.second) look({ first: network, second: view.first });
  else if (network !== view.first) look({ first: network, second: view.second ?? view.first });
}
