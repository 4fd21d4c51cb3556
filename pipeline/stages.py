"""The stages of a pipeline, in their order: what each runs, reads and makes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

import supernet
from search.config import TableConfig
from search.reading import format_config as format_search
from supernet import format_space, load_space, published_names
from supernet.config_files import find_file
from supernet.options import Options
from supernet.plain_yaml import write_yaml
from supernet.space.reading import SPACES
from training.reading import format_config

from .config import FORMATS, DeviceConfig
from .reading import Pipeline
from .stage import CLASSES, Command, Stage, flat

ROOT = Path(supernet.__file__).resolve().parents[1]
"""Where the commands' scripts lie."""
BEST = "best"
FRONT = "front"
"""Names of stages for networks, and so none of a network beside them."""
NOT_OF_THE_RESULT = ("data.workers", "log.", "checkpoint.", "processes.", "precision.threads")
"""Options of a training, or what they begin with, that may change without making its result another one; of the
processes all but their number, by which the images of a step are multiplied."""


def stages(pipeline: Pipeline, out: Path) -> list[Stage]:
    """All but the report, which is made of what these leave."""
    made = [_supernet(pipeline, out)]
    made += [_table(pipeline, device, out) for device in pipeline.shared.devices if not device.table]
    made += [_search(pipeline, out), *_networks(pipeline, out), _judged(pipeline, out)]
    return [*made, _packages(pipeline, out)] if pipeline.shared.packages.formats else made


def table_of(device: DeviceConfig, out: Path) -> Path:
    return Path(device.table).expanduser() if device.table else out / "tables" / device.name / "table.sqlite"


def _script(name: str, *words: object, into: Path | None = None) -> Command:
    return Command((sys.executable, str(ROOT / name), *map(str, words)), into)


def _module(name: str, *words: object, into: Path | None = None) -> Command:
    return Command((sys.executable, "-m", name, *map(str, words)), into)


def _training(pipeline: Pipeline, name: str, *words: object) -> Command:
    """By what the user wants training to be started with."""
    start = pipeline.shared.launch or (sys.executable,)
    return Command((*start, str(ROOT / name), *map(str, words)))


def _supernet(pipeline: Pipeline, out: Path) -> Stage:
    config, folder = out / "configs" / "supernet.yaml", out / "supernet"
    name = Path(pipeline.shared.space).stem
    return Stage(
        "supernet",
        f"trains a supernet of the space {name}",
        folder,
        (_training(pipeline, "train_supernet.py", config, "--out", folder),),
        {name: value for name, value in _that_matter(pipeline.supernet).items() if name != "space"}
        | {CLASSES: pipeline.classes},
        {"space": find_file(pipeline.shared.space, SPACES, "space")} | _init(pipeline),
        (folder / "space.yaml", folder / "checkpoints"),
        counts=folder / "space.yaml",
        written={config: format_config(pipeline.supernet)},
    )


def _that_matter(options: Options | Mapping[str, Any]) -> dict[str, Any]:
    known = flat(options)
    return {name: value for name, value in known if name == "processes.count" or not name.startswith(NOT_OF_THE_RESULT)}


def _init(pipeline: Pipeline) -> dict[str, Path]:
    """Weights that a supernet begins with. Images are known by their path only: there may be millions."""
    return {"init": Path(pipeline.supernet.init).expanduser()} if pipeline.supernet.init else {}


def _table(pipeline: Pipeline, device: DeviceConfig, out: Path) -> Stage:
    """Where the config knows how many classes there are, it needs no supernet, and may be measured meanwhile."""
    folder = out / "tables" / device.name
    trained, written = out / "supernet" / "space.yaml", {}
    options = {name: value for name, value in flat(device) if name not in ("name", "table", "device", "jobs")}
    space, needs = trained, {"supernet/space.yaml": trained}
    if pipeline.classes:
        space = out / "configs" / "space.yaml"
        written = {space: format_space(load_space(pipeline.shared.space).with_(num_classes=pipeline.classes))}
        needs = {}
    plan, table = folder / "plan", table_of(device, out)
    form = {"onnxruntime": "onnx", "coreml": "coreml", "iphone": "coreml"}.get(device.by)
    commands = [_module("latency_lut", "plan", space, "--networks", device.networks, "--out", plan)]
    if form is not None:
        commands.append(_module("latency_lut", "export", plan, "--to", form, "--jobs", device.jobs))
    commands.append(_module("latency_lut", "measure", plan, "--table", table, *_measuring(device)))
    drawn, judged = folder / "fit.svg", folder / "fit.json"
    commands.append(_module("latency_lut", "validate", table, "--plot", drawn, "--json", into=judged))
    commands.append(_module("latency_lut", "show", table, "--plot", folder / "blocks.svg", into=folder / "blocks.txt"))
    return Stage(
        f"tables/{device.name}",
        f"measures what the networks' blocks take on {device.name} ({device.by})",
        folder,
        tuple(commands),
        options | {CLASSES: pipeline.classes},
        {"space": find_file(pipeline.shared.space, SPACES, "space")},
        (table, judged),
        anew=("by", "threads", "compute_units", "phone", "file space"),
        counts=trained,
        needs=needs,
        written=written,
    )


def _measuring(device: DeviceConfig) -> Iterator[object]:
    yield from ("--device", device.by)
    if device.by in ("onnxruntime", "torch", "cuda"):
        yield from ("--threads", device.threads)
    else:
        yield from ("--compute-units", device.compute_units)
    if device.by == "iphone":
        for name in ("team", "phone"):
            if getattr(device, name):
                yield from (f"--{name}", getattr(device, name))
    for change in device.protocol:
        yield from ("--protocol", change)


