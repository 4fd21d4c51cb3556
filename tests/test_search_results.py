"""What a search leaves behind: files that can be read back, a picture, and a page that shows all of it in a browser."""

import csv
import functools
import json
import random
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser

import msgspec
import numpy as np
import pytest

import search.results.writing as writing
from search.problem import Constraint
from search.results import Batch, Comparison, Evaluated, Findings, Interval, Published, write_networks, write_results
from search.results.findings import duration
from search.results.labels import Labels
from search.results.networks import Drawings
from search.results.picture import draw_front
from search.results.report import PAGE, report_html, script_text
from supernet import count, load_space, load_spec
from tests.browser import shown

HOSTILE = "a</script><script>document.title='taken'</script> \"b\" 'c' & <!-- $d_{$ <b>"
VOID = {"meta", "link", "img", "br", "hr", "input"}


def make(space_name="iformer_small", number=60, device="phone", limit=0.25, all_specs=True):
    """A search that never was: its accuracies follow the parameters, with noise."""
    space, rng, latency = load_space(space_name), np.random.default_rng(3), f"latency {device}"
    draw = random.Random(3)
    limits = (Constraint(latency, limit, at_most=True), Constraint("params", 5e8, at_most=True))
    drawn = [space.sample(draw) for _ in range(min(number, 200))]
    known = [(spec, tuple(space.encode(spec)), count(spec)) for spec in drawn]
    specs, codes, counted = zip(*(known[index % len(known)] for index in range(number)), strict=True)
    costs = [{"params": c.params, "macs": c.macs, latency: 0.1 + c.macs / 1e8} for c in counted]
    accuracy = [60 + 4 * np.log10(c.params) + noise for c, noise in zip(counted, rng.normal(size=number), strict=True)]
    cost = [one[latency] for one in costs]
    feasible = [one <= limit for one in cost]

    def beaten(index):
        better = np.greater_equal(accuracy, accuracy[index]) & np.less_equal(cost, cost[index]) & feasible
        return better.sum() > 1  # itself

    front = [bool(feasible[index] and not beaten(index)) for index in range(number)]
    best = max((index for index in range(number) if front[index]), key=lambda index: accuracy[index], default=None)
    rows = tuple(
        Evaluated(
            index=index,
            code=codes[index],
            accuracy=accuracy[index],
            metrics=costs[index],
            intervals={latency: Interval(costs[index][latency] / 1.1, costs[index][latency] * 1.1)},
            on_front=front[index],
            feasible=feasible[index],
            spec=spec if all_specs or front[index] else None,
        )
        for index, spec in enumerate(specs)
    )
    published = tuple(
        Published(name, specs[index], costs[index], known)
        for name, index, known in (("net_s", 1, 79.0), (HOSTILE, 2, 78.5), ("net_l", 3, None))
    )
    measured = Interval(0.3, 0.35)
    return Findings(
        space=space_name,
        objectives=("accuracy", latency),
        constraints=limits,
        metrics=("params", "macs", latency),
        rows=rows,
        best=best,
        best_reason="the most accurate that keeps all limits" if best is not None else "none keeps all limits",
        command=f"python search.py {HOSTILE}",
        config=f"name: {HOSTILE}\nseed: 7\n",
        seed=7,
        seconds=3725,
        published=published,
        history=tuple(Batch(n, 2.0 * n, n / 7, 70 + n / 9 if n > 10 else None) for n in range(10, number + 1, 10)),
        versions={"torch": "2.14.1", "git_changed": False, "cuda": None, "devices": ["a", HOSTILE]},
        comparisons=(Comparison(latency, 0.31, 0.32, Interval(0.28, 0.34), measured, "5 rounds"),),
    )


@pytest.fixture(scope="module")
def found():
    return make()


