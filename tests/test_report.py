"""The page of a whole pipeline: what it says of a folder, of one where much is missing or damaged, and in a browser."""

import base64
import hashlib
import json
import re
import shutil
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
from judged_runs import DIGITS, write_run
from made_pipeline import BEST, LATENCY, SPACE, make_folder, make_network, write, write_json

from latency_lut.lookup import LatencyTable
from pipeline.report import write_report
from pipeline.report.curves import steps_per_epoch
from pipeline.report.devices import fit_in_words
from pipeline.report.examples import SHOWN, mistakes
from pipeline.report.family import differences
from pipeline.report.found import Found
from pipeline.report.headline import _kept
from pipeline.report.judged import mistakes_in_words
from pipeline.report.page import report_html
from pipeline.report.published import nearest
from pipeline.report.reader import Reader
from search.problem import parse_constraint
from search.results.markup import data_in
from supernet import count, load_spec
from tests.browser import shown
from training.config import AugmentConfig, DataConfig
from training.data import open_data
from training.judging import open_model

HOSTILE = "a</script><script>document.title='taken'</script> \"b\" 'c' & <!-- $d_{$ <b>"
MEAN, STD = (0.3, 0.3, 0.3), (0.35, 0.35, 0.35)
SECTIONS = ["found", "front", "family", "latency", "training", "judged", "packages", "ran"]


class Page(HTMLParser):
    """Headings, links and texts of a page."""

    def __init__(self, text):
        super().__init__()
        self.source, self.ids, self.links, self.scripts, self.words, self.tag = text, [], [], 0, [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given, self.tag = dict(attributes), tag
        self.scripts += tag == "script"
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given[name] for name in ("href", "src") if name in given]
        assert not any(name.startswith("on") or name == "style" for name in given), "the page's policy forbids it"
        assert tag != "img" or given["alt"], "a picture without a description"

    def handle_data(self, data):
        if self.tag not in ("script", "style"):
            self.words.append(data)

    def handle_endtag(self, tag):
        self.tag = ""

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))

    def sections(self):
        return [one for one in self.ids if one in SECTIONS]

    def data(self, name):
        return data_in(self.source, name)


def page_of(folder):
    return Page(report_html(folder))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("pipeline") / "out")


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "out")


@pytest.fixture(scope="module")
def page(whole):
    return page_of(whole)


# --- what it says ----------------------------------------------------------------------------------------------------


def test_the_file(folder):
    path = write_report(folder)
    assert path == folder / "report.html"
    assert path.read_text(encoding="utf-8") == report_html(folder)


def test_all_sections_are_there_once(page):
    assert page.sections() == SECTIONS
    assert len(page.ids) == len(set(page.ids))
    assert [link[1:] for link in page.links if link.startswith("#")] == SECTIONS


def test_the_figures_of_what_was_found(whole, page):
    counted, predicted = count(BEST), LatencyTable(whole / "tables" / "host" / "table.sqlite").latency_ms(BEST)
    for words in (
        "98.5 % top-1, trained; 99 % as the search saw it",
        f"{predicted.ms:.3g} ms latency host, predicted",
        "measured 0.0125",
        f"{counted.params / 1e3:.4g} k parameters",
        "2.5 kB best.onnx",
        "It is network 2 of the 12 that the search evaluated.",
    ):
        assert words in page.text, words


def test_the_budget_is_compared_with_what_was_found(page):
    kept = re.findall(r'<li class="(\w+)"><b>([^<]*)</b>', page.source)
    assert kept == [
        ("kept", "params ≤ 15 k"),
        ("kept", "latency host ≤ 100 ms"),
        ("broken", "accuracy ≥ 99.9 %"),
    ]


def test_the_front_has_what_was_trained(whole, page):
    data = page.data("findings")
    best, other = data["trained"]
    assert (best["name"], best["was"], best["values"]["accuracy"]) == ("best, trained", 2, 98.5)
    assert (other["was"], other["values"]["params"]) == (None, count(SPACE.largest()).params)
    predicted = LatencyTable(whole / "tables" / "host" / "table.sqlite").latency_ms(SPACE.largest())
    assert other["values"][LATENCY] == pytest.approx(predicted.ms)
    (published,) = data["published"]
    assert (published["aside"], published["values"]["accuracy"]) == (True, None)  # its accuracy is of other images
    assert published["name"] == nearest(BEST) == "iformer_t"
    blocks = data["drawings"]["blocks"]
    assert len({(block["kind"], block["options"]) for block in blocks}) == len(blocks)
    drawn = [blocks[at] for stage in best["network"]["stages"] for at in stage["blocks"]]
    seen = [blocks[at] for stage in data["networks"]["2"]["stages"] for at in stage["blocks"]]
    assert drawn == seen


