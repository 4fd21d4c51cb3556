"""One contract for every device: what a table knows of it, that it runs what it is given, and how it refuses."""

import gc
import itertools
import json
import platform
import types
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from phone_jobs import SPACE as SMALL

import deploy
from latency_lut.__main__ import main
from latency_lut.devices import coreml_mac, host
from latency_lut.devices.base import noise
from latency_lut.devices.coreml_mac import CoreMLMac
from latency_lut.devices.onnx_host import OnnxHost
from latency_lut.devices.torch_host import TorchHost
from latency_lut.items import Item, chain, network
from latency_lut.peers import Peer
from latency_lut.phone.results import parse_results
from latency_lut.phone.rows import phone_facts
from latency_lut.protocol import Protocol, burst, sustained
from latency_lut.table.latencies import sustained_ms
from latency_lut.table.store import Store
from latency_lut.units import space_units
from supernet import SpecError, load_space, parse_space, save_space

SPACE = load_space("tiny")
BLOCK = chain(next(unit for unit in space_units(SPACE) if unit.kind == "block modulation"), 2)
NETWORK = network(SPACE.smallest())
QUICK = Protocol(warm_up=1, burst_runs=3, burst_ms=0, sustained_runs=4, burst_repeats=0)
GOLDEN = Path(__file__).parents[1] / "latency_lut/ios/Tests/MeasuringTests/Golden"


def check_facts(facts):
    """They stand in a table as JSON, are read by people, and tell nothing of one person's machine."""
    assert {"device", "model", "system", "dtype"} <= facts.keys()
    assert facts.keys() & {"runtime", "compute_units"}
    assert json.loads(json.dumps(facts)) == facts
    assert all(isinstance(value, str | int | float | bool) and value != "" for value in facts.values())
    assert platform.node() not in facts.values()


class Contract:
    """A subclass says how its devices are made (`make`) and where an item's file is (`file`)."""

    tolerance = 1e-5

    def test_facts_are_complete_and_equal_for_equal_options(self, make):
        check_facts(make().facts)
        assert json.dumps(make().facts) == json.dumps(make().facts)

    @pytest.mark.parametrize(("item", "batch"), [(BLOCK, 3), (NETWORK, 1)], ids=["block", "network"])
    def test_gives_what_the_module_gives(self, make, file, item, batch):
        with make().loaded(item, file(item, batch), batch) as run:
            found = first(run())
            assert np.array_equal(found, first(run()))
        with torch.no_grad():
            expected = item.module()(torch.from_numpy(noise(item, batch))).numpy()
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= self.tolerance * np.abs(expected).max()

    def test_clocks_go_on(self, make, file):
        device = make()
        with device.loaded(NETWORK, file(NETWORK, 1)) as run:
            seen = [device.clocks()]
            for _ in range(5):
                run()
                seen.append(device.clocks())
            found = burst(run, device.clocks, QUICK), sustained(run, device.clocks, QUICK)
        for before, after in itertools.pairwise(seen):
            assert all(a <= b for a, b in zip(before, after, strict=True))
        assert seen[0][1] < seen[-1][1]
        assert [one.runs for one in found] == [3, 4]
        assert all(0 < one.low_ms <= one.median_ms <= one.high_ms for one in found)

    def test_nothing_stays_loaded(self, make, file):
        class Watched(Item):
            def module(self):
                made = super().module()
                modules.append(weakref.ref(made))
                return made

        modules, item = [], Watched(BLOCK.text, BLOCK.copies)
        with make().loaded(item, file(BLOCK, 1)) as run:
            run()
        del run
        gc.collect()
        assert not any(module() is not None for module in modules)


class FileContract(Contract):
    """Of those that take files."""

    def test_broken_files_are_one_line(self, make, file, tmp_path):
        whole = file(BLOCK, 1)
        for number, break_ in enumerate((b"", b"no model at all" * 9, None)):
            broken = tmp_path / f"{number}{whole.suffix}"
            damage(whole, broken, break_)
            with pytest.raises(SpecError) as caught, make().loaded(BLOCK, broken):
                pass
            assert str(broken) in str(caught.value)
            assert "can't be loaded" in str(caught.value)
            assert str(caught.value).isprintable()
        with pytest.raises(SpecError, match=r"exported for another batch"), make().loaded(BLOCK, whole, 2):
            pass


