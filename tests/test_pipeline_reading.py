"""One config for all commands: what it gives each of them, and what it refuses before anything runs."""

import sys

import pytest
from made_pipeline import make_table

from pipeline.__main__ import main
from pipeline.checking import check, check_measuring
from pipeline.doing import do
from pipeline.reading import PIPELINES, load_pipeline
from pipeline.records import Records, changes
from pipeline.saying import ended
from pipeline.stage import inputs
from pipeline.stages import stages
from supernet import SpecError, parse_space
from supernet.plain_yaml import write_yaml
from supernet.values import UserError

DIGITS = """
space: tiny
data: {source: digits, held_out: 200}
devices: [{name: host}]
budget: [params <= 15 k]
supernet: {like: digits}
search: {like: digits}
retrain: {like: digits}
"""


@pytest.fixture
def written(tmp_path):
    def write(more="", text=DIGITS):
        path = tmp_path / "mine.yaml"
        path.write_text(text + more)
        return path

    return write


def test_what_is_said_once_reaches_every_command(written):
    pipeline = load_pipeline(written())
    assert pipeline.supernet.space == "tiny"
    assert (pipeline.supernet.data.source, pipeline.supernet.data.held_out) == ("digits", 200)
    assert pipeline.search.constraints == ("params <= 15 k",)
    assert pipeline.search.objectives == ("accuracy", "latency host", "params")
    assert pipeline.search.measure == "host"
    assert pipeline.recipe["data"] == {"source": "digits"}, "networks learn from held-out images, too"


def test_a_section_wins_over_what_it_is_like(written):
    path = written("", DIGITS.replace("supernet: {like: digits}", "supernet: {like: digits, schedule: {epochs: 3}}"))
    pipeline = load_pipeline(path, ["retrain.optimizer.lr=0.5", "search.method={kind: random}", "data.held_out=100"])
    assert (pipeline.supernet.schedule.epochs, pipeline.supernet.schedule.warmup_epochs) == (3, 2)
    assert pipeline.recipe["optimizer"]["lr"] == 0.5
    assert pipeline.supernet.data.held_out == 100


def test_a_method_of_another_kind_has_its_own_options(written):
    text = DIGITS.replace("search: {like: digits}", "search: {like: digits, method: {kind: slimming, actions: 4}}")
    assert load_pipeline(written("", text)).search.method.actions == 4


def test_a_batch_may_differ_between_stages(written):
    text = DIGITS.replace("retrain: {like: digits}", "retrain: {like: digits, data: {batch_size: 32}}")
    pipeline = load_pipeline(written("", text))
    assert pipeline.recipe["data"]["batch_size"] == 32
    assert pipeline.supernet.data.batch_size == 64


def test_the_whole_config_is_read_as_the_same_pipeline(written):
    pipeline = load_pipeline(written(), ["supernet.schedule.epochs=7", "networks.front=2"])
    again = load_pipeline(written("", write_yaml(pipeline.plain())))
    assert again == pipeline
    assert again.plain() == pipeline.plain()


@pytest.mark.parametrize("path", sorted(PIPELINES.glob("*.yaml")), ids=lambda path: path.stem)
def test_pipelines_that_come_along(path, tmp_path):
    pipeline = load_pipeline(path.stem)
    kinds = [stage.kind for stage in stages(pipeline, tmp_path)]
    networks = ["networks"] * (1 + len(pipeline.shared.networks.beside) + bool(pipeline.shared.networks.front))
    devices = ["tables"] * len(pipeline.shared.devices)
    assert kinds == ["supernet", *devices, "search", *networks, "judged", "packages"]


@pytest.mark.parametrize(
    ("override", "matters"),
    [
        ("supernet.data.workers=2", set()),
        ("data.num_classes=10", set()),
        ("supernet.log.every=5", set()),
        ("retrain.log.every=5", set()),
        ("retrain.processes.cpus=2", set()),
        ("supernet.processes.count=2", {"supernet"}),
        ("retrain.schedule.epochs=3", {"networks/best", "networks/iformer_t", "networks/front"}),
        ("search.evaluations=7", {"search"}),
        ("networks.front=2", {"networks/front"}),
        ("networks.from_supernet=false", {"networks/best", "networks/front"}),
        ("networks.beside=[]", {"networks/iformer_t"}),
    ],
)
def test_what_makes_another_result(written, tmp_path, override, matters):
    whole = ["networks.front=1", "networks.beside=[iformer_t]"]
    before, now = (
        {stage.name: dict(stage.options) for stage in stages(load_pipeline(written(), changes), tmp_path)}
        for changes in (whole, [*whole, override])
    )
    assert {name for name in {*before, *now} if before.get(name) != now.get(name)} == matters