def test_the_other_sections(page):
    for words in (
        "off by 0.8 % on average, by 2.9 % at worst; 100 % are within 5 %.",
        "What it takes for what most often: 0 for 2 (1 image).",
        "31 of 32",
        "computes the same",
        hashlib.sha256(b"x" * 2500).hexdigest(),
        "4 stages in 5 min · not finished: networks/best",
        "python search.py one",
        "646 times fewer parameters" if count(BEST).params == 4470 else "times fewer parameters",
    ):
        assert words in page.text, words


def test_the_curves(page):
    charts = page.data("curves")
    assert [chart["title"].partition(":")[0] for chart in charts] == ["Supernet", "Supernet", "Networks", "Networks"]
    top1 = {line["name"]: line["points"] for line in charts[0]["lines"]}
    assert list(top1) == ["largest", "smallest", "random, mean"]
    assert top1["random, mean"] == [[10, 94.5], [20, 96.5]]  # of the epochs; two members, drawn at random
    assert [line["name"] for line in charts[2]["lines"]] == ["best", "other"]


def test_networks_of_imagenet_stand_beside_published_ones(tmp_path):
    make_network(tmp_path / "networks" / "best", load_spec("iformer_t"), 75.0)
    write(tmp_path / "config.yaml", "space: iformer\nbudget: [params <= 3 M]\n")
    page = page_of(tmp_path)
    assert "by the accuracies that their authors state" in page.text
    data = page.data("findings")
    published = {one["name"]: one for one in data["published"]}
    assert published["iformer_t"]["values"]["accuracy"] == 74.1
    assert not published["iformer_t"]["aside"]
    assert published["iformer_h"]["aside"]
    assert "lowformer_b0" not in published
    assert data["constraints"][0]["limit"] == 3e6


def test_images_that_it_gets_wrong(tmp_path):
    run = tmp_path / "networks" / "best"
    net = write_run(run, classes=("<b>", *DIGITS[1:]))
    seen = list(mistakes(open_model(str(run))))
    data = open_data(DataConfig(source="digits"), AugmentConfig(crop_pct=1.0, mean=MEAN, std=STD), seed=0)
    answers = [(net(images).argmax(1), labels) for images, labels in data.validation_batches(net.spec.size)]
    assert len(seen) == sum(int((one != labels).sum()) for one, labels in answers) > SHOWN
    assert all(one.label != one.answer and one.image.shape == (3, 16, 16) for one in seen)
    assert all(one.image.min() >= 0 and one.image.max() <= 1 for one in seen)
    write_json(tmp_path / "judged" / "evaluation.json", {"model": "best", "top1": 1.0, "images": 359})
    page = page_of(tmp_path)
    assert f"{SHOWN} images that best gets wrong" in page.text
    assert sum(link.startswith("data:image/png") for link in page.links) == SHOWN
    (run / "model.safetensors").write_bytes(b"{}")
    assert "the images can't be read" in page_of(tmp_path).text


# --- what is missing, damaged or hostile -----------------------------------------------------------------------------


def test_an_empty_folder(tmp_path):
    page = page_of(tmp_path)
    assert page.sections() == ["found"]
    assert "Nothing found yet" in page.text
    assert page.data("curves") == page.data("findings")["trained"] == []


@pytest.mark.parametrize(
    ("gone", "left_out", "said"),
    [
        ("tables", {"latency"}, "measured 0.0125"),
        ("search", set(), "98.5 % top-1, trained "),
        ("networks", set(), "not trained yet"),
        ("judged", {"judged"}, ""),
        ("packages", {"packages"}, ""),
        ("supernet", set(), ""),
        ("stages", set(), "No stage was run yet."),
        ("config.yaml", set(), "out"),
    ],
)
def test_a_stage_that_was_not_run(folder, gone, left_out, said):
    path = folder / gone
    path.unlink() if path.is_file() else shutil.rmtree(path)
    page = page_of(folder)
    assert page.sections() == [name for name in SECTIONS if name not in left_out]
    assert said in page.text
    assert "left out" not in page.text