def _search(pipeline: Pipeline, out: Path) -> Stage:
    """Another budget, method or device goes on with what was evaluated; with another supernet, other objectives, or
    accuracies of another kind all of that is worthless, and a study refuses it."""
    config, folder, devices = out / "configs" / "search.yaml", out / "search", pipeline.shared.devices
    tables = tuple(TableConfig(name=one.name, file=str(table_of(one, out)), device=one.device) for one in devices)
    wanted = replace(pipeline.search, supernet=str(out / "supernet"), tables=tables)
    options = dict(flat(pipeline.search)) | {"devices": [[one.name, one.device] for one in devices]}
    reads = {"supernet/checkpoints": out / "supernet" / "checkpoints"}
    reads |= {f"{'given ' if one.table else ''}table of {one.name}": table_of(one, out) for one in devices}
    budget = f" within {' and '.join(pipeline.shared.budget)}" if pipeline.shared.budget else ""
    return Stage(
        "search",
        f"searches the space for the best network{budget}",
        folder,
        (_script("search.py", config, "--out", folder),),
        options,
        reads,
        (folder / "best.yaml", folder / "front.csv", folder / "front"),
        anew=("objectives", "efficiency*", "accuracy.*", "file supernet/checkpoints"),
        written={config: format_search(wanted)},
    )


def _networks(pipeline: Pipeline, out: Path) -> Iterator[Stage]:
    """Each has a stage of its own, so that one more, or another best one, leaves the others as they are."""
    shared, space, recipe = pipeline.shared.networks, pipeline.shared.space, out / "configs" / "retrain.yaml"
    checkpoints = {"supernet/checkpoints": out / "supernet" / "checkpoints"} if shared.from_supernet else {}
    init = ("--set", f"init={out / 'supernet'}") if shared.from_supernet else ()
    recipe_options = {name: value for name, value in _that_matter(pipeline.recipe).items() if name != CLASSES}
    options = {f"retrain.{name}": value for name, value in recipe_options.items()} | {CLASSES: pipeline.classes}
    found = {"networks.from_supernet": shared.from_supernet}

    def stage(name: str, title: str, words: tuple[object, ...], own: dict[str, Any], reads: dict[str, Path]) -> Stage:
        folder = out / "networks" / name
        command = _training(pipeline, "retrain.py", *words, "--recipe", recipe, "--out", folder)
        made = folder if name == FRONT else folder / "results.json"
        return Stage(
            f"networks/{name}",
            title,
            folder,
            (command,),
            options | own,
            reads,
            (made,),
            anew=("retrain.*", CLASSES, "networks.from_supernet", "file supernet/checkpoints")
            if name == FRONT
            else ("*",),
            counts=out / "supernet" / "space.yaml",
            written={recipe: write_yaml(pipeline.recipe)},
        )

    best = out / "search" / "best.yaml"
    yield stage(BEST, "trains the best network", (best, *init), found, {"search/best.yaml": best} | checkpoints)
    largest = max(load_space(space).resolutions)
    for network in shared.beside:
        is_published = network in published_names()
        size = ("--set", f"resolution={largest}") if is_published else ()
        own = {"resolution": largest} if is_published else {}
        file = {} if is_published else {f"network {network}": Path(network)}
        yield stage(Path(network).stem, f"trains {network} to compare with", (network, *size), own, file)
    if shared.front:
        front = out / "search" / "front"
        words = ("--front", front, "--most", shared.front, "--without", best, *init)
        reads = {"search/front": front, "search/best.yaml": best} | checkpoints
        yield stage(FRONT, "trains others of the front", words, found | {"networks.front": shared.front}, reads)


def _judged(pipeline: Pipeline, out: Path) -> Stage:
    runs = [out / "networks" / name for name in (BEST, *(Path(one).stem for one in pipeline.shared.networks.beside))]
    return Stage(
        "judged",
        "judges what was trained on the validation images",
        out / "judged",
        (_script("retrain.py", "--evaluate", *runs, "--out", out / "judged"),),
        {},
        {f"networks/{run.name}": run / "model.safetensors" for run in runs},
        tuple(out / "judged" / (run.name if len(runs) > 1 else "") / "evaluation.json" for run in runs),
    )


def _packages(pipeline: Pipeline, out: Path) -> Stage:
    shared, folder, run = pipeline.shared.packages, out / "packages", out / "networks" / BEST
    commands: list[Command] = []

    def offer(form: str, stem: str, exporting: tuple[object, ...] = (), verifying: tuple[object, ...] = ()) -> Path:
        file = folder / f"{stem}{FORMATS[form]}"
        commands.append(_module("deploy", "export", run, "--to", form, *exporting, "--out", file))
        said = folder / f"{file.name}.json"
        commands.append(_module("deploy", "verify", file, run, "--json", *verifying, into=said))
        return said

    image = ("--image",) if shared.image else ()
    made = [offer(form, BEST, image if form == "coreml" else ()) for form in shared.formats]
    if shared.compress:
        how = (*image, "--compress", shared.compress)
        made.append(offer("coreml", f"{BEST}_{shared.compress}", how, ("--tolerance", shared.tolerance)))
    commands.append(_module("deploy", "card", run, "--search", out / "search", "--out", folder / "card"))
    return Stage(
        "packages",
        f"makes packages of the best network for {' and '.join(shared.formats)}, and compares what they compute",
        folder,
        tuple(commands),
        dict(flat(shared)),
        {"networks/best": run / "model.safetensors", "search/front.csv": out / "search" / "front.csv"},
        (*made, folder / "card"),
    )
