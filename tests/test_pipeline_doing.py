"""Stages are done once, and again when what they depend on has changed; what was made before is kept."""

import json
import os
import shutil
import signal
import sys
import threading
import time
from dataclasses import replace

import pytest

from pipeline.asked import Asked
from pipeline.doing import do, put_aside_others, why
from pipeline.records import Records, changes
from pipeline.running import run, shown
from pipeline.stage import Command, Stage, digest, flat, inputs
from search.config import OptunaConfig, SearchConfig
from supernet import load_space, save_space
from supernet.values import UserError

COUNT = "import sys; open(sys.argv[1], 'a').write(sys.argv[2])"


@pytest.fixture
def world(tmp_path):
    """Two stages, of which the second reads what the first one makes."""
    (tmp_path / "source.txt").write_text("one")

    def stage(name, letter, reads, anew=("*",), **options):
        folder = tmp_path / "out" / name
        made = folder / "made.txt"
        command = Command((sys.executable, "-c", COUNT, str(made), letter))
        return Stage(name, f"makes {name}", folder, (command,), options, reads, (made,), anew)

    def stages(first="a", speed=1, fresh=0, second="b"):
        one = stage("one", first, {"source.txt": tmp_path / "source.txt"}, speed=speed)
        two = stage("two", second, {"one/made.txt": one.makes[0]}, ("file *",), speed=1, fresh=fresh)
        return one, two

    return Records(tmp_path / "out"), stages


def done(records, *stages, **how):
    for number, stage in enumerate(stages, start=1):
        do(stage, number, f"[{number}]", records, **how)
    return [stage.makes[0].read_text() for stage in stages]


def test_nothing_is_done_twice(world, capsys):
    records, stages = world
    assert done(records, *stages()) == ["a", "b"]
    capsys.readouterr()
    assert done(records, *stages()) == ["a", "b"]
    said = capsys.readouterr().out
    assert said.count("there already") == 2
    assert "$" not in said


def test_only_what_depends_on_a_change_is_done_again(world, capsys):
    records, stages = world
    done(records, *stages())
    capsys.readouterr()
    # The first makes the same as before, so the second still holds.
    assert done(records, *stages(speed=2)) == ["a", "b"]
    said = capsys.readouterr().out
    assert "[1]: makes one (speed was 1, now 2)" in said
    assert "[2]: there already" in said
    assert done(records, *stages(first="A", speed=3)) == ["A", "b"]
    assert "[2]: makes two (one/made.txt changed)" in capsys.readouterr().out


def test_a_stage_may_go_on_in_its_folder(world):
    records, stages = world
    done(records, *stages())
    assert done(records, *stages(fresh=1, second="c")) == ["a", "bc"]


def test_a_changed_file_is_noticed(world, tmp_path, capsys):
    records, stages = world
    done(records, *stages())
    (tmp_path / "source.txt").write_text("two")
    done(records, *stages())
    assert "[1]: makes one (source.txt changed)" in capsys.readouterr().out


def test_an_earlier_result_comes_back(world, tmp_path, capsys):
    records, stages = world
    done(records, *stages(speed=1))
    done(records, *stages(first="A", speed=2))
    assert len(list((tmp_path / "out" / "earlier").iterdir())) == 2
    capsys.readouterr()
    assert done(records, *stages(speed=1)) == ["a", "b"]
    said = capsys.readouterr().out
    assert said.count("an earlier result is in its place again") == 2
    assert "$" not in said
    assert done(records, *stages(first="A", speed=2)) == ["A", "b"]


def test_what_is_asked_for_again_is_done_again(world, capsys):
    records, stages = world
    done(records, *stages())
    done(records, *stages(), again=True)
    assert capsys.readouterr().out.count("(asked for again)") == 2


FAILS = Command((sys.executable, "-c", "raise SystemExit(2)"))


def test_what_is_asked_for_again_and_stopped_goes_on(world, tmp_path, capsys):
    """What was finished before is kept until there is something else that is finished."""
    records, stages = world
    one, _ = stages()
    done(records, one)
    with pytest.raises(UserError, match="ended with status 2"):
        done(records, replace(one, commands=(*one.commands, FAILS)), again=True)
    (earlier,) = (tmp_path / "out" / "earlier").iterdir()
    assert json.loads((earlier / "record.json").read_text())["finished"] is not None
    other, _ = stages(speed=2)
    done(records, other)
    assert done(records, one) == ["a"], "the finished one comes back, not the one that was stopped"
    with pytest.raises(UserError, match="ended with status 2"):
        done(records, replace(one, commands=(*one.commands, FAILS)), again=True)
    capsys.readouterr()
    assert done(records, one, again=True) == ["aa"]
    assert "(goes on)" in capsys.readouterr().out


def test_a_lost_result_is_made_again(world, capsys):
    records, stages = world
    one, two = stages()
    done(records, one, two)
    two.makes[0].unlink()
    assert done(records, one, two) == ["a", "b"]
    assert "made.txt is missing)" in capsys.readouterr().out