def test_networks_of_a_front_that_are_not_chosen_any_more(tmp_path):
    for name in ("001_a", "002_b"):
        make_network(tmp_path / "networks" / "front" / name, BEST, 98.0)

    def shown():
        return [one.name for one in Found(Reader(tmp_path)).networks]

    assert shown() == ["001_a", "002_b"], "while they are trained"
    write(tmp_path / "networks" / "front" / "front.csv", "network,top1 %\n002_b,98.0\n")
    assert shown() == ["002_b"]


def test_latencies_of_a_table_that_is_elsewhere_are_those_of_the_search(folder):
    shutil.rmtree(folder / "tables")
    ms = 0.01 + count(BEST).macs / 1e8
    assert f"{ms:.3g} ms latency host, predicted, {0.9 * ms:.3g} to" in page_of(folder).text


def test_a_damaged_file_is_named_and_the_rest_is_shown(folder):
    names = [path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".svg", ".onnx", ".jsonl")]
    for path in names:
        whole = path.read_bytes()
        path.write_bytes(b"\xff\xfe{[")
        page = page_of(folder)
        assert path.name in page.text, path
        assert page.sections()[0] == "found", path
        path.write_bytes(whole)


@pytest.mark.parametrize("damage", [b"[1e999, {}]", b'{"a": ' * 9000, None], ids=["list", "deep", "half"])
def test_all_files_damaged(folder, damage):
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert page_of(folder).sections()[0] == "found"


def test_texts_of_users_stay_texts(tmp_path):
    folder = make_folder(tmp_path / "out", classes=("0", HOSTILE, "<img src=x onerror=alert(1)>"), space=HOSTILE)
    (folder / "networks" / "other").rename(folder / "networks" / "<b>other")
    write_json(folder / "stages" / "search.json", {"number": 3, "name": HOSTILE, "commands": [HOSTILE, None, 3]})
    write_json(folder / "environment.json", {HOSTILE: HOSTILE})
    page = page_of(folder)
    assert page.scripts == 3
    assert f"python {HOSTILE}" not in page.source
    assert page.text.count(re.sub(r"\s+", " ", HOSTILE)) >= 3
    assert "<img src=x" in page.text
    assert "<b>other, trained" in json.dumps(page.data("findings"))


def test_the_page_is_alone_and_its_policy_knows_its_own_scripts(page):
    outside = [link for link in page.links if not link.startswith(("#", "data:", "search/", "packages/"))]
    assert outside == []
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page.source)[1]
    for tag in ("script", "style"):
        body = re.findall(rf"<{tag}>(.*?)</{tag}>", page.source, re.DOTALL)
        (digest,) = (base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in body)
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