def damage(whole, broken, content):
    """A file, or a package's model, that holds something else; None: it ends too early."""
    if whole.is_dir():
        model = Path("Data/com.apple.CoreML/model.mlmodel")
        (broken / model).parent.mkdir(parents=True)
        (broken / "Manifest.json").write_bytes((whole / "Manifest.json").read_bytes())
        whole, broken = whole / model, broken / model
    broken.write_bytes(whole.read_bytes()[:-50] if content is None else content)


def first(output):
    """Runtimes give a tensor, a list or a dictionary."""
    if isinstance(output, dict):
        output = list(output.values())
    return np.asarray(output[0] if isinstance(output, list) else output, dtype=np.float32)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Each file once for all devices that take it."""
    folder, made = tmp_path_factory.mktemp("exported"), {}

    def export(form, item, batch):
        suffix, write = {
            "onnx": (".onnx", deploy.export_onnx),
            "coreml": (".mlpackage", deploy.export_coreml),
        }[form]
        if (form, item, batch) not in made:
            path = made[form, item, batch] = folder / f"{len(made)}{suffix}"
            write(item.module(), (batch, *item.shape), path)
        return made[form, item, batch]

    return export


ONNX = [(threads, level) for level in ("off", "basic", "extended", "all") for threads in (1, 2)]


class TestOnnxRuntime(FileContract):
    @pytest.fixture(params=ONNX, ids=str)
    def make(self, request):
        return lambda: OnnxHost(*request.param)

    @pytest.fixture
    def file(self, exported):
        return lambda item, batch: exported("onnx", item, batch)

    def test_options(self):
        facts = [json.dumps(OnnxHost(*options).facts) for options in ONNX]
        assert len(set(facts)) == len(ONNX)
        with pytest.raises(SpecError, match="optimization: 'fast' is not one of off, basic, extended, all"):
            OnnxHost(optimization="fast")


class TestTorch(Contract):
    @pytest.fixture(params=[("eager", 1), ("eager", 2), ("script", 1)], ids=str)
    def make(self, request):
        mode, threads = request.param
        return lambda: TorchHost(threads, mode)

    @pytest.fixture
    def file(self):
        return lambda item, batch: None

    def test_script_is_frozen_and_optimised(self, monkeypatch):
        """Nothing is left to be looked up: weights are constants, and there is no module any more."""
        ran = []
        monkeypatch.setattr("latency_lut.devices.torch_host._run", lambda module, x: ran.append(module) or module(x))
        with TorchHost(mode="script").loaded(BLOCK, None) as run:
            run()
        (module,) = ran
        assert isinstance(module, torch.jit.ScriptModule)
        assert not list(module.parameters())
        assert "prim::GetAttr" not in {node.kind() for node in module.graph.nodes()}

    def test_options(self):
        facts = [json.dumps(TorchHost(1, mode).facts) for mode in ("eager", "script", "compile")]
        assert len({*facts, json.dumps(TorchHost(2).facts), json.dumps(TorchHost(dtype="bf16").facts)}) == 5
        for options, words in (
            ({"mode": "jit"}, "mode: 'jit' is not one of eager, script, compile"),
            ({"device": "tpu"}, "device: 'tpu' is not one of cpu, cuda"),
            ({"dtype": "fp8"}, "dtype: 'fp8' is not one of fp32, bf16, fp16"),
        ):
            with pytest.raises(SpecError, match=words):
                TorchHost(**options)

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
    def test_without_a_gpu(self):
        with pytest.raises(SpecError, match="--device: 'cuda' needs an NVIDIA GPU and a PyTorch built for it"):
            TorchHost(device="cuda")


class TestTorchCompiled(Contract):
    """Compiled by a backend that takes no time; all else is as it is."""

    @pytest.fixture
    def make(self, quick_compiler):
        return lambda: TorchHost(mode="compile")

    @pytest.fixture
    def file(self):
        return lambda item, batch: None


@pytest.fixture
def quick_compiler(monkeypatch):
    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", lambda module, **options: compile_(module, backend="eager", **options))
    yield
    torch.compiler.reset()


@pytest.mark.slow
def test_compiled_for_this_processor():
    item = chain(BLOCK.unit, 1)
    with TorchHost(mode="compile").loaded(item, None) as run, torch.no_grad():
        check_compiled(run)
        assert torch.allclose(run(), item.module()(torch.from_numpy(noise(item, 1))), atol=1e-5)


CHAINS = [chain(unit, 1) for unit in space_units(SPACE) if unit.part == "block"][:9]


@pytest.mark.parametrize("at_once", [False, True])
def test_no_item_runs_uncompiled(quick_compiler, at_once):
    """However many there are, and however alike."""
    device, runs = TorchHost(mode="compile"), []
    for item in CHAINS:
        if at_once:
            runs.append(device.ready(item, None, 1))
            continue
        with device.loaded(item, None) as run:
            check_compiled(run)
    for run in runs:
        check_compiled(run)


def check_compiled(run):
    torch.compiler.set_stance("fail_on_recompile")
    try:
        run()
    finally:
        torch.compiler.set_stance("default")


@pytest.mark.slow
class TestCoreMLOnAMac(FileContract):
    """A stand-in of coremltools' model, which takes the real package and runs it by our evaluator. Nothing here says
    how a Mac behaves."""

    tolerance = 5e-3

    @pytest.fixture
    def make(self, exported, monkeypatch):
        import coremltools

        for item, batch in ((BLOCK, 1), (BLOCK, 3), (NETWORK, 1)):
            exported("coreml", item, batch)  # this needs the real one

        class Model:
            def __init__(self, path, compute_units):
                self.path, self.units = path, compute_units
                assert isinstance(compute_units, coremltools.ComputeUnit)
                try:
                    deploy.coreml_program.read_program(path)
                except deploy.DeployError as error:
                    raise RuntimeError("Error compiling model") from error
                self.spec = deploy.packages.read_model(path)

            def get_spec(self):
                return self.spec

            def predict(self, feed):
                return deploy.run_package(self.path, {name: torch.from_numpy(value) for name, value in feed.items()})

        mac = types.SimpleNamespace(system=lambda: "Darwin", mac_ver=lambda: ("14.5", None, "arm64"))
        monkeypatch.setattr(coreml_mac, "platform", mac)
        monkeypatch.setattr(coremltools.models, "MLModel", Model)
        return lambda: CoreMLMac("cpu_and_ne")

    @pytest.fixture
    def file(self, exported):
        return lambda item, batch: exported("coreml", item, batch)


def test_core_ml_needs_a_mac(monkeypatch):
    with pytest.raises(SpecError, match="'gpu' is not one of all, cpu_and_ne, cpu_and_gpu, cpu_only"):
        CoreMLMac("gpu")
    monkeypatch.setattr(coreml_mac, "platform", types.SimpleNamespace(system=lambda: "Linux"))
    with pytest.raises(SpecError, match="--device: 'coreml' runs packages on a Mac; this is none"):
        CoreMLMac()


def test_macs_are_told_apart(monkeypatch):
    """By the words of a program that only they have."""
    told = types.SimpleNamespace(stdout="Apple M2\n")
    monkeypatch.setattr(host, "Path", lambda name: types.SimpleNamespace(exists=lambda: False))
    monkeypatch.setattr(host, "platform", types.SimpleNamespace(system=lambda: "Darwin", processor=lambda: "arm"))
    monkeypatch.setattr(host.subprocess, "run", lambda command, **options: told)
    assert host.processor() == "Apple M2"
    told.stdout = ""
    assert host.processor() == "arm"


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SpecError, match="--device: 'onnxruntime' needs the package onnxruntime"):
        OnnxHost()


def test_facts_of_a_phone():
    """The phone runs by itself; of the contract, it has the facts."""
    device = parse_results((GOLDEN / "results.jsonl").read_bytes()).device
    for facts in (phone_facts(device, "all"), phone_facts(device, "cpu_and_ne", "iOS17")):
        check_facts(facts)
    assert phone_facts(device, "all") != phone_facts(device, "cpu_and_ne") != phone_facts(device, "all", "iOS18")


def test_sustained_runs_from_a_space_to_a_table(tmp_path, capsys):
    """Whole networks without a gap, beside the bursts and never mixed with them."""
    save_space(parse_space(SMALL), tmp_path / "small.yaml")
    plan, table = str(tmp_path / "plan"), str(tmp_path / "t.sqlite")
    settings = ("sustained_runs=20", "rounds=2", "burst_runs=3", "burst_ms=0", "drift=10")
    quick = [word for setting in settings for word in ("--protocol", setting)]
    assert main(["plan", str(tmp_path / "small.yaml"), "--out", plan, "--networks", "3"]) == 0
    for _ in range(2):  # the second time nothing is left to be measured
        assert main(["measure", plan, "--device", "torch", "--table", table, *quick]) == 0
        with Store(table) as store:
            networks = [item for item in store.items(store.find()).values() if not item.copies]
            assert sustained_ms(store, store.find()).keys() == set(networks)
            runs = store.connection.execute(
                "SELECT runs, count(*) FROM bursts GROUP BY round ORDER BY round"
            ).fetchall()
            assert runs == [(20, len(networks)), *[(3, 12 + len(networks))] * 2]
    capsys.readouterr()
    assert main(["show", table]) == 0
    assert f"6 units and {len(networks)} networks in 2 rounds" in capsys.readouterr().out


# Networks side by side


class Resized(torch.nn.Module):
    """What PyTorch can't export to ONNX."""

    def forward(self, x):
        return torch.nn.functional.interpolate(x, size=(5, 5), mode="bicubic", antialias=True)


