// The front as a chart: two metrics of choice, all networks, what can be reached at best.

const MARKS = {
  front: (x, y, size = 1) => shape("circle", { class: "mark front", cx: x, cy: y, r: 5.5 * size }),
  elsewhere: (x, y, size = 1) => shape("circle", { class: "mark elsewhere", cx: x, cy: y, r: 4.2 * size }),
  trained: (x, y) => shape("rect", { class: "mark trained", x: x - 5.5, y: y - 5.5, width: 11, height: 11, rx: 2 }),
  published: (x, y) => shape("path", { class: "mark published", d: `M${x} ${y - 7}l7 7l-7 7l-7 -7z` }),
  best: (x, y) => shape("path", { class: "mark best", d: star(x, y, 11, 4.6) }),
};

function star(x, y, outer, inner) {
  const corners = Array.from({ length: 10 }, (_, at) => {
    const radius = at % 2 ? inner : outer;
    const angle = (Math.PI * at) / 5 - Math.PI / 2;
    return `${(x + radius * Math.cos(angle)).toFixed(1)} ${(y + radius * Math.sin(angle)).toFixed(1)}`;
  });
  return `M${corners.join("L")}z`;
}

// Of networks that keep the limits, those that no other beats in both metrics, from left to right.
function staircase(across, up) {
  const sign = (metric) => (metric.maximised ? -1 : 1);
  const isKnown = (network) => network.value(across) !== null && network.value(up) !== null;
  const all = networks.filter((network) => network.isFeasible && isKnown(network));
  const cost = (network, metric) => sign(metric) * network.value(metric);
  all.sort((a, b) => cost(a, across) - cost(b, across) || cost(a, up) - cost(b, up));
  let least = Infinity;
  return all.filter((network) => {
    const isLess = cost(network, up) < least;
    if (isLess) least = cost(network, up);
    return isLess;
  });
}

// What the mark of a network says; null for one of the many dots. With three objectives and more, a network can be on
// the front although others beat it in the two metrics that are shown.
function kindOf(network, isOnLine) {
  if (network.isBest) return "best";
  if (network.isTrained) return "trained";
  if (network.isPublished) return "published";
  return network.rank === null ? null : isOnLine ? "front" : "elsewhere";
}

const short = (name) => (name.length > 32 ? `${name.slice(0, 31)}…` : name);

class FrontChart {
  constructor(holder) {
    this.holder = holder;
    this.svg = shape("svg", { tabindex: 0, role: "application" });
    const names = ["frame", "limits", "all", "marks", "rings", "labels"];
    this.layers = Object.fromEntries(names.map((name) => [name, shape("g", { class: name })]));
    this.svg.append(...Object.values(this.layers));
    this.svg.addEventListener("pointermove", (event) => event.pointerType !== "touch" && this.hover(this.near(event)));
    this.svg.addEventListener("pointerleave", () => this.hover(null));
    this.svg.addEventListener("blur", () => this.hover(null));
    this.svg.addEventListener("click", (event) => {
      const network = this.near(event);
      if (network) choose(network);
    });
    this.svg.addEventListener("keydown", (event) => this.key(event));
    this.list = element("ul", { class: "legend" });
    holder.append(this.svg, this.list);
  }

  hover(network) {
    if (network !== view.hovered) look({ hovered: network });
  }

  draw() {
    const { across, up } = view;
    const wide = Math.max(280, this.svg.getBoundingClientRect().width);
    const tall = Math.max(320, Math.min(500, wide * 0.62));
    this.svg.setAttribute("viewBox", `0 0 ${wide} ${tall}`);
    this.svg.setAttribute("height", tall);
    const what = `${up.shown} over ${across.shown} of ${networks.length} networks.`;
    this.svg.setAttribute("aria-label", `${what} Arrow keys go along the front, Enter chooses.`);
    const box = { left: 52, right: wide - 14, top: 34, bottom: tall - 50 };
    const shown = everyone.filter((network) => !network.isAside && network.value(across) !== null);
    const near = shown.filter((network) => network.rank !== null || network.isPublished || network.was || network.isBest);
    const inView = view.closeUp && near.length ? near : shown;
    const ends = (metric) => {
      const values = inView.map((network) => network.value(metric)).filter((value) => value !== null);
      return reach(values.length ? values.map((value) => value / metric.factor) : [0, 1], metric === up ? 0.08 : 0.05);
    };
    this.size = wide < 520 ? 0.75 : 1;
    this.across = new Axis(ends(across), [box.left, box.right], wide / 90);
    this.up = new Axis(ends(up), [box.bottom, box.top], tall / 70);
    this.box = box;
    this.line = staircase(across, up);
    const onLine = new Set(this.line);
    const spots = shown.map((network) => this.spot(network, onLine.has(network)));
    this.spots = spots.filter((spot) => spot.isInside);
    this.steps = this.spots.filter((spot) => spot.isMarked).sort((a, b) => a.x - b.x || b.y - a.y);
    this.layers.frame.replaceChildren(frame(box, this.across, this.up, axisTitle(across), axisTitle(up)));
    this.drawLimits();
    this.drawAll();
    this.drawMarks();
    this.drawRings();
    this.drawLegend();
  }

