"""The folder of a pipeline that never ran: small files as its stages leave them, for the page that shows them."""

from __future__ import annotations

import json
import random

from judged_runs import tiny_spec

from latency_lut.plan import make_plan
from latency_lut.protocol import Burst, Protocol
from latency_lut.table.store import Store
from search.problem import parse_constraint
from search.results import Batch, Comparison, Evaluated, Findings, Interval
from search.results.report import report_html
from supernet import count, load_space, save_spec

SPACE = load_space("tiny")
LATENCY = "latency host"
BUDGET = ("params <= 15 k", f"{LATENCY} <= 100 ms", "accuracy >= 99.9 %")
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 30"><rect id="a" width="9" height="9"/></svg>'
BEST = tiny_spec()


def make_folder(folder, classes=("0", "1", "2"), space="tiny"):
    """`classes` are those of a confusion matrix, whatever the networks know."""
    write(
        folder / "config.yaml", f"space: {json.dumps(space)}\ndata: {{source: digits}}\nbudget: {json.dumps(BUDGET)}\n"
    )
    write_json(folder / "environment.json", {"torch": "2.14.1", "git_changed": False, "cuda": None})
    for number, name in enumerate(("supernet", "tables/host", "search", "networks/best"), start=1):
        stage = {
            "number": number,
            "name": name,
            "title": f"does {name}",
            "commands": [f"python {name}.py one", f"python {name}.py two"],
            "started": "2026-11-22T10:00:00",
            "finished": None if name == "networks/best" else f"2026-11-22T10:0{number}:00",
            "seconds": 30.0 * number,
        }
        write_json(folder / "stages" / f"{name.replace('/', '_')}.json", stage)
    write(folder / "supernet" / "log.jsonl", log(["largest", "smallest", "random 1", "random 2"]))
    make_table(folder / "tables" / "host")
    make_search(folder / "search")
    make_network(folder / "networks" / "best", BEST, 98.5)
    make_network(folder / "networks" / "other", SPACE.largest(), 99.25)
    for name, right in (("best", 9), ("other", 10)):
        make_judged(folder / "judged" / name, classes, right)
    write(folder / "packages" / "best.onnx", "x" * 2500)
    compared = {"ok": True, "error": 5e-7, "tolerance": 1e-5, "images": 32, "what": "validation image"}
    write_json(folder / "packages" / "best.onnx.json", compared | {"same_class": 31, "source_top1": 96.9})
    return folder


def make_network(run, spec, top1):
    run.mkdir(parents=True)
    save_spec(spec, run / "spec.yaml")
    write_json(run / "results.json", {"top1": top1, "top5": 100.0, "loss": 0.1})
    write(run / "log.jsonl", log(["network"]))


def log(names):
    """20 epochs of 19 steps, judged after ten and after twenty."""
    lines = []
    for step in range(10, 381, 10):
        lines.append({"kind": "step", "step": step, "epoch": (step - 1) // 19, "losses": {names[0]: 2 / step}})
        if step % 190 == 0:
            rows = [{"name": name, "top1": 90 + step / 95 + at} for at, name in enumerate(names)]
            lines.append({"kind": "evaluation", "step": step, "rows": rows})
    return "".join(f"{json.dumps(line)}\n" for line in lines) + '{"kind": "st'


def make_table(folder):
    folder.mkdir(parents=True)
    plan, draw = make_plan([SPACE], networks=12), random.Random(0)
    with Store(folder / "table.sqlite", create=True) as store:
        collection = store.collection({"device": "onnx", "model": "a computer", "threads": 1}, Protocol(), "a test")
        with store.writing():
            numbers = store.add_items(plan.items)
            attempt = store.begin_stretch(collection, 0, plan.anchor.id, 1.0)
            for item in plan.items:
                ms = (item.copies or 5) * draw.uniform(1, 1.1)
                store.add_burst(collection, numbers[item], 0, attempt, Burst(ms, ms, ms, 8, 0.01), {})
            store.end_stretch(collection, 0, attempt, 1.0, "accepted")
    fit = {"device": "onnx, a computer", "held_out": "one at a time", "networks": 12, "mape": 0.008, "worst": 0.029}
    write_json(folder / "fit.json", fit | {"within_5": 1.0, "spearman": 0.9972, "sum_mape": 0.026})
    write(folder / "blocks.svg", SVG)


def make_search(folder):
    """Of 12 networks; the third is the best, and is what `networks/best` trained."""
    draw, rows = random.Random(1), []
    for index in range(12):
        spec = BEST if index == 2 else SPACE.sample(draw)
        counted = count(spec)
        metrics = {"params": counted.params, "macs": counted.macs, LATENCY: 0.01 + counted.macs / 1e8}
        ends = {LATENCY: Interval(0.9 * metrics[LATENCY], 1.1 * metrics[LATENCY])}
        accuracy = 99.0 if index == 2 else 90.0 + index / 2
        rows.append(Evaluated(index, tuple(SPACE.encode(spec)), accuracy, metrics, ends, index == 2, index != 5, spec))
    found = Findings(
        space="tiny",
        objectives=("accuracy",),
        constraints=tuple(parse_constraint(limit) for limit in BUDGET[:2]),
        metrics=("params", "macs", LATENCY),
        rows=tuple(rows),
        best=2,
        best_reason="the most accurate",
        command="",
        config="",
        seed=0,
        seconds=12.0,
        history=(Batch(12, 12.0),),
        comparisons=(Comparison(LATENCY, 0.011, 0.0125),),
    )
    write(folder / "report.html", report_html(found))
    save_spec(BEST, folder / "best.yaml")


def make_judged(folder, classes, right):
    """One image of the first class is taken for the last; `right` of the others' diagonal."""
    rows = [["class", *classes]]
    for at, name in enumerate(classes):
        counts = [right if at == other else 0 for other in range(len(classes))]
        counts[-1] += at == 0
        rows.append([name, *map(str, counts)])
    figures = {"model": folder.name, "top1": 95.0, "top5": 100.0, "loss": 0.2, "images": 30}
    write_json(folder / "evaluation.json", figures | {"throughput": {"images_per_second": 1234.5}})
    lines = (",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows)
    write(folder / "confusion.csv", "".join(f"{line}\n" for line in lines))
    write(folder / "confusion.svg", SVG)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_json(path, value):
    write(path, json.dumps(value))
