// Curves of training: several lines over the epochs, and their values where they are pointed at.

const LINES = 6; // looks that the style knows

class CurveChart {
  constructor(holder, { title, unit, lines }) {
    Object.assign(this, { unit, lines });
    this.decimals = unit === "%" ? 2 : 3;
    const ends = lines.map((line) => `${line.name} ${this.words(line.points.at(-1)[1])}`);
    this.svg = shape("svg", { height: 220, role: "img", "aria-label": `${title} over epochs; at the end ${ends.join(", ")}` });
    this.cursor = shape("g");
    this.list = element("ul", { class: "legend" });
    holder.append(this.svg, this.list);
    this.svg.addEventListener("pointermove", (event) => this.point(event));
    this.svg.addEventListener("pointerleave", () => this.point(null));
  }

  words(value) {
    return `${fixed(value, this.decimals)}${this.unit ? ` ${this.unit}` : ""}`;
  }

  draw() {
    const wide = Math.max(200, this.svg.getBoundingClientRect().width);
    const box = { left: 46, right: wide - 10, top: 12, bottom: 176 };
    const points = this.lines.flatMap((line) => line.points);
    const last = Math.max(...points.map(([across]) => across), 1);
    this.box = box;
    this.across = new Axis([0, last], [box.left, box.right], wide / 80);
    this.up = new Axis(reach(points.map(([, value]) => value), 0.06), [box.bottom, box.top], 5);
    const spot = ([across, value]) => `${this.across.at(across).toFixed(1)} ${this.up.at(value).toFixed(1)}`;
    const paths = this.lines.map((line, at) => {
      const kind = { class: `curve curve-${at % LINES}`, d: `M${line.points.map(spot).join("L")}` };
      const [x, y] = spot(line.points.at(-1)).split(" ");
      return [shape("path", kind), shape("circle", { class: `dot-${at % LINES}`, cx: x, cy: y, r: 3 })];
    });
    this.svg.setAttribute("viewBox", `0 0 ${wide} 220`);
    this.svg.replaceChildren(frame(box, this.across, this.up, "epochs", ""), ...paths.flat(), this.cursor);
    this.point(null);
  }

  // The values nearest to where is pointed at; the last ones where that is nowhere.
  point(event) {
    const { box } = this;
    const far = event ? event.clientX - this.svg.getBoundingClientRect().left - box.left : box.right - box.left;
    const epoch = (far / (box.right - box.left)) * this.across.high;
    const gap = (point) => Math.abs(point[0] - epoch);
    const near = this.lines.map((line) => line.points.reduce((one, other) => (gap(other) < gap(one) ? other : one)));
    const items = this.lines.map((line, at) => {
      const sample = shape("path", { class: `curve curve-${at % LINES}`, d: "M1 8H23" });
      const mark = shape("svg", { width: 24, height: 16, "aria-hidden": "true" }, sample);
      return element("li", {}, mark, `${line.name} `, element("b", {}, this.words(near[at][1])));
    });
    if (event) items.push(element("li", {}, `epoch ${fixed(near[0][0], 1)}`));
    this.list.replaceChildren(...items);
    const rings = near.map(([across, value], at) => {
      return shape("circle", { class: `ring ring-${at % LINES}`, cx: this.across.at(across), cy: this.up.at(value), r: 5 });
    });
    this.cursor.replaceChildren(...(event ? rings : []));
  }
}