@pytest.fixture(scope="module")
def written(found, tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    write_results(found, run)
    return run


# --- files -----------------------------------------------------------------------------------------------------------


def test_the_files(written):
    assert {path.name for path in written.iterdir()} == {"front", "front.csv", "best.yaml", "front.svg", "report.html"}


def test_networks_can_be_read_back(found, written):
    files = sorted((written / "front").iterdir())
    assert [load_spec(path) for path in files] == [row.spec for row in found.front()]
    assert load_spec(written / "best.yaml") == found.rows[found.best].spec
    assert [row.accuracy for row in found.front()] == sorted(
        (r.accuracy for r in found.rows if r.on_front), reverse=True
    )
    for path, row in zip(files, found.front(), strict=True):
        accuracy, params = re.fullmatch(r"\d{3}_([\d.]+)_([\d.]+)M\.yaml", path.name).groups()
        assert float(accuracy) == pytest.approx(row.accuracy, abs=0.005)
        assert float(params) == pytest.approx(row.metrics["params"] / 1e6, abs=0.0005)
        comment = "".join(line for line in path.read_text().splitlines() if line.startswith("#"))
        assert f"accuracy {row.accuracy:.4g} %" in comment
        assert re.search(r"params [\d.]+ k# macs [\d.]+ M# latency phone [\d.]+ ms \(interval [\d.]+ ms to", comment)


def test_the_table_can_be_read_back(found, written):
    space = load_space(found.space)
    rows = list(csv.DictReader((written / "front.csv").open(newline="")))
    assert [int(row["network"]) for row in rows] == [row.index for row in found.front()]
    for read, row in zip(rows, found.front(), strict=True):
        assert float(read["accuracy %"]) == row.accuracy
        assert int(read["params"]) == row.metrics["params"]
        assert float(read["latency phone ms"]) == row.metrics["latency phone"]
        assert (float(read["latency phone low ms"]), float(read["latency phone high ms"])) == row.interval(
            "latency phone"
        )
        assert (
            space.decode([int(gene) for gene in read["code"].split()]) == row.spec == load_spec(written / read["file"])
        )
        assert (read["best"] == "yes") == (row.index == found.best)


def test_what_an_earlier_front_left_goes(found, tmp_path):
    write_networks(found, tmp_path)
    folder = tmp_path / "front"
    (folder / "mine.yaml").write_text("kept")
    (folder / ".007_70.00_1.000M.yaml.tmp-999999999").write_text("half")
    rows = tuple(replace(row, on_front=row.index == found.best) for row in found.rows)
    write_networks(replace(found, rows=rows), tmp_path)
    assert sorted(path.name[:4] for path in folder.iterdir()) == ["001_", "mine"]
    nothing = tuple(replace(row, on_front=False, feasible=False) for row in rows)
    write_networks(replace(found, rows=nothing, best=None), tmp_path)
    assert [path.name for path in folder.iterdir()] == ["mine.yaml"]
    assert not (tmp_path / "best.yaml").exists()
    assert len((tmp_path / "front.csv").read_text().splitlines()) == 1


def test_stopped_anywhere_a_front_is_there(found, tmp_path, monkeypatch):
    half = tuple(replace(row, on_front=row.on_front and row.index % 2 == 0) for row in found.rows)
    before = replace(found, rows=half, best=next(row.index for row in half if row.on_front))
    writes = len(found.front()) + 2
    real = {name: getattr(writing, name) for name in ("write_whole", "_write_changed")}
    for stop in range(writes):
        run = tmp_path / str(stop)
        write_networks(before, run)
        old = {path.name for path in (run / "front").iterdir()}
        left = iter(range(stop))

        def stopping(write, *arguments, left=left):
            if next(left, None) is None:
                raise KeyboardInterrupt
            write(*arguments)

        for name, write in real.items():
            monkeypatch.setattr(writing, name, functools.partial(stopping, write))
        with pytest.raises(KeyboardInterrupt):
            write_networks(found, run)
        monkeypatch.undo()
        assert old <= {path.name for path in (run / "front").iterdir()}
        for row in csv.DictReader((run / "front.csv").open(newline="")):
            load_spec(run / row["file"])
        load_spec(run / "best.yaml")
    write_networks(found, run)
    files = {path: path.stat().st_ino for path in (run / "front").iterdir()}
    assert len(files) == len(found.front())
    write_networks(found, run)
    assert {path: path.stat().st_ino for path in (run / "front").iterdir()} == files, "nothing changed"


def test_names_that_are_hostile_do_no_harm_to_files(tmp_path):
    found = make(device=HOSTILE + "\n\x07", number=20)
    write_networks(replace(found, space="a\nb: c", best_reason="x\ny: z"), tmp_path)
    assert load_spec(tmp_path / "best.yaml") == found.rows[found.best].spec
    assert len(list(csv.DictReader((tmp_path / "front.csv").open(newline="")))) == len(found.front())


def test_durations():
    assert [duration(s) for s in (0.04, 12.3, 60, 3599.7, 3725)] == ["0.0 s", "12 s", "1 min", "1 h", "1 h 2 min"]


# --- picture ---------------------------------------------------------------------------------------------------------


def test_the_picture(found, written, tmp_path):
    assert ElementTree.parse(written / "front.svg").getroot().tag.endswith("svg")  # noqa: S314
    draw_front(found, tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_bytes() == (written / "front.svg").read_bytes()
    odd = replace(make(device=HOSTILE, number=12), space="$x_{$")
    for number, one in enumerate((odd, replace(found, rows=(), best=None, published=()))):
        draw_front(one, tmp_path / f"{number}.svg")
        ElementTree.parse(tmp_path / f"{number}.svg")  # noqa: S314


def test_labels_touch_neither_each_other_nor_marks():
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 5), dpi=72)
    canvas, panel = FigureCanvasAgg(figure), figure.subplots()
    panel.set(xlim=(0, 1), ylim=(0, 1))
    labels, rng = Labels(panel), np.random.default_rng(0)
    places = [tuple(place) for place in 0.4 + 0.2 * rng.random((14, 2))]
    labels.keep_free([(0.5, 0.5)])
    for number, place in enumerate(places):
        labels.add(place, f"a network {number}", "black")
    canvas.draw()
    boxes = labels.put()
    assert len(boxes) >= 12
    for number, one in enumerate(boxes):
        assert not any(one.touches(other) for other in boxes[:number])
        for x, y in panel.transData.transform([*places, (0.5, 0.5)]):
            assert not (one.left <= x <= one.right and one.bottom <= y <= one.top)