def test_an_unfinished_stage_goes_on(world, capsys):
    records, stages = world
    one, _ = stages()
    broken = replace(one, commands=(*one.commands, FAILS), written={records.out / "one.yaml": ""})
    with pytest.raises(
        UserError, match=r"^one: the command above ended with status 2, and said why; its options, .*/one.yaml"
    ):
        done(records, broken)
    assert records.of("one").finished is None
    assert done(records, one) == ["aa"]
    assert "(goes on)" in capsys.readouterr().out
    assert records.of("one").finished is not None


def test_what_the_config_has_no_more_is_put_aside_and_comes_back(world, capsys):
    """The page would show it otherwise."""
    records, stages = world
    one, two = stages()
    done(records, one, two)
    put_aside_others([one], records)
    assert capsys.readouterr().out.endswith("two: not asked for any more, and kept in " + f"{records.earlier}\n")
    assert (one.folder.exists(), two.folder.exists(), records.names()) == (True, False, {"one"})
    assert done(records, one, two) == ["a", "b"]
    put_aside_others([one, two], records)
    assert "is in its place again" in (said := capsys.readouterr().out)
    assert "kept in" not in said


@pytest.mark.parametrize("name", ["networks/../..", "/precious", "..", ""])
def test_a_record_names_no_folder_outside(world, tmp_path, name):
    records, stages = world
    one, _ = stages()
    done(records, one)
    file = tmp_path / "out" / "stages" / "x.json"
    file.write_text(json.dumps(json.loads((tmp_path / "out" / "stages" / "one.json").read_text()) | {"name": name}))
    assert records.names() == {"one"}


def test_a_folder_of_somebody_else_is_left_alone(world):
    records, stages = world
    one, _ = stages()
    one.folder.mkdir(parents=True)
    (one.folder / "precious.txt").write_text("mine")
    with pytest.raises(UserError, match="is not from this pipeline: move it away"):
        done(records, one)
    assert (one.folder / "precious.txt").read_text() == "mine"


def test_what_a_stage_reads_must_be_there(world):
    records, stages = world
    with pytest.raises(UserError, match=r"two: .*made.txt is missing, which"):
        done(records, stages()[1])


@pytest.mark.parametrize("damage", [lambda text: "{", lambda text: text.replace(": {", ": [").replace("}", "]", 1)])
def test_a_damaged_record_is_as_good_as_none(world, tmp_path, damage):
    records, stages = world
    one, _ = stages()
    done(records, one)
    file = tmp_path / "out" / "stages" / "one.json"
    file.write_text(damage(file.read_text()))
    assert records.of("one") is None
    assert why(one, inputs(one), records).makes_place


def test_the_record_says_what_was_run(world):
    records, stages = world
    one, _ = stages()
    done(records, one)
    record = records.of("one")
    assert record.commands == [shown(one.commands[0])]
    assert record.inputs["speed"] == 1
    assert record.seconds > 0


def test_output_goes_into_a_file(tmp_path):
    file = tmp_path / "new" / "said.txt"
    run(Command((sys.executable, "-c", "print('hello')"), into=file))
    assert file.read_text() == "hello\n"


def test_a_command_that_is_not_there():
    with pytest.raises(UserError, match="no_such_program can't be started: No such file"):
        run(Command(("no_such_program",)))


@pytest.mark.parametrize("status", [130, -signal.SIGTERM])
def test_a_stopped_command_stops_the_pipeline(status):
    end = f"import os, signal; os.kill(os.getpid(), {-status})" if status < 0 else f"raise SystemExit({status})"
    with pytest.raises(KeyboardInterrupt):
        run(Command((sys.executable, "-c", end)))


@pytest.fixture
def _python_answers_ctrl_c():
    """Whatever another test has left."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_python_answers_ctrl_c")
def test_a_signal_to_the_pipeline_alone_stops_it_after_the_command():
    program = "import os, signal, time; os.kill(os.getppid(), signal.SIGINT); time.sleep(0.2)"
    with pytest.raises(KeyboardInterrupt):
        run(Command((sys.executable, "-c", program)))


@pytest.mark.usefixtures("_python_answers_ctrl_c")
def test_a_command_that_goes_on_after_ctrl_c_is_asked_by_sigterm(monkeypatch):
    """The pipeline alone got Ctrl-C: from another program, not from the terminal."""
    monkeypatch.setattr("pipeline.running.PATIENCE_S", 0.2)
    program = "import os, signal, time; os.kill(os.getppid(), signal.SIGINT); time.sleep(60)"
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(Command((sys.executable, "-c", program)))
    assert time.monotonic() - began < 30


def test_sigterm_reaches_the_command(tmp_path):
    """A cluster ends a job so; the command that runs must write its checkpoint."""
    ready, written = tmp_path / "ready", tmp_path / "written"
    program = f"""
import pathlib, signal, sys, time
def end(*_):
    pathlib.Path({str(written)!r}).touch()
    sys.exit(130)