def test_what_reads_the_results_of_others(written, tmp_path):
    pipeline = load_pipeline(written(), ["networks.front=1", "networks.beside=[iformer_t]"])
    found = {one.name: one.makers for one in stages(pipeline, tmp_path)}
    assert found["supernet"] == set() == found["networks/iformer_t"]
    assert found["tables/host"] == set(), "it is known that there are 10 classes"
    assert found["search"] == {"supernet", "tables/host"}
    assert found["networks/front"] == {"supernet", "search"}
    assert found["judged"] == {"networks/best", "networks/iformer_t"}
    assert found["packages"] == {"search", "networks/best"}


FOLDER = ["data.source=folder", "data.path=/nowhere"]


def test_a_table_needs_the_supernet_where_classes_are_counted(written, tmp_path):
    counted, said = (
        next(stage for stage in stages(load_pipeline(written(), changes), tmp_path) if stage.kind == "tables")
        for changes in (FOLDER, [*FOLDER, "data.num_classes=7"])
    )
    assert (list(counted.needs), list(said.needs)) == (["supernet/space.yaml"], [])
    (space,) = said.written.values()
    assert parse_space(space).num_classes == 7
    with pytest.raises(
        UserError, match=r"space.yaml is missing, which the stage supernet makes: .*, or say data.num_cl"
    ):
        do(counted, 1, "", Records(tmp_path))


def test_a_table_is_measured_where_the_images_are_not(written, tmp_path, capsys):
    arguments = [str(written()), "--out", str(tmp_path / "out"), "--plan", *(f"--set={one}" for one in FOLDER)]
    assert main([*arguments, "--only", "tables"]) == 0
    assert "[2/7] tables/host: measures" in capsys.readouterr().out
    assert main([*arguments, "--only", "tables", "search"]) == 2
    assert "data.path: there is no /nowhere" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("space: tiny", "space: tny"), "mine.yaml: space: tny: no space has this name, did you mean 'tiny'?"),
        (("space: tiny\n", ""), "mine.yaml: the field 'space' is missing"),
        (("budget", "budgets"), "mine.yaml: budgets: there is no such field, did you mean 'budget'?"),
        (("{name: host}", "{name: host, by: cpu}"), "devices[0].by: 'cpu' is not one of onnxruntime"),
        (("{name: host}", "{name: ../x}"), "devices[0].name: '../x' is no name of a device"),
        (("[{name: host}]", "[{name: a}, {name: a}]"), "devices[1].name: 'a' is there twice"),
        (("{name: host}", "{name: host, table: no.sqlite}"), "devices[0].table: there is no file no.sqlite"),
        (("supernet: {like: digits}", "supernet: {like: digts}"), "supernet.like: 'digts': no config has this name"),
        (("supernet: {like: digits}", "supernet: 3"), "mine.yaml: supernet: 3 can't stand here"),
        (
            ("supernet: {like: digits}", "supernet: {schedule: {epoch: 3}}"),
            "mine.yaml: supernet: schedule.epoch: there is no such field, did you mean 'epochs'?",
        ),
        (
            ("supernet: {like: digits}", "supernet: {space: tiny}"),
            "mine.yaml: supernet.space: is said once for all stages, by `space` outside of the section",
        ),
        (
            ("search: {like: digits}", "search: {constraints: []}"),
            "mine.yaml: search.constraints: is said once for all stages, by `budget` outside of the section",
        ),
        (
            ("retrain: {like: digits}", "retrain: {like: digits, data: {path: x}}"),
            "mine.yaml: retrain.data.path: is said once for all stages, by `data.path` outside of the section",
        ),
        (("retrain: {like: digits}", "retrain: {spec: x}"), "retrain.spec: is not said: a stage before gives it"),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
def test_what_is_wrong(written, change, said):
    with pytest.raises(SpecError) as error:
        load_pipeline(written("", DIGITS.replace(*change)))
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("path", "said"),
    [("", "data.path: is missing: this source needs"), ("no/images", "data.path: there is no no/images")],
)
def test_images_that_are_not_there(written, path, said):
    pipeline = load_pipeline(written(), ["data.source=folder", f"data.path={path}"])
    with pytest.raises(SpecError, match=f"^{said}"):
        check(pipeline)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("supernet.schedule.warmup_epochs=30", "supernet.schedule.warmup_epochs: 30 are not fewer than 20 epochs"),
        ("retrain.schedule.warmup_epochs=30", "retrain.schedule.warmup_epochs: 30 are not fewer than"),
        ("supernet.schedule.min_lr=1", "supernet.schedule.min_lr: 1 is above the highest rate"),
        ("devices=[{name: host, protocol: [round=3]}]", "devices[0].protocol: 'round=3' is not NAME=VALUE with one of"),
        ("launch=[torchrn]", "launch: there is no program 'torchrn'"),
        ("data.num_classes=5", "data.num_classes: 5 is too few: the digits have 10 classes"),
        ("retrain.optimizer.name=adamww", "retrain.optimizer.name: 'adamww' is none of timm's: did you mean 'adamw'"),
    ],
)
def test_what_would_fail_after_hours(written, override, said):
    pipeline = load_pipeline(written(), ["networks.beside=[iformer_t]", override])
    with pytest.raises(SpecError) as error:
        check(pipeline)
    assert str(error.value).startswith(said)


