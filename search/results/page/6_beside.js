// The network that is looked at, in a few lines beside the chart; and two networks beside each other.

function figures(network, other) {
  const rows = metrics.map((metric) => {
    const value = network.value(metric);
    const interval = network.interval(metric);
    const around = interval ? element("small", {}, range(metric, interval)) : null;
    const than = other ? element("td", { class: "than" }, difference(metric, value, other.value(metric)) ?? "") : null;
    const name = element("th", { scope: "row" }, metric.shown);
    return element("tr", {}, name, element("td", {}, withUnit(metric, value), around), than);
  });
  const title = other ? element("td", { class: "than" }, "than the best") : null;
  const head = other ? element("thead", {}, element("tr", {}, element("td"), element("td"), title)) : null;
  return element("table", { class: "figures" }, head, element("tbody", {}, rows));
}

function showCard(holder) {
  const network = view.hovered ?? view.first;
  if (!network) {
    holder.replaceChildren(note("Nothing was evaluated yet."));
    return;
  }
  const { drawing, file } = network;
  const lay = () => look({ first: view.second ?? network, second: network });
  const parts = [
    element("h3", {}, network.name),
    badges(network),
    figures(network, best && network !== best ? best : null),
    drawing ? drawSmall(drawing, 260) : note("Only networks of the front are drawn."),
    drawing ? kindLegend([drawing]) : null,
    drawing && network !== view.second
      ? element("button", { type: "button", class: "pill", onclick: lay }, "Lay others beside this one")
      : null,
    file ? note(element("a", { href: file }, file)) : null,
  ];
  holder.replaceChildren(...parts.filter(Boolean));
}

// All networks that can be drawn: those of the front, the published, and the chosen one if it is neither.
function chooser(current, label, pick) {
  const drawn = everyone.filter((network) => network.drawing);
  const option = (network) => {
    const accuracy = network.value(metrics[0]);
    const shown = accuracy === null ? "" : `, ${withUnit(metrics[0], accuracy)}`;
    const attributes = { value: drawn.indexOf(network), selected: network === current };
    return element("option", attributes, `${network.name}${shown}${network.isBest ? ", best" : ""}`);
  };
  const group = (name, belongs) => {
    const members = belongs.filter((network) => network.drawing);
    return members.length ? element("optgroup", { label: name }, members.map(option)) : null;
  };
  const isOther = current && current.index !== null && current.rank === null;
  return element(
    "select",
    { "aria-label": label, onchange: (event) => pick(drawn[Number(event.target.value)]) },
    group("On the front", front),
    group("Trained", trained),
    group("Published", published),
    group("Evaluated", isOther ? [current] : []),
  );
}

// Which of two values is better, metric by metric, and by how much.
function contest(first, second) {
  const rows = metrics.map((metric) => {
    const values = [first.value(metric), second.value(metric)];
    const isKnown = values.every((value) => value !== null);
    const cell = (value, other) => {
      const isAhead = isKnown && isBetter(metric, value, other);
      return element("td", { class: isAhead ? "better" : "" }, withUnit(metric, value));
    };
    const by = element("small", {}, difference(metric, ...values) ?? "");
    const name = element("th", { scope: "row" }, metric.shown, by);
    return element("tr", {}, cell(values[0], values[1]), name, cell(values[1], values[0]));
  });
  return element("table", { class: "contest" }, element("tbody", {}, rows));
}

function whatDiffers(first, second) {
  const [here, there] = [first.stages.length, second.stages.length];
  const stages = here === there ? first.stages : [];
  const changed = stages.flatMap((stage, at) => {
    const slots = Array.from({ length: slotsOf()[at] }, (_, slot) => slot);
    return slots.filter((slot) => blockIn(stage, slot) !== blockIn(second.stages[at], slot));
  });
  const wider = stages.map((stage, at) => [at + 1, stage.width - second.stages[at].width]).filter(([, by]) => by !== 0);
  const widths = wider.map(([at, by]) => `stage ${at} is ${Math.abs(by)} ${by > 0 ? "wider" : "narrower"}`);
  const same = changed.length === 1 ? "1 slot differs" : `${changed.length} slots differ`;
  const slots = here === there ? same : `${here} stage${here === 1 ? "" : "s"} against ${there}`;
  const image = first.image === second.image ? [] : [`images of ${words[first.image]} against ${words[second.image]}`];
  return [slots, ...widths, ...image].join(", ");
}

// What stands in one column, from the choice of the network down to its head.
function column(network, other, side, widest) {
  const label = side === "first" ? "Network on the left" : "Network on the right";
  const ring = element("i", { class: `ring-sample ${side}`, "aria-hidden": "true" });
  const choice = chooser(network, label, (chosen) => look({ [side]: chosen }));
  const what = network ? badges(network) : note("This one can't be drawn: choose another.");
  const head = element("div", { class: "column-head" }, element("div", {}, ring, choice), what);
  return [head, ...(network ? drawNetwork(network.drawing, other?.drawing, widest) : [])];
}

function showBeside(holder) {
  const [first, second] = [view.first, view.second].map((network) => (network?.drawing ? network : null));
  if (!first && !second) {
    holder.replaceChildren(note("No network can be drawn yet."));
    return;
  }
  const drawings = [first, second].filter(Boolean).map((network) => network.drawing);
  const widest = Math.max(...drawings.map(widestOf));
  const hasOthers = second || [...front, ...published, ...trained].some((network) => network.drawing && network !== first);
  const left = column(first, second, "first", widest);
  const right = hasOthers ? column(second, first, "second", widest) : [];
  const rows = Array.from({ length: Math.max(left.length, right.length) }, (_, at) => [left[at], right[at]]);
  const cells = rows.flat().map((cell) => cell ?? element("div"));
  const parts = [kindLegend(drawings), element("div", { class: "columns" }, cells)];
  if (first && second) {
    const differing = element("p", { class: "note differing" }, `${whatDiffers(first.drawing, second.drawing)}.`);
    parts.unshift(element("div", { class: "card" }, contest(first, second), differing));
  }
  holder.replaceChildren(...parts);
}