# --- page ------------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Checks that elements nest, and keeps what they hold and refer to."""

    def __init__(self, text):
        super().__init__()
        self.open, self.scripts, self.references, self.texts = [], [], [], {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.references += [value for name, value in attributes if name in ("src", "href", "srcset", "action", "data")]
        assert not any(name.startswith("on") or name == "style" for name, _ in attributes)
        if tag == "script":
            self.scripts.append("")
        if tag not in VOID:
            self.open.append((tag, dict(attributes).get("id")))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        if self.open and self.open[-1][0] == "script":
            self.scripts[-1] += data
        for key in self.open[-1:]:
            self.texts[key] = self.texts.get(key, "") + data


def test_the_page_is_whole_and_refers_to_nothing_else(found):
    page = Page(report_html(found))
    assert len(page.scripts) == 2
    assert {ref for ref in page.references if not ref.startswith("data:")} <= {"front.svg", "front.csv"}
    style = (PAGE / "style.css").read_text()
    assert not re.search(r"url\(|@import|https?:", style)
    assert re.findall(r"https?://[^\"]*", script_text()) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"fetch\(|XMLHttpRequest|import\(|innerHTML|eval\(|WebSocket", script_text())


def test_texts_of_users_stay_texts():
    found = replace(make(device=HOSTILE, number=20), space=HOSTILE + "\udcff", best_reason=HOSTILE)
    page = Page(report_html(found))
    assert len(page.scripts) == 2
    assert page.texts["h1", None] == HOSTILE + "\\udcff"
    assert page.texts["pre", "config"] == found.config
    assert page.texts["pre", "command"] == found.command
    data = json.loads(page.scripts[0])
    assert data["metrics"][3]["name"] == f"latency {HOSTILE}"
    assert data["published"][1]["name"] == HOSTILE


def test_the_data_in_the_page(found):
    data = json.loads(Page(report_html(found)).scripts[0])
    for metric in found.all_metrics:
        assert data["columns"][metric] == pytest.approx([row.value(metric) for row in found.rows], rel=1e-6)
    assert data["front"] == [row.index for row in found.front()]
    assert data["best"] == found.best
    assert data["infeasible"] == [row.index for row in found.rows if not row.feasible]
    assert data["axes"] == ["latency phone", "accuracy"]
    assert data["published"][2]["values"]["accuracy"] is None
    blocks = data["drawings"]["blocks"]
    for row in found.rows:
        drawn = data["networks"][str(row.index)]["stages"]
        assert [stage["width"] for stage in drawn] == [stage.width for stage in row.spec.stages]
        for stage, spec in zip(drawn, row.spec.stages, strict=True):
            assert stage["slots"] == list(spec.block_slots)
            kinds = [(blocks[at]["kind"], blocks[at]["kernel"], blocks[at]["expand"]) for at in stage["blocks"]]
            assert kinds == [(block.kind_name(), block.kernel, block.expand) for block in spec.blocks]


def test_blocks_stand_in_their_slots(found):
    spec = found.rows[0].spec
    last = msgspec.structs.replace(spec.stages[-1], slots=tuple(range(2, 2 + len(spec.stages[-1].blocks))))
    drawn = Drawings().add(spec.with_(stages=(*spec.stages[:-1], last)))["stages"]
    assert drawn[-1]["slots"] == list(last.slots)
    assert drawn[0]["slots"] == list(range(len(spec.stages[0].blocks)))