# --- words and figures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 7, 19, 20, 333])
def test_steps_of_an_epoch_follow_from_the_log(steps):
    log = [{"step": step, "epoch": (step - 1) // steps} for step in range(10, 30 * steps, 10)]
    assert steps_per_epoch(log) == steps


@pytest.mark.parametrize(
    ("ms", "said"),
    [
        (1.0, ("kept", "kept: 1 ms")),
        (0.98765, ("kept", "kept: 0.988 ms")),
        (1.0004, ("broken", "broken: 1.0004 ms")),
        (None, ("unknown", "not known")),
    ],
)
def test_a_limit_that_is_kept_or_broken(ms, said):
    best = SimpleNamespace(value={"latency phone": ms}.get)
    kind, state = said
    assert f'<li class="{kind}">' in (line := _kept(best, parse_constraint("latency phone <= 1 ms")))
    assert f"<span>{state}</span>" in line


def test_mistakes_in_words():
    matrix = "class,a,b,c\na,5,2,0\nb,0,7,0\nc,9,0,1\n"
    pairs = "class,mistaken for,images,in % of its images\nx,y,3,30.0\ny,x,1,10.0\n"
    assert mistakes_in_words(matrix).endswith(": c for a (9 images), a for b (2 images).")
    assert mistakes_in_words(pairs).endswith(": x for y (3 images), y for x (1 image).")
    assert mistakes_in_words("class,a,b\na,5,0\nb,0,5\n") == "It makes no mistake on these images."
    assert mistakes_in_words("") == ""


def test_differences_of_two_networks():
    one, other = load_spec("iformer_t"), load_spec("iformer_s")
    rows = {row[0]: row[1:] for row in differences(one, other)}
    assert rows["widths"] == [", ".join(str(stage.width) for stage in spec.stages) for spec in (one, other)]
    assert "image" not in rows
    assert differences(one, one) == []


def test_a_fit_that_says_little():
    assert fit_in_words({"mape": None, "spearman": 0.5}) == [
        "Their order is right to a rank correlation of 0.500 (1 is perfect)."
    ]
    assert fit_in_words({}) == ["How well it predicts has not been judged."]


# --- in a browser ----------------------------------------------------------------------------------------------------

PROBE = """
const results = {};
const press = (node, key) => node.dispatchEvent(new (node.ownerDocument.defaultView.KeyboardEvent)("keydown", { key }));
function look(frame) {
  const doc = frame.contentDocument;
  return {
    drawn: doc.documentElement.dataset.drawn,
    title: doc.title,
    requests: frame.contentWindow.performance.getEntriesByType("resource").length,
    wide: doc.documentElement.scrollWidth > doc.documentElement.clientWidth,
    trained: [...doc.querySelectorAll("#front-chart .for-trained")].map((one) => one.textContent),
    marks: doc.querySelectorAll("#front-chart .mark.trained").length,
    curves: doc.querySelectorAll(".small-charts .curve").length,
    stages: doc.querySelectorAll("#beside .stage").length,
    columns: [...doc.querySelectorAll("#beside select")].map((one) => one.selectedOptions[0].textContent),
  };
}
function use(doc) {
  const card = () => doc.querySelector("#front-card h3").textContent;
  const done = { first: card() };
  const at = doc.querySelector("#front-chart .marks .mark.trained").getBoundingClientRect();
  const where = { clientX: (at.left + at.right) / 2, clientY: (at.top + at.bottom) / 2 };
  doc.querySelector("#front-chart svg").dispatchEvent(new PointerEvent("pointermove", where));
  done.hovered = card();
  press(doc.querySelector("#front-chart svg"), "Home");
  done.leftmost = card();
  const curve = doc.querySelector("#curve-0 svg");
  curve.dispatchEvent(new PointerEvent("pointermove", { clientX: curve.getBoundingClientRect().left + 46 }));
  done.curve = doc.querySelector("#curve-0 .legend").textContent;
  doc.querySelector('[data-copies="commands-1"]').click();
  done.copied = doc.getSelection().toString();
  return done;
}
addEventListener("load", () => {
  for (const frame of document.querySelectorAll("iframe")) results[frame.id] = look(frame);
  results.used = use(document.getElementById("desk").contentDocument);
  document.getElementById("results").textContent = JSON.stringify(results);
});
"""


@pytest.fixture(scope="module")
def seen(whole, tmp_path_factory):
    away = tmp_path_factory.mktemp("browser")
    hostile = make_folder(away / "hostile", classes=("0", HOSTILE, "x" * 300), space=HOSTILE)
    alone = shutil.copytree(whole / "networks", away / "alone" / "networks").parent
    pages = {"desk": (whole, 1440), "phone": (whole, 390), "hostile": (hostile, 390), "alone": (alone, 800)}
    (away / "empty").mkdir()
    pages["empty"] = (away / "empty", 390)
    return shown({name: (report_html(folder), width) for name, (folder, width) in pages.items()}, PROBE, away)


def test_every_page_is_drawn_without_requests_or_errors(seen):
    for name in ("desk", "phone", "hostile", "alone", "empty"):
        assert (seen[name]["drawn"], seen[name]["requests"], seen[name]["wide"]) == ("yes", 0, False), name
    assert seen["console"] == []
    assert seen["hostile"]["title"] == f"{HOSTILE.rpartition(chr(47))[2]} on digits: report"


def test_what_the_browser_shows(seen):
    for name in ("desk", "phone"):
        assert seen[name]["trained"] == ["best, trained", "other, trained"]
        assert seen[name]["columns"][0].startswith("network 2, 99.00 %")
        assert seen[name]["columns"][1] == "iformer_t"
        assert seen[name]["stages"] == 2 + 4 + 2 * 2
        assert seen[name]["curves"] == 2 * (3 + 1 + 2 + 2)  # each in the chart and in its legend
    assert seen["alone"]["trained"] == ["best, trained", "other, trained"]
    assert seen["empty"]["curves"] == 0


def test_how_the_page_is_used(seen):
    used = seen["used"]
    assert used["first"] == "network 2"
    assert used["hovered"] == "best, trained"
    assert used["leftmost"] in ("network 2", "best, trained")  # the same network: one costs what the other does
    assert used["curve"].endswith("epoch 10.0")
    assert used["copied"].splitlines() == ["python supernet.py one", "python supernet.py two"]