signal.signal(signal.SIGTERM, end)
pathlib.Path({str(ready)!r}).touch()
time.sleep(60)
"""

    def ask_to_stop():
        while not ready.exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    asking = threading.Thread(target=ask_to_stop)
    asking.start()
    with pytest.raises(KeyboardInterrupt):
        run(Command((sys.executable, "-c", program)))
    asking.join()
    assert written.exists()


def test_files_that_are_new_changed_or_gone():
    before, now = {"file a": "1", "file b": "1", "file d": ""}, {"file b": "2", "file c": "1", "file d": ""}
    assert [clause for _, clause in changes(before, now)] == ["a is read no more", "b changed", "c is new"]
    assert [clause for _, clause in changes(before, before | {"file a": ""})] == ["a is not there"]


def test_classes_that_are_counted(world, tmp_path, capsys):
    """To say the number that was counted changes nothing; other images do."""
    records, stages = world
    one, _ = stages()
    trained = tmp_path / "space.yaml"

    def with_classes(said):
        return replace(one, options={"data.num_classes": said}, counts=trained)

    def is_done(stage):
        capsys.readouterr()
        done(records, stage)
        return "there already" not in capsys.readouterr().out

    assert is_done(with_classes(0)), "nothing is counted yet"
    save_space(load_space("tiny").with_(num_classes=10), trained)
    assert [is_done(with_classes(said)) for said in (0, 10, 0)] == [False, False, False]
    assert is_done(with_classes(12))
    assert is_done(with_classes(10)) is False, "it comes back"
    table = replace(with_classes(0), name="two", folder=tmp_path / "out" / "two")
    assert is_done(table)
    save_space(load_space("tiny").with_(num_classes=12), trained)
    assert why(table, inputs(table), records).reason == "data.num_classes was 10, now 12"


def test_a_stage_goes_on_from_an_earlier_result(world, capsys):
    """That of other options, as it would go on in its place."""
    records, stages = world
    one, two = stages()
    done(records, one, two)
    put_aside_others([one], records)
    assert done(records, *stages(fresh=1, second="c")) == ["a", "bc"]
    said = capsys.readouterr().out
    assert "[2]: an earlier result is in its place again\n[2]: makes two (fresh was 0, now 1)" in said


def test_a_folder_that_was_removed_is_made_anew(world, capsys):
    """By somebody who wants it anew: an earlier result is not meant."""
    records, stages = world
    one, _ = stages()
    done(records, one)
    done(records, one, again=True)
    shutil.rmtree(one.folder)
    capsys.readouterr()
    done(records, one)
    assert "made.txt is missing)" in (said := capsys.readouterr().out)
    assert "earlier" not in said


def test_a_table_that_the_config_names_stays(world):
    records, stages = world
    one, two = stages()
    done(records, one, two)
    reader = replace(one, name="three", reads={"given table of host": two.makes[0]})
    put_aside_others([one, reader], records)
    assert two.makes[0].exists()


def test_a_stage_has_the_number_of_the_last_run(world):
    records, stages = world
    one, two = stages()
    done(records, one, two)
    do(two, 7, "[7]", records)
    assert (records.of("two").number, records.of("one").number) == (7, 1)


def test_what_was_asked_for_again_and_is_done_is_not_done_again(tmp_path):
    """As the command was stopped, and is given again."""
    (tmp_path / "stages").mkdir()
    asked = Asked(tmp_path, {"networks/best", "networks/front"})
    asked.was_done("networks/best")
    assert Asked(tmp_path, {"networks/best", "networks/front"}).left == {"networks/front"}
    assert Asked(tmp_path, {"search"}).left == {"search"}, "something else is asked for"
    asked = Asked(tmp_path, {"networks/best", "networks/front"})
    for name in ("networks/best", "networks/front"):
        asked.was_done(name)
    assert Asked(tmp_path, {"networks/best", "networks/front"}).left == {"networks/best", "networks/front"}


def test_options_are_named_one_by_one():
    options = dict(flat(SearchConfig(supernet="x", method=OptunaConfig(batch=3))))
    assert options["method.kind"] == "optuna"
    assert options["method.batch"] == 3
    assert options["constraints"] == []
    assert json.loads(json.dumps(options)) == options


def test_a_digest_is_of_names_and_contents(tmp_path):
    (tmp_path / "a").write_text("1")
    first = digest(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert digest(tmp_path) != first
    (tmp_path / ".lock").touch()
    (tmp_path / "b").rename(tmp_path / "a")
    assert digest(tmp_path) == first
    assert digest(tmp_path / "none") == ""


def test_a_digest_of_yaml_leaves_comments_out(tmp_path):
    """Those of a found network say why it is the best, which another budget changes."""
    file = tmp_path / "best.yaml"
    file.write_text("# the best: within 9 k\nfamily: iformer  # it is\n")
    first = digest(file)
    file.write_text("# the best: within 8 k\nfamily: iformer  # it is\n")
    assert digest(file) == first
    file.write_text("family: lowformer\n")
    assert digest(file) != first
