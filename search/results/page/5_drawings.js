// Networks as drawings: large, with what stands in each slot, and small, as one line of a table.

const { blocks, words } = found.drawings;
const kinds = [...new Set(blocks.map((block) => block.kind))].sort();
const attending = new Set(blocks.filter((block) => block.attends).map((block) => block.kind));

// A look for each kind: those with attention have warm colours, the others cool ones, and each has its own hatching.
const lookOf = new Map();
kinds.filter((kind) => !attending.has(kind)).forEach((kind, at) => lookOf.set(kind, `still-${at % 4}`));
kinds.filter((kind) => attending.has(kind)).forEach((kind, at) => lookOf.set(kind, `attends-${at % 4}`));

const slotsOf = once(() => {
  const most = [];
  for (const network of everyone) {
    network.drawing?.stages.forEach((stage, at) => {
      most[at] = Math.max(most[at] ?? 0, 1 + (stage.slots.at(-1) ?? -1));
    });
  }
  return most;
});

const blockIn = (stage, slot) => {
  const at = stage ? stage.slots.indexOf(slot) : -1;
  return at < 0 ? null : blocks[stage.blocks[at]];
};

function kindLegend(shown) {
  const stages = shown.flatMap((drawing) => drawing.stages);
  const used = new Set(stages.flatMap((stage) => stage.blocks.map((at) => blocks[at].kind)));
  const items = kinds.filter((kind) => used.has(kind));
  const swatch = (kind) => element("i", { class: `swatch ${lookOf.get(kind)}`, "aria-hidden": "true" });
  return element("ul", { class: "legend" }, items.map((kind) => element("li", {}, swatch(kind), kind)));
}

function brick(block, isOther) {
  const title = block ? `${block.kind}: ${block.options}` : "an empty slot";
  const words = isOther ? `${title} (differs)` : title;
  const slot = { class: `slot${isOther ? " differs" : ""}`, role: "img", "aria-label": words, title: words };
  const below = block?.expand ? `${Number(block.expand.toFixed(2))}×` : "";
  const under = element("span", { class: "below" }, below || "\u00a0");
  if (!block) return element("div", slot, element("div", { class: "brick empty" }), under);
  const inside = block.kernel ? `${block.kernel}×${block.kernel}` : "";
  const body = element("div", { class: `brick ${lookOf.get(block.kind)}` }, element("span", {}, inside));
  return element("div", slot, styled(body, { height: `${24 + 9 * Math.min(block.expand ?? 1, 6)}px` }), under);
}

function widthBar(width, widest, isOther) {
  const bar = element("i", { class: "width-bar", "aria-hidden": "true" });
  const track = element("div", { class: "width-track" }, styled(bar, { width: `${(100 * width) / widest}%` }));
  return element("div", { class: `width${isOther ? " differs" : ""}` }, element("span", {}, `width ${width}`), track);
}

const share = (thousandths) => (thousandths < 10 && thousandths > 0 ? "<1 %" : `${Math.round(thousandths / 10)} %`);

function sharesLine(part) {
  const [params, macs] = part.shares;
  return element("p", { class: "shares" }, `${share(params)} of parameters, ${share(macs)} of MACs`);
}

function cardHead(title, map) {
  return element("div", { class: "stage-head" }, element("h4", {}, title), element("span", { class: "map" }, map));
}

// One stage beside the same of the other network, so that what differs can be marked.
function stageCard(stage, other, at, widest) {
  const slots = Array.from({ length: slotsOf()[at] ?? 0 }, (_, slot) => slot);
  const bricks = slots.map((slot) => {
    const [block, beside] = [blockIn(stage, slot), blockIn(other, slot)];
    return brick(block, Boolean(other) && block !== beside);
  });
  const down = stage.down === null ? [] : [`downsample: ${words[stage.down]}`];
  const notes = [...down, ...(stage.table ? ["position table"] : [])];
  return element(
    "div",
    { class: "stage" },
    cardHead(`Stage ${at + 1}`, words[stage.map]),
    widthBar(stage.width, widest, Boolean(other) && other.width !== stage.width),
    element("div", { class: "slots" }, bricks),
    notes.length ? note(notes.join(", ")) : null,
    sharesLine(stage),
  );
}

function endCard(title, part, other, widest) {
  const map = part.map === undefined ? "" : words[part.map];
  const isOther = Boolean(other) && (other.width !== part.width || other.what !== part.what);
  return element(
    "div",
    { class: "stage end" },
    cardHead(title, map),
    widthBar(part.width, widest, isOther),
    note(words[part.what]),
    sharesLine(part),
  );
}

// Stem, stages and head; `null` where the other network has a stage more.
function drawNetwork(drawing, other, widest) {
  const more = Math.max(0, (other?.stages.length ?? 0) - drawing.stages.length);
  return [
    endCard("Stem", drawing.stem, other?.stem, widest),
    ...drawing.stages.map((stage, at) => stageCard(stage, other?.stages[at], at, widest)),
    ...Array(more).fill(null),
    endCard("Head", drawing.head, other?.head, widest),
  ];
}

const widestOf = (drawing) => Math.max(drawing.stem.width, ...drawing.stages.map((stage) => stage.width));

// A line of bars: as thick as the stage is wide, as tall as the block widens; a gap where a slot is empty.
function drawSmall(drawing, room = 300) {
  const thick = (stage) => 2.5 + 0.32 * Math.sqrt(stage.width);
  const tallest = 26;
  const bars = [];
  let x = 0;
  drawing.stages.forEach((stage, at) => {
    stage.blocks.forEach((index) => {
      const block = blocks[index];
      const tall = Math.min(tallest, 7 + 3.4 * (block.expand ?? 1));
      const title = shape("title", {}, `stage ${at + 1}, width ${stage.width}, ${block.kind}: ${block.options}`);
      const [left, top, wide, high] = [x, tallest - tall, thick(stage), tall].map((length) => length.toFixed(1));
      const bar = { class: lookOf.get(block.kind), x: left, y: top, width: wide, height: high, rx: 1.5 };
      bars.push(shape("rect", bar, title));
      x += thick(stage) + 1.5;
    });
    x += 7;
  });
  const wide = Math.max(1, x - 8.5);
  const sizes = drawing.stages.map((stage) => `${stage.blocks.length} of width ${stage.width}`).join(", ");
  const viewBox = `0 0 ${wide.toFixed(1)} ${tallest}`;
  const size = { viewBox, width: Math.min(room, wide).toFixed(0), height: tallest };
  const label = { role: "img", "aria-label": `blocks by stage: ${sizes}` };
  return shape("svg", { class: "small", ...size, ...label, preserveAspectRatio: "none" }, bars);
}
