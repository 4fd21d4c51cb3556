"""1,000 damaged files of each kind that runs and searches leave, from weights to evaluations."""

import io
import json
import sqlite3
import zipfile
import zlib
from dataclasses import asdict

import numpy as np
import pytest
import torch
from mutations import damaged_bytes, damaged_data, damaged_json, damaged_text, survives

from deploy.origin import read_classes as read_labels
from pipeline.doing import put_aside_others, why
from pipeline.records import Record, Records
from pipeline.stage import Stage, inputs
from retraining.findings import predictions
from search.storage import StorageError, file_url, open_study
from search.storage.record import read_record
from supernet.values import UserError
from supernet.weights.files import WeightsError, read_state, write_state
from training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from training.checkpoint_file import _END
from training.json_lines import JsonLines
from training.network_folder import read_classes, read_results

STATE = {"stem.weight": torch.arange(24.0).reshape(2, 3, 2, 2), "norm.bias": torch.ones(2), "n": torch.tensor(3)}


def rezipped(content, draw):
    """One file inside is damaged, and the archive is whole: what reads it gets to see the damage."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
        chosen = draw.choice(old.namelist())
        for name in old.namelist():
            inside = old.read(name)
            new.writestr(name, damaged_bytes(inside, draw) if name == chosen else inside)
    return made.getvalue()


@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
def test_damaged_weights(tmp_path, kind):
    path = tmp_path / ("weights.safetensors" if kind == "safetensors" else "weights.pth")
    if kind == "safetensors":
        write_state(STATE, path, {"slimformer_spec": "family: x"})
    else:
        torch.save({"state_dict": STATE, "epoch": 3}, path, _use_new_zipfile_serialization=kind == "zip")
    whole = path.read_bytes()

    def make(draw):
        if kind == "zip" and draw.random() < 0.5:
            content = rezipped(whole, draw)
        elif kind == "safetensors" and draw.random() < 0.5:
            length = int.from_bytes(whole[:8], "little")
            header = damaged_json(json.loads(whole[8 : 8 + length]), draw)
            content = len(header).to_bytes(8, "little") + header + whole[8 + length :]
        else:
            content = damaged_bytes(whole, draw)
        path.write_bytes(content)
        return path

    survives(read_state, make, WeightsError).check()


def test_damaged_checkpoints(tmp_path):
    state = {"net": STATE, "step": 3, "written_for": {"space": "x"}, "sizes": [(1, 2)], "averaged": None}
    path = save_checkpoint(tmp_path, state, step=3, score=0.5, keep_last=1, keep_best=False)
    whole = path.read_bytes()
    record_bytes = int.from_bytes(whole[-12:-8], "little")
    record = json.loads(whole[-16 - record_bytes : -16])
    torchs = whole[: record["size"]]

    def signed(content, about):
        """With checksums that fit."""
        written = about if isinstance(about, bytes) else json.dumps(about).encode()
        return content + written + zlib.crc32(written).to_bytes(4, "little") + len(written).to_bytes(4, "little") + _END

    def make(draw):
        match draw.randrange(4):
            case 0:
                content = damaged_bytes(whole, draw)
            case 1:
                content = signed(torchs, damaged_json(record, draw))
            case _:
                inside = rezipped(torchs, draw) if draw.random() < 0.7 else damaged_bytes(torchs, draw)
                content = signed(inside, record | {"size": len(inside), "crc32": zlib.crc32(inside)})
        path.write_bytes(content)
        return path

    survives(load_checkpoint, make, CheckpointError).check()


def test_damaged_results(tmp_path):
    results = {"top1": 93.5, "top5": 99.1, "images": 360, "epochs": 20, "size": [16, 16]}

    def make(draw):
        (tmp_path / "results.json").write_bytes(damaged_json(results, draw))
        return tmp_path

    survives(read_results, make, UserError).check()


def test_damaged_records_of_stages(tmp_path):
    """Of a pipeline; a folder is moved by the name that stands there."""
    stage = Stage("search", "searches", tmp_path / "search", (), {"seed": 3}, {"space": tmp_path / "none"}, ())
    record = Record(3, "search", "searches", ["python search.py"], inputs(stage), "2026-11-22T10:00:00", None, 3.5)
    records = Records(tmp_path)
    records.write(record)

    def make(draw):
        (tmp_path / "stages" / "search.json").write_bytes(damaged_json(asdict(record), draw))
        return records

    def read(records):
        folders = [(tmp_path / name).resolve() for name in records.names()]
        assert all(tmp_path in folder.parents for folder in folders)
        why(stage, inputs(stage), records)
        put_aside_others([stage], records)
        if records.of("search") is None:
            raise UserError("it is as good as none")

    survives(read, make, UserError).check()


def test_damaged_names_of_classes(tmp_path):
    path = tmp_path / "classes.txt"

    def make(draw):
        path.write_bytes(damaged_bytes("zero\none\ntwo\nthird ü\n".encode() * 3, draw))
        return tmp_path

    def read(folder):
        assert all("\n" not in name for name in read_classes(folder))
        read_labels(folder / "classes.txt", 12)

    survives(read, make, UserError).check()


def test_damaged_logs(tmp_path):
    """What is no line of a log is cut off, and the run goes on."""
    lines = [{"kind": "step", "step": step, "loss": 0.5} for step in range(4)]
    path = tmp_path / "log.jsonl"

    def make(draw):
        made = [json.dumps(line).encode() for line in lines]
        made[draw.randrange(4)] = damaged_json(lines[0], draw)
        path.write_bytes(damaged_bytes(b"\n".join(made) + b"\n", draw) if draw.random() < 0.5 else b"\n".join(made))
        return path

    def read(path):
        log = JsonLines(path, 2)
        log.write("step", 3, loss=0.1)
        log.close()
        assert all(json.loads(line)["step"] <= 3 for line in path.read_bytes().splitlines() if line)

    assert survives(read, make, ()).read


FRONT = """\
rank,network,best,file,accuracy %,latency host ms,params,latency host low ms,latency host high ms,code
1,5,yes,front/000_93.5_0.1M.yaml,93.5,1.25,100000,1.1,1.4,0 1 2
2,7,,front/001_92.5_0.1M.yaml,92.5,1.05,90000,1.0,1.1,0 1 1
"""


def test_damaged_fronts(tmp_path):
    """front.csv as retraining reads it."""

    def make(draw):
        text = damaged_text(FRONT, draw).encode("utf-8", "surrogatepass")
        (tmp_path / "front.csv").write_bytes(damaged_bytes(text, draw) if draw.random() < 0.3 else text)
        return tmp_path / "front"

    survives(predictions, make, UserError).check()


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "study.db"
    with opened(path) as records:
        codes = np.array([[0, 1], [1, 1], [2, 0]], np.int32)
        for index in records.claim(codes):
            records.add(codes[index], 90.0 + index, [90.0 + index, 5.0])
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    return path


def opened(path):
    problem = {"space": "tiny", "images": 10}
    return open_study(
        file_url(path), "search", ["maximize", "minimize"], ["accuracy", "params"], problem, patience_s=0.0
    )


RECORD = {
    "code": [0, 1],
    "problem": "0123456789abcdef",
    "owner": {"host": "a", "pid": 7, "machine": "a b c", "started": "5", "token": "01020304"},
    "asked_by": "evolution",
    "accuracy": 90.5,
    "images": 10,
}


def test_damaged_records():
    """What is kept of a network is JSON in somebody's database."""

    def read(attribute):
        record = read_record(attribute, 3, "a study")
        assert isinstance(record.key, bytes)

    survives(read, lambda draw: damaged_data(RECORD, draw), StorageError).check()


def test_damaged_studies(tmp_path, study):
    """Few, as Optuna takes its time to open one."""
    path, whole = tmp_path / "study.db", study.read_bytes()

    def make(draw):
        for left_over in tmp_path.glob("study.db*"):
            left_over.unlink()
        path.write_bytes(whole)
        if draw.random() < 0.5:
            path.write_bytes(damaged_bytes(whole, draw))
            return path
        table, column = draw.choice(
            (("trials", "state"), ("trial_values", "value"), ("studies", "study_name"))
            + 3 * (("trial_user_attributes", "value_json"),)
            + 2 * (("study_user_attributes", "value_json"),)
        )
        with sqlite3.connect(path) as connection:
            (found,) = connection.execute(f"SELECT {column} FROM {table}").fetchone()  # noqa: S608
            changed = damaged_json(json.loads(found), draw).decode("utf-8", "replace") if "json" in column else "x"
            connection.execute(f"UPDATE OR IGNORE {table} SET {column} = ?", (changed,))  # noqa: S608
        connection.close()
        return path

    def read(path):
        with opened(path) as records:
            records.known()

    survives(read, make, UserError, mutations=40).check(least=3)
