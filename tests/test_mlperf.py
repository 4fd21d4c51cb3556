"""Xcode's performance reports, made up in the forms that are known."""

import json
from dataclasses import asdict

import pytest

from latency_lut.items import network
from latency_lut.mlperf import read_mlperf
from latency_lut.phone.placement import placed_on, placement_lines
from latency_lut.phone.xcode_rows import store_report
from latency_lut.table.latencies import Latencies
from latency_lut.table.store import Store
from supernet import SpecError, load_spec

SECRETS = ("SERIAL123", "00008110-000A1B2C3D4E5F", "Owner's iPhone")


def report(**changes):
    """As of Xcode 14 and 15."""
    return {
        "computeUnit": 2,
        "deviceInfo": {
            "modelName": "iPhone 12",
            "osNameAndVersionWithoutBuildNumber": "iOS 16.1",
            "serialNumber": SECRETS[0],
            "deviceID": SECRETS[1],
            "displayName": SECRETS[2],
        },
        "modelMetadata": {"fileName": "repvit_m1_1.mlpackage", "size": 16_500_000},
        "deviceResults": {
            "predict": {"samples": [0.0011, 0.00105, 0.0012], "numOperations": 213},
            "load": {"samples": [0.08, 0.07]},
            "compile": {"samples": [0.3]},
        },
    } | changes


def operation(name, device=None, weight=None, blocks=()):
    found = {"operatorName": name, "outputs": [{"name": "x"}], "blocks": list(blocks)}
    if device:
        found["deviceUsage"] = {"preferred": {"deviceType": {device: {}}}, "supported": []}
    if weight is not None:
        found["cost"] = {"weight": weight}
    return found


def newer_report():
    """As of Xcode 16: with all operations."""
    branch = {"operations": [operation("ios17.add", "gpu", 0.05)]}
    operations = [
        operation("const"),
        operation("ios17.conv", "neuralEngine", 0.5),
        operation("ios17.conv", "neuralEngine", 0.25),
        operation("ios17.cast", "cpu", 0.125),
        operation("cond", blocks=[branch]),
    ]
    structure = {"program": {"_0": {"functions": {"main": {"block": {"operations": operations}}}}}}
    made = report()
    made["deviceResults"]["modelStructure"] = structure
    return made


def write(folder, content, name="block.mlperf"):
    path = folder / name
    path.mkdir(exist_ok=True)
    (path / "report.json").write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def test_older_version(tmp_path):
    read = read_mlperf(write(tmp_path, report()))
    assert (read.model, read.device_model, read.os) == ("repvit_m1_1.mlpackage", "iPhone 12", "iOS 16.1")
    assert read.compute_units == "all"
    assert read.predict_ms == pytest.approx((1.1, 1.05, 1.2))
    assert read.load_ms == pytest.approx((80, 70))
    assert read.compile_ms == pytest.approx((300,))
    assert read.num_operations == 213
    assert read.operations is None
    assert read.cost is None


def test_newer_version_has_operations_by_device(tmp_path):
    read = read_mlperf(write(tmp_path, newer_report()))
    assert read.operations == {"neural_engine": 2, "gpu": 1, "cpu": 1, "unknown": 1}
    assert read.cost == {"neural_engine": 0.75, "gpu": 0.05, "cpu": 0.125}
    assert read.predict_ms == pytest.approx((1.1, 1.05, 1.2))


def test_a_structure_beside_the_results_is_found_too(tmp_path):
    made = newer_report()
    made["modelStructure"] = made["deviceResults"].pop("modelStructure")
    made["modelStructure"]["program"] = made["modelStructure"]["program"]["_0"]
    assert read_mlperf(write(tmp_path, made)).operations["neural_engine"] == 2


def test_nothing_of_the_owner_is_kept(tmp_path):
    for made in (report(), newer_report()):
        read = read_mlperf(write(tmp_path, made, "Owner's iPhone.mlperf"))
        assert not any(secret in repr(asdict(read)) for secret in SECRETS)


@pytest.mark.parametrize(("number", "units"), list(enumerate(["cpu_only", "cpu_and_gpu", "all", "cpu_and_ne"])))
def test_compute_units(tmp_path, number, units):
    assert read_mlperf(write(tmp_path, report(computeUnit=number))).compute_units == units