  // What has no value for the upright axis stands on the floor.
  spot(network, isOnLine = false) {
    const value = network.value(view.up);
    const x = this.across.at(network.value(view.across) / view.across.factor);
    const y = value === null ? this.box.bottom : this.up.at(value / view.up.factor);
    const { left, right, top, bottom } = this.box;
    const isInside = x >= left - 1 && x <= right + 1 && y >= top - 1 && y <= bottom + 1;
    const kind = kindOf(network, isOnLine);
    return { network, x, y, isInside, kind, isMarked: kind !== null, onFloor: value === null };
  }

  // A line where a limit lies, and a shade over what breaks it.
  drawLimits() {
    const parts = [];
    const { left, right, top, bottom } = this.box;
    this.limitLabels = [];
    for (const limit of found.constraints) {
      const { words } = limit;
      if (limit.metric === view.across.name && this.across.holds(limit.limit / view.across.factor)) {
        const x = this.across.at(limit.limit / view.across.factor);
        const [from, to] = limit.atMost ? [x, right] : [left, x];
        parts.push(shape("rect", { class: "beyond", x: from, y: top, width: to - from, height: bottom - top }));
        parts.push(shape("line", { class: "limit", x1: x, x2: x, y1: top, y2: bottom }));
        const heights = [bottom - 12, (top + bottom) / 2, top + 12];
        const line = { left: x, right: x, top, bottom };
        this.limitLabels.push({ words, line, anchors: heights.map((y) => [x, y]) });
      }
      if (limit.metric === view.up.name && this.up.holds(limit.limit / view.up.factor)) {
        const y = this.up.at(limit.limit / view.up.factor);
        const [from, to] = limit.atMost ? [top, y] : [y, bottom];
        parts.push(shape("rect", { class: "beyond", x: left, y: from, width: right - left, height: to - from }));
        parts.push(shape("line", { class: "limit", x1: left, x2: right, y1: y, y2: y }));
        const line = { left, right, top: y, bottom: y };
        this.limitLabels.push({ words, line, anchors: [right - 8, (left + right) / 2, left + 8].map((x) => [x, y]) });
      }
    }
    this.layers.limits.replaceChildren(...parts);
  }

  // Thousands of marks are two paths: dots are strokes without length.
  drawAll() {
    const kept = [];
    const over = [];
    for (const { network, x, y, isMarked } of this.spots) {
      if (isMarked) continue;
      const at = `${x.toFixed(1)} ${y.toFixed(1)}`;
      if (network.isFeasible) kept.push(`M${at}h0`);
      else over.push(`M${at}m-3 -3l6 6m0 -6l-6 6`);
    }
    const line = this.line.map((network) => this.spot(network));
    const round = (spot) => [spot.x.toFixed(1), spot.y.toFixed(1)];
    const corners = line.map(round).map(([x, y], at) => (at ? `H${x}V${y}` : `M${x} ${y}`));
    const { left, right, top, bottom } = this.box;
    const room = { x: left, y: top - 8, width: right - left, height: bottom - top + 8 };
    const clip = shape("clipPath", { id: "chart-clip" }, shape("rect", room));
    this.layers.all.replaceChildren(
      clip,
      styled(shape("path", { class: "dots", d: kept.join("") }), { "stroke-width": 5 * this.size }),
      shape("path", { class: "crosses", d: over.join("") }),
      shape("path", { class: "staircase", d: corners.join(""), "clip-path": "url(#chart-clip)" }),
      shape("path", { class: "became", d: this.became().join("") }),
    );
  }

  // From each network as the search saw it to the same one trained.
  became() {
    const ends = this.spots.filter((spot) => spot.network.was).map((spot) => [this.spot(spot.network.was), spot]);
    return ends.filter(([was]) => was.isInside).map(([was, is]) => `M${was.x} ${was.y}L${is.x} ${is.y}`);
  }