def bench(*arguments):
    return main(["bench", *map(str, arguments), "--protocol", "rounds=2", "--protocol", "burst_ms=1"])


def test_networks_that_fail_are_named_and_the_others_measured(tmp_path, monkeypatch, capfd):
    make = Peer.module
    monkeypatch.setattr(Peer, "module", lambda self: Resized() if self.name == "timm:resnet10t" else make(self))
    models = ("timm:test_resnet", "timm:resnet10t", "timm:test_resne", "iformer_tt", "timm:test_vit", "iformer_t")
    assert bench(*models, "--resolution", 13, "--csv", tmp_path / "t.csv") == 2
    said = capfd.readouterr()
    assert [line.split()[0] for line in said.out.splitlines()[1:]] == ["model", "timm:test_resnet"]
    assert [line.split(",")[0] for line in (tmp_path / "t.csv").read_text().splitlines()[1:]] == ["timm:test_resnet"]
    for words, line in zip(
        (
            "failed: timm:resnet10t: the module can't be exported to ONNX: Exporting the operator",
            "failed: timm:test_resne: 'test_resne' is no model of timm's, did you mean 'test_resnet'?",
            "failed: iformer_tt: no published network has this name, did you mean 'iformer_t'?",
            "failed: timm:test_vit: the module can't take an input of 1 x 3 x 13 x 13: ",
            "failed: iformer_t: resolution: 13 is not a number from 16",
            "error: bench: 5 of 6 networks could not be measured",
        ),
        said.err.splitlines(),
        strict=True,
    ):
        assert line.startswith(words)


def test_networks_of_one_size_at_another_one(capsys):
    assert bench("timm:test_vit", "--device", "torch", "--resolution", 96, "--batch", 2, "--json") == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["resolution"], row["batch"], row["device"]["device"]) == (96, 2, "torch")


def test_what_can_be_said_before_measuring(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("latency_lut.bench_command.measure_peers", None)
    for option, file, words in (
        ("--csv", tmp_path / "none" / "t.csv", f"error: --csv: {tmp_path / 'none'} is no folder"),
        ("--plot", tmp_path / "t.jpg", "error: --plot: t.jpg: the suffix is not one of .svg, .png, .pdf"),
    ):
        assert bench("iformer_t", option, file) == 2
        assert capsys.readouterr().err.strip() == words
