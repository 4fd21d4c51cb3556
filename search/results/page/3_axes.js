// Linear axes with round ticks, drawn to the width that there is.

function roundTicks(low, high, about) {
  const rough = (high - low) / Math.max(1, about);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((digit) => digit * power).find((one) => one >= rough);
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9) + (step / power === 2.5 ? 1 : 0));
  const ticks = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at += 1) ticks.push(at * step);
  return { ticks, words: (value) => fixed(value === 0 ? 0 : value, Math.min(decimals, 12)) };
}

// From a little below the smallest value to a little above the largest; a single value stands in the middle.
function reach(values, share = 0.06) {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const margin = high > low ? (high - low) * share : Math.max(Math.abs(high) * 0.1, 1e-9);
  return [low - margin, high + margin];
}

class Axis {
  constructor([low, high], [from, to], about) {
    Object.assign(this, { low, high, from, to });
    Object.assign(this, roundTicks(low, high, about));
  }

  at(value) {
    return this.from + ((value - this.low) / (this.high - this.low)) * (this.to - this.from);
  }

  holds(value) {
    return value >= this.low && value <= this.high;
  }
}

// Grid, numbers and titles of a chart: the title of the upright axis stands above it, where it is read first.
function frame(box, across, up, titleAcross, titleUp) {
  const parts = [];
  for (const tick of up.ticks) {
    const y = up.at(tick);
    parts.push(shape("line", { class: "grid", x1: box.left, x2: box.right, y1: y, y2: y }));
    parts.push(shape("text", { class: "tick", x: box.left - 8, y: y + 4, "text-anchor": "end" }, up.words(tick)));
  }
  for (const tick of across.ticks) {
    const x = across.at(tick);
    parts.push(shape("line", { class: "tick-mark", x1: x, x2: x, y1: box.bottom, y2: box.bottom + 5 }));
    parts.push(shape("text", { class: "tick", x, y: box.bottom + 20, "text-anchor": "middle" }, across.words(tick)));
  }
  parts.push(shape("line", { class: "base", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }));
  const under = { class: "axis-title", x: box.right, y: box.bottom + 40, "text-anchor": "end" };
  parts.push(shape("text", under, titleAcross));
  if (titleUp) parts.push(shape("text", { class: "axis-title", x: 0, y: box.top - 12 }, titleUp));
  return shape("g", { "aria-hidden": "true" }, parts);
}

// Room for labels: each is put at the first place around its point where it touches no other, and no line if it can.
class Labels {
  constructor(layer, box) {
    Object.assign(this, { layer, box, taken: [], lines: [] });
  }

  keepFree(x, y, half) {
    this.taken.push({ left: x - half, right: x + half, top: y - half, bottom: y + half });
  }

  put(x, y, words, kind) {
    const text = shape("text", { class: `label ${kind}` }, words);
    this.layer.append(text);
    const width = text.getComputedTextLength() || words.length * 7;
    const spots = [];
    for (const far of [11, 20, 32, 46]) {
      for (const [dx, dy] of [[1, 0], [1, -0.8], [1, 0.8], [0, -1], [0, 1], [-1, 0], [-1, -0.8], [-1, 0.8]]) {
        const left = x + dx * far - (dx < 0 ? width : dx === 0 ? width / 2 : 0);
        const base = y + dy * far + 4;
        spots.push({ left, right: left + width, top: base - 11, bottom: base + 4, base, far });
      }
    }
    const free = spots.filter((one) => this.isInside(one) && !this.taken.some((other) => overlap(one, other)));
    const spot = free.find((one) => !this.lines.some((line) => overlap(one, line))) ?? free[0];
    if (!spot) {
      text.remove();
      return false;
    }
    this.taken.push(spot);
    text.setAttribute("x", spot.left);
    text.setAttribute("y", spot.base);
    if (spot.far > 20) {
      const nearest = Math.min(Math.max(x, spot.left), spot.right);
      this.layer.prepend(shape("line", { class: "leader", x1: x, y1: y, x2: nearest, y2: spot.base - 4 }));
    }
    return true;
  }

  isInside(spot) {
    const { left, right, top, bottom } = this.box;
    return spot.left >= left && spot.right <= right + 8 && spot.top >= top - 6 && spot.bottom <= bottom;
  }
}

function overlap(one, other) {
  const isBeside = one.left >= other.right || other.left >= one.right;
  return !isBeside && one.top < other.bottom && other.top < one.bottom;
}