  drawMarks() {
    const order = { elsewhere: 0, front: 1, published: 2, trained: 3, best: 4 };
    const marked = this.spots.filter((spot) => spot.isMarked).sort((a, b) => order[a.kind] - order[b.kind]);
    this.layers.marks.replaceChildren(...marked.map((spot) => MARKS[spot.kind](spot.x, spot.y, this.size)));
    this.layers.labels.replaceChildren();
    const labels = new Labels(this.layers.labels, this.box);
    const half = { front: 5, published: 16, trained: 16, best: 16 }; // a ring may be around them
    for (const { x, y, kind } of marked) if (kind in half) labels.keepFree(x, y, half[kind]);
    labels.lines = this.limitLabels.map(({ line }) => line);
    for (const spot of marked.filter((one) => one.kind === "best")) labels.put(spot.x, spot.y, "best", "for-best");
    for (const spot of marked.filter((one) => one.kind === "trained")) {
      labels.put(spot.x, spot.y, short(spot.network.name), "for-trained");
    }
    const named = marked.filter((one) => one.kind === "published").sort((a, b) => b.onFloor - a.onFloor);
    for (const spot of named) {
      const name = short(spot.network.name);
      labels.put(spot.x, spot.y, spot.onFloor && this.size === 1 ? `${name}, not evaluated` : name, "for-published");
    }
    for (const { anchors, words } of this.limitLabels) anchors.some(([x, y]) => labels.put(x, y, words, "for-limit"));
  }

  drawRings() {
    const parts = [];
    for (const [network, kind] of [[view.second, "second"], [view.first, "first"], [view.hovered, "hovered"]]) {
      const spot = network && this.spots.find((one) => one.network === network);
      if (!spot) continue;
      if (kind === "hovered") {
        const lines = `M${this.box.left} ${spot.y}H${spot.x}V${this.box.bottom}`;
        parts.push(shape("path", { class: "cross-hair", d: lines }));
      }
      if (!spot.isMarked) parts.push(shape("circle", { class: "core", cx: spot.x, cy: spot.y, r: 3 }));
      const radius = kind === "second" ? 15 : 12;
      parts.push(shape("circle", { class: `ring ${kind}`, cx: spot.x, cy: spot.y, r: radius }));
    }
    this.layers.rings.replaceChildren(...parts);
  }

  near(event) {
    const bounds = this.svg.getBoundingClientRect();
    const [x, y] = [event.clientX - bounds.left, event.clientY - bounds.top];
    let nearest = null;
    let least = 26;
    for (const spot of this.spots) {
      const far = Math.hypot(spot.x - x, spot.y - y) - (spot.isMarked ? 5 : 0);
      if (far < least) [nearest, least] = [spot.network, far];
    }
    return nearest;
  }

  key(event) {
    const at = this.steps.findIndex((spot) => spot.network === (view.hovered ?? view.first));
    const last = this.steps.length - 1;
    const moves = { ArrowRight: at + 1, ArrowUp: at + 1, ArrowLeft: at - 1, ArrowDown: at - 1, Home: 0, End: last };
    const next = moves[event.key];
    if (next !== undefined && last >= 0) {
      this.hover(this.steps[Math.min(last, Math.max(0, next))].network);
      event.preventDefault();
    } else if ((event.key === "Enter" || event.key === " ") && view.hovered) {
      choose(view.hovered);
      event.preventDefault();
    }
  }

  drawLegend() {
    const sample = (mark) => shape("svg", { width: 24, height: 20, "aria-hidden": "true" }, mark);
    const hasOthers = networks.some((one) => one.isFeasible && one.rank === null);
    const items = [
      [front.length, MARKS.front(12, 10), "on the front, unbeaten in these two"],
      [this.spots.some((spot) => spot.kind === "elsewhere"), MARKS.elsewhere(12, 10), "on the front for other metrics"],
      [best, MARKS.best(12, 10), "the best"],
      [trained.length, MARKS.trained(12, 10), "trained on its own"],
      [published.some((one) => !one.isAside), MARKS.published(12, 10), "published"],
      [hasOthers, shape("path", { class: "dots", d: "M12 10h0" }), "evaluated"],
      [infeasible.size, shape("path", { class: "crosses", d: "M9 7l6 6m0 -6l-6 6" }), "evaluated, over a limit"],
    ];
    const shown = items.filter(([isThere]) => isThere);
    this.list.replaceChildren(...shown.map(([, mark, words]) => element("li", {}, sample(mark), words)));
  }
}

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

const frontControls = () => [axisChooser("Up", "up"), axisChooser("across", "across"), closeUpChooser()];
