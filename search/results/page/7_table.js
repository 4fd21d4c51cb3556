// The networks of the front as a table that can be sorted by each column.

const FIRST_ROWS = 25;
const sorting = { by: null, isDown: true, isWhole: false };

function sortedFront() {
  if (sorting.by === null) return front;
  const sign = sorting.isDown ? -1 : 1;
  const value = (network) => network.value(sorting.by) ?? -Infinity;
  return [...front].sort((a, b) => sign * (value(a) - value(b)) || a.rank - b.rank);
}

function heading(metric, draw) {
  const isSorted = sorting.by === metric;
  const press = () => {
    sorting.isDown = isSorted ? !sorting.isDown : metric.maximised;
    sorting.by = metric;
    draw(metric);
  };
  const state = isSorted ? (sorting.isDown ? "descending" : "ascending") : "none";
  const arrow = { none: "↕", descending: "↓", ascending: "↑" }[state];
  const button = element(
    "button",
    { type: "button", onclick: press, "data-sorts": metric.name },
    metric.shown,
    metric.unit ? element("small", {}, metric.unit) : null,
    element("i", { class: "arrow", "aria-hidden": "true" }, arrow),
  );
  return element("th", { scope: "col", class: "figure", "aria-sort": state }, button);
}

function frontRow(network) {
  const cells = metrics.map((metric) => {
    const interval = network.interval(metric);
    const around = interval ? element("small", {}, range(metric, interval)) : null;
    return element("td", { class: "figure" }, number(metric, network.value(metric)), around);
  });
  const label = `Show ${network.name} stage by stage`;
  const show = { type: "button", class: "link", onclick: () => choose(network), "aria-label": label };
  const crown = network.isBest ? element("span", { class: "badge best" }, "best") : null;
  return element(
    "tr",
    { class: network === view.first || network === view.second ? "is-chosen" : "" },
    element("td", { class: "figure rank" }, network.rank),
    element("th", { scope: "row" }, element("button", show, network.name), crown),
    cells,
    element("td", {}, network.drawing ? drawSmall(network.drawing, 240) : null),
    element("td", {}, element("a", { href: network.file, title: network.file }, "YAML")),
  );
}

function showTable(holder) {
  if (!front.length) {
    holder.replaceChildren(note("No network is on the front yet."));
    return;
  }
  const draw = (pressed) => {
    showTable(holder);
    const buttons = [...holder.querySelectorAll("[data-sorts]")];
    buttons.find((button) => button.dataset.sorts === pressed?.name)?.focus();
  };
  const whole = () => {
    sorting.isWhole = true;
    draw();
  };
  const rows = sortedFront();
  const shown = sorting.isWhole ? rows : rows.slice(0, FIRST_ROWS);
  const column = (words, kind = "") => element("th", { scope: "col", class: kind }, words);
  const figures = metrics.map((metric) => heading(metric, draw));
  const head = [column("#", "figure"), column("network"), figures, column("blocks, stage by stage"), column("file")];
  const table = element(
    "table",
    { class: "front-table" },
    element("thead", {}, element("tr", {}, head.flat())),
    element("tbody", {}, shown.map(frontRow)),
  );
  const region = { class: "card scrolls", tabindex: 0, role: "region", "aria-label": "Networks of the front" };
  const more = element("button", { type: "button", class: "more", onclick: whole }, `Show all ${rows.length}`);
  holder.replaceChildren(element("div", region, table), ...(rows.length > shown.length ? [more] : []));
}