def test_names_without_folders_and_the_file_itself(tmp_path):
    path = write(tmp_path, report(modelMetadata={"fileName": "/Users/owner/x/model.mlpackage"}))
    assert read_mlperf(path / "report.json").model == "model.mlpackage"
    path = write(tmp_path, report(modelMetadata={}))
    assert read_mlperf(path).model == "unknown"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is no performance report of Xcode"),
        (b"[]", "is no performance report of Xcode: Expected `object`, got `array`"),
        (b"\xff{}", "is no performance report of Xcode"),
        (b"[" * 100_000, "is no performance report of Xcode"),
        (report(computeUnit=4), "Expected `int` <= 3"),
        (report(computeUnit=None), "Expected `int`, got `null`"),
        (report(deviceInfo={}), "missing required field `modelName`"),
        (report(deviceResults={"predict": {"samples": []}}), "has no predictions: the report was not finished"),
        (report(deviceResults={"predict": {"samples": [0.001, -1]}}), "Expected `float` > 0.0"),
        (report(deviceResults={"predict": {"samples": ["x"]}}), "Expected `float`, got `str`"),
        (report(deviceResults={}), "missing required field `predict`"),
    ],
)
def test_files_that_are_no_reports(tmp_path, content, words):
    with pytest.raises(SpecError) as caught:
        read_mlperf(write(tmp_path, content))
    assert words in str(caught.value)
    assert "block.mlperf" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_paths_that_are_none(tmp_path):
    with pytest.raises(SpecError, match=r"is no performance report of Xcode: none.mlperf: No such file"):
        read_mlperf(tmp_path / "none.mlperf")
    with pytest.raises(SpecError, match=r"report.json: No such file"):
        read_mlperf(tmp_path)


def test_reports_become_rows(tmp_path):
    """Several of a network are rounds of it, of which the fastest counts; the same one again changes nothing."""
    first, second = network(load_spec("iformer_t")), network(load_spec("iformer_s"))
    slower = newer_report()
    slower["deviceResults"]["predict"]["samples"] = [0.0013] * 50
    reports = [read_mlperf(write(tmp_path, made)) for made in (newer_report(), slower, report())]
    with Store(tmp_path / "t.sqlite", create=True) as store:
        assert [store_report(store, one, first)[0] for one in reports] == [True, True, False]
        assert store_report(store, reports[2], second)[0]
        (collection,) = store.collections()  # however many predictions they have
        assert collection.device["device"] == "xcode report"
        found = Latencies(store, collection)
        assert {item: latency.ms for item, latency in found.networks.items()} == pytest.approx(
            {first: 1.1, second: 1.1}
        )
        rows = [json.loads(row) for (row,) in store.connection.execute("SELECT more FROM bursts ORDER BY item, round")]
        assert placement_lines(store, collection)[0] == "networks on Neural Engine + CPU: 1"
    assert [row["file"] for row in rows] == ["repvit_m1_1.mlpackage"] * 3
    assert [row.get("placed_on") for row in rows] == ["neural_engine+cpu", "neural_engine+cpu", None]
    assert rows[0]["load_ms"] == pytest.approx(75)


@pytest.mark.parametrize(
    ("operations", "cost", "place"),
    [
        ({"neural_engine": 9, "cpu": 1}, {"neural_engine": 0.95, "cpu": 0.02}, "neural_engine"),
        ({"neural_engine": 9, "cpu": 1}, {}, "neural_engine+cpu"),
        ({"neural_engine": 90, "cpu": 1, "unknown": 99}, {}, "neural_engine"),
        ({"neural_engine": 90, "cpu": 1}, {"cpu": 0.5, "neural_engine": 0.2}, "cpu+neural_engine"),
        ({"gpu": 3}, {"gpu": 0.0}, "gpu"),
        ({"unknown": 3}, {"unknown": 1.0}, None),
        ({}, {}, None),
        ({"cpu": -3, "elsewhere": 4}, {}, None),
    ],
)
def test_where_most_of_the_time_goes(operations, cost, place):
    assert placed_on(operations, cost) == place