def test_numbers_that_are_none(found):
    odd = replace(found.rows[5], intervals={"latency phone": Interval(float("nan"), float("nan"))}, on_front=False)
    rows = (*found.rows[:5], odd, *found.rows[6:])
    alone = replace(found.comparisons[0], predicted_interval=odd.intervals["latency phone"], measured_interval=None)
    data = json.loads(Page(report_html(replace(found, rows=rows, comparisons=(alone,)))).scripts[0])
    assert data["intervals"]["latency phone"][5] is None
    assert data["comparisons"][0]["interval"] is data["comparisons"][0]["spread"] is None
    assert data["history"][0][3:] == [None, None]


def test_the_size_of_2000_evaluations():
    assert len(report_html(make("iformer", number=2000, limit=20.0)).encode()) < 2_000_000


def test_the_scripts_have_no_syntax_errors(tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed; the test in a browser covers this where there is one")
    script = tmp_path / "page.js"
    script.write_text(script_text())
    subprocess.run([node, "--check", script], check=True, timeout=60)


# --- in a browser ----------------------------------------------------------------------------------------------------

PROBE = """
const results = {};
const press = (node, key) => node.dispatchEvent(new (node.ownerDocument.defaultView.KeyboardEvent)("keydown", { key }));
function labelsThatTouch(doc) {
  const boxes = [...doc.querySelectorAll("#front-chart text.label")].map((text) => text.getBoundingClientRect());
  const touch = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom - 4 && b.top < a.bottom - 4;
  return boxes.some((one, at) => boxes.slice(at + 1).some((other) => touch(one, other)));
}
function isUnderRing(doc) {
  const [a, b] = [".for-best", ".ring.first"].map((one) => doc.querySelector(one)?.getBoundingClientRect());
  return a && b && a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}
function look(frame) {
  const doc = frame.contentDocument;
  const blocked = doc.createElement("script");
  blocked.textContent = "window.ran = true";
  doc.body.append(blocked);
  return {
    drawn: doc.documentElement.dataset.drawn,
    title: doc.title,
    requests: frame.contentWindow.performance.getEntriesByType("resource").length,
    foreign: frame.contentWindow.ran === true,
    wide: doc.documentElement.scrollWidth > doc.documentElement.clientWidth,
    rows: doc.querySelectorAll("#front-table tbody tr").length,
    names: [...doc.querySelectorAll("#front-table tbody th button")].map((one) => one.textContent),
    stages: doc.querySelectorAll("#beside .stage").length,
    charts: doc.querySelectorAll("#progress figure").length,
    marks: doc.querySelectorAll("#front-chart .marks > *").length,
    published: [...doc.querySelectorAll("#front-chart .for-published")].map((one) => one.textContent),
    touching: labelsThatTouch(doc),
    measured: doc.querySelector("#measured").textContent,
    legend: [...doc.querySelectorAll("#front-chart .legend li")].map((one) => one.textContent),
    hidden: isUnderRing(doc),
    heads: [...doc.querySelectorAll("#front-table thead button")].map((one) => one.textContent),
  };
}
function use(doc) {
  const svg = doc.querySelector("#front-chart svg");
  const card = () => doc.querySelector("#front-card h3").textContent;
  const chosen = () => doc.querySelector("#beside select").selectedOptions[0].textContent;
  const change = (node, value) => { node.value = value; node.dispatchEvent(new Event("change")); };
  const done = { first: card(), chosen: chosen() };
  press(svg, "Home");
  done.pointed = card();
  done.stillChosen = chosen();
  press(svg, "Enter");
  done.entered = chosen();
  const at = doc.querySelector("#front-chart .mark.best").getBoundingClientRect();
  const where = { clientX: (at.left + at.right) / 2, clientY: (at.top + at.bottom) / 2 };
  svg.dispatchEvent(new PointerEvent("pointermove", where));
  done.hovered = card();
  svg.dispatchEvent(new MouseEvent("click", where));
  done.clicked = chosen();
  const heading = () => doc.querySelectorAll("#front-table thead button")[1];
  const rows = () => [...doc.querySelectorAll("#front-table tbody tr")];
  const params = () => rows().map((row) => Number(row.cells[3].textContent));
  heading().click();
  done.up = params();
  heading().click();
  done.down = params();
  done.sort = heading().parentNode.getAttribute("aria-sort");
  change(doc.querySelector("[data-axis=up]"), "2");
  change(doc.querySelector("[data-axis=across]"), "1");
  done.titles = [...doc.querySelectorAll("#front-chart .axis-title")].map((one) => one.textContent);
  doc.querySelectorAll(".segments input")[1].click();
  done.legend = [...doc.querySelectorAll("#front-chart .legend li")].map((one) => one.textContent);
  done.closeUp = doc.querySelectorAll("#front-chart .marks > *").length;
  const progress = doc.querySelector("#progress svg");
  const left = progress.getBoundingClientRect().left;
  progress.dispatchEvent(new PointerEvent("pointermove", { clientX: left + 46 }));
  done.steps = [...doc.querySelectorAll("#progress b")].map((one) => one.textContent);
  doc.querySelector("#front-card .pill").click();
  done.aside = doc.querySelectorAll("#beside select")[1].selectedOptions[0].textContent;
  return done;
}
addEventListener("load", () => {
  for (const frame of document.querySelectorAll("iframe")) results[frame.id] = look(frame);
  results.used = use(document.getElementById("plain").contentDocument);
  document.getElementById("results").textContent = JSON.stringify(results);
});
"""


@pytest.fixture(scope="module")
def seen(found, tmp_path_factory):
    """What is in each page, and what happened when one was used."""
    nothing = {"best": None, "comparisons": (), "history": ()}
    outside = tuple(replace(row, on_front=False, feasible=False) for row in found.rows)
    fronts = tuple(replace(row, spec=row.spec if row.on_front else None) for row in found.rows)
    close = replace(found.comparisons[0], measured_interval=Interval(0.32001, 0.320014))
    pages = {
        "plain": found,
        "narrow": replace(found, rows=fronts, comparisons=(close,)),
        "hostile": replace(make(device=HOSTILE, number=20), space=HOSTILE),
        "infeasible": replace(found, rows=outside, published=(), **nothing),
        "empty": replace(found, rows=(), published=(), **nothing),
    }
    texts = {name: (report_html(one), 390 if name == "narrow" else 1100) for name, one in pages.items()}
    return shown(texts, PROBE, tmp_path_factory.mktemp("browser"))


def test_every_page_is_drawn_alone(seen):
    for name in ("plain", "narrow", "hostile", "infeasible", "empty"):
        page = seen[name]
        assert page["drawn"] == "yes", name
        assert (page["requests"], page["foreign"], page["wide"], page["touching"]) == (0, False, False, False), name
    assert ["Executing inline script violates" in line for line in seen["console"]] == [True] * 5  # ours, refused


def test_what_the_browser_shows(found, seen):
    names = [f"network {row.index}" for row in found.front()]
    page = seen["plain"]
    assert page["names"] == names[:25] == seen["narrow"]["names"]
    assert page["stages"] == 2 * 5
    assert page["charts"] == 2  # there is no predictor
    assert page["marks"] == len(names) + 3
    assert set(page["published"]) == {"net_s", f"{HOSTILE[:31]}…", "net_l, not evaluated"}
    assert "0.3100 ms (0.2800 to 0.3400), measured 0.3200 ms" in page["measured"]
    assert "the prediction is off by \u22123.1 %, inside the interval" in page["measured"]
    assert "measured 0.3200 ms (0.320010 to 0.320014)" in seen["narrow"]["measured"]
    assert "on the front for other metrics" not in page["legend"]
    assert not page["hidden"], "the best one's name, by its ring"
    assert seen["infeasible"]["rows"] == seen["empty"]["rows"] == 0
    assert seen["infeasible"]["stages"] == 5  # a network can be looked at although it is not on the front
    assert seen["hostile"]["title"] == f"{HOSTILE}: search"
    assert any(f"latency {HOSTILE}" in head for head in seen["hostile"]["heads"])


def test_how_the_page_is_used(found, seen):
    used, best = seen["used"], f"network {found.best}"
    assert used["first"] == best
    assert used["chosen"].startswith(best)
    assert used["pointed"] != best
    assert used["stillChosen"] == used["chosen"]
    assert used["entered"].startswith(used["pointed"])
    assert used["hovered"] == best
    assert used["clicked"].startswith(best)
    assert used["up"] == sorted(used["up"])
    assert used["down"] == used["up"][::-1]
    assert used["sort"] == "descending"
    assert used["titles"] == ["params, k", "macs, M"]
    assert "on the front for other metrics" in used["legend"]
    assert used["closeUp"] == len(found.front()) + 3
    assert used["steps"] == ["1.429 after 10, 20 s", "72.22 % after 20, 40 s"]  # the first steps that have a figure
    assert used["aside"].startswith(best)