def test_a_variant_of_the_recipe_that_would_fail(written):
    more = "retrain: {like: digits, variants: {iformer_t: {schedule: {warmup_epochs: 99}}}}"
    pipeline = load_pipeline(
        written("", DIGITS.replace("retrain: {like: digits}", more)), ["networks.beside=[iformer_t]"]
    )
    with pytest.raises(SpecError, match=r"^retrain.variants.iformer_t.schedule.warmup_epochs: 99 are not fewer"):
        check(pipeline)


def test_only_what_is_measured_now_must_be_within_reach(written, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    text = DIGITS.replace("[{name: host}]", "[{name: host}, {name: phone, by: iphone}, {name: gpu, by: cuda}]")
    devices = {one.name: one for one in load_pipeline(written("", text)).shared.devices}
    check_measuring([devices["host"]], tmp_path)
    with pytest.raises(UserError, match=r"^phone: iphone is measured from a Mac"):
        check_measuring(devices.values(), tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match=r"^gpu: cuda is not here"):
        check_measuring([devices["gpu"]], tmp_path)


@pytest.mark.parametrize(
    ("override", "is_anew"),
    [
        ("budget=[params <= 9 k]", False),
        ("search.evaluations=7", False),
        ("search.objectives=[accuracy, params]", True),
        ("search.accuracy.calibration_images=99", True),
        ("devices=[{name: host}, {name: other}]", True),  # whose latency is an objective then
    ],
)
def test_a_search_of_another_problem_has_a_folder_of_its_own(written, tmp_path, override, is_anew):
    """A study refuses it."""
    before, now = (
        next(stage for stage in stages(load_pipeline(written(), changed), tmp_path) if stage.name == "search")
        for changed in ([], [override])
    )
    changed = [name for name, _ in changes(inputs(before), inputs(now))]
    assert changed
    assert now.makes_place(changed) == is_anew


def test_a_family_without_a_recipe(written):
    text = DIGITS.replace("space: tiny", "space: hybrid").replace("retrain: {like: digits}", "")
    with pytest.raises(
        SpecError, match=r"mine.yaml: retrain: no config is usual for this space; name one, such as `re"
    ):
        load_pipeline(written("", text))


def test_a_table_of_other_classes_or_another_space(written, tmp_path):
    """Hours before the search would ask it."""
    make_table(tmp_path / "host")
    table = f"devices=[{{name: host, table: {tmp_path / 'host' / 'table.sqlite'}}}]"
    check(load_pipeline(written(), [table]))
    with pytest.raises(SpecError, match=r"^devices\[0\].table: .* lacks 3 of 45 .* head .* for 12 classes; plan"):
        check(load_pipeline(written(), [table, "data.num_classes=12"]))
    with pytest.raises(SpecError, match=r"lacks \d+ of \d+ parts of the space, such as stem .* 16x16; plan the space"):
        check(load_pipeline(written(), [table, "space=cifar", "budget=[]"]))


def test_the_end_says_what_is_to_do(written, tmp_path):
    pipeline = load_pipeline(written())
    said = ended(pipeline, tmp_path, 3.0, ["search", "networks"])
    assert said.endswith("to do: search, networks; next, the same command without --only")
    assert ended(pipeline, tmp_path, 3.0).endswith("--set data.path=FOLDER --plan")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("supernet.schedule.epoch=3", "--set supernet.schedule.epoch=3: there is no field 'epoch' in schedule"),
        ("search.evaluations=x", "--set search.evaluations=x: evaluations: 'x' can't stand here"),
        ("networks.front=-1", "--set networks.front=-1"),
        ("supernet.space=tiny", "supernet.space: is said once"),
        ("supernet={like: digits}", "--set supernet={like: digits}: a section has options, such as supernet.like"),
        ("nothing", "--set nothing: is not of the form a.b=c"),
    ],
)
def test_what_is_wrong_on_the_command_line(written, override, said):
    with pytest.raises(SpecError) as error:
        load_pipeline(written(), [override])
    assert said in str(error.value)
