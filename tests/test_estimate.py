"""Estimates for phones nobody has: the work of a network against hand formulas, the fit against published figures."""

import functools
import json
import random
import time

import numpy as np
import pytest
import timm
import torch
from msgspec.structs import replace
from random_specs import random_spec
from torch import nn

from bench.estimate import main
from latency_lut.estimate import Estimate, estimate_ms, features
from latency_lut.estimate import __main__ as command
from latency_lut.estimate import regenerate as regenerating
from latency_lut.estimate.features import Sums
from latency_lut.estimate.forms import BASELINES, CHOSEN, FORMS
from latency_lut.estimate.intervals import (
    covered_when_known,
    covered_when_new,
    family_offsets,
    interval,
    published_errors,
)
from latency_lut.estimate.model import Data, fit, group_weights
from latency_lut.estimate.published import FILE, published, read, text
from latency_lut.estimate.validation import fitted, held_out, held_out_of, nested, published_data, score
from supernet import SpecError, build, count, fuse, load_spec


class ConvNet(nn.Module):
    """16x16 pixels: a dense, a depthwise and a pointwise convolution, pooling, a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.mix = nn.Conv2d(8, 8, 5, padding=2, groups=8)
        self.widen = nn.Conv2d(8, 16, 1)
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 10)
        self.scale = nn.Parameter(torch.ones(8, 1, 1))

    def forward(self, x):
        x = self.stem(x)
        x = x + torch.nn.functional.gelu(self.mix(x) * self.scale * 0.5)  # a converter folds both factors
        x = self.widen(x).mean((2, 3))
        return self.head(self.norm(x))


class Attention(nn.Module):
    """6 tokens of 8 channels."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(8, 24)

    def forward(self, x):
        tokens = x.flatten(2).transpose(1, 2)
        q, k, v = self.qkv(tokens).reshape(1, 6, 3, self.heads, 8 // self.heads).permute(2, 0, 3, 1, 4)
        return (q @ k.transpose(-2, -1)).softmax(-1) @ v


def test_convolutions_by_hand():
    found = features(ConvNet(), 16).sums
    assert found == {
        "dense 3": Sums(
            1,
            8 * 8 * 8 * 27,
            3 * 256 * 2,
            8 * 64 * 2,
            8 * 27 * 2,
            (3 * 16 * 16 + 8 * 8 * 24) * 2,
            found["dense 3"].idle,
        ),
        "relu": Sums(1, 0, 1024, 1024, 0, 2 * 8 * 8 * 24 * 2),
        "depthwise 5": Sums(1, 64 * 8 * 25, 1024, 1024, 8 * 25 * 2, 2 * 8 * 8 * 24 * 2),
        "smooth": Sums(1, 0, 1024, 1024, 0, 2 * 8 * 8 * 24 * 2),
        "elementwise": Sums(1, 0, 2048, 1024, 0, 3 * 8 * 8 * 24 * 2),
        "pointwise": Sums(1, 64 * 128, 1024, 2048, 256, 3 * 8 * 8 * 24 * 2, 64 * (32 * 32 - 128)),
        "mean": Sums(1, 0, 2048, 32, 0, (16 * 8 * 24 + 16) * 2),
        "norm": Sums(1, 0, 32, found["norm"].outputs, 2 * 16 * 2, found["norm"].padding),
        "linear": Sums(1, 160, 32, 20, (160 + 10) * 2, (16 + 22) * 2, 32 * 32 - 160),
    }
    assert found["dense 3"].idle == 64 * 9 * (32 * 32 - 24)


@pytest.mark.parametrize("heads", [1, 2])
def test_attention_by_hand(heads):
    """The product of keys and queries has 6x6 scores a head, and both products 6x6x8 MACs over all heads."""
    net = Attention(heads)
    net.pretrained_cfg = {"input_size": (8, 2, 3)}
    found = features(net).sums
    many = "batched_" if heads > 1 else ""
    assert found[f"{many}matmul"][:5] == (2, 2 * 6 * 6 * 8, (2 * 48 + 36 * heads + 48) * 2, (36 * heads + 48) * 2, 0)
    assert found[f"{many}softmax"][:5] == (1, 0, 36 * heads * 2, 36 * heads * 2, 0)
    assert found["linear"][:5] == (1, 6 * 8 * 24, 96, 288, 8 * 24 * 2)
    assert "elementwise" not in found  # the bias is part of the linear layer


def test_windows_count_each():
    """Four windows in the batch cost what one image of four times the pixels does."""

    class Windows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, padding=1)

        def forward(self, x):
            return self.conv(x.reshape(3, 2, 8, 2, 8).permute(1, 3, 0, 2, 4).reshape(4, 3, 8, 8))

    assert features(Windows(), 16).macs == 256 * 4 * 27


@pytest.mark.parametrize("seed", range(12))
def test_macs_are_those_of_our_counting(seed):
    spec = random_spec(random.Random(seed))
    with torch.device("meta"):
        fused = fuse(build(spec))
    merged = count(spec).macs - features(spec).macs  # two classifiers become one
    assert merged == (count(spec).macs - count(spec.with_(distilled=False)).macs if spec.distilled else 0)
    assert features(spec) == features(fused)


@pytest.mark.parametrize("name", ["iformer_t", "lowformer_b0"])
def test_ours_and_timms_do_the_same(name):
    """Our attention has its parts in separate layers, which moves a few percent of the bytes."""
    ours, theirs = features(load_spec(name)), features(timm.create_model(name))
    assert ours.macs == theirs.macs
    traffic = [one.total(lambda sums: sums.inputs + sums.outputs) for one in (ours, theirs)]
    assert abs(traffic[0] / traffic[1] - 1) < 0.03


def test_the_deployed_form_is_counted():
    found = features(timm.create_model("mobileone_s0")).sums
    assert not any(kind.startswith("batch_norm") for kind in found)
    assert found["depthwise 3"].number + found["dense 3"].number == 21 + 1
    assert "elementwise" not in found  # the branches are one


def test_a_network_stays_as_it_is():
    net = build(load_spec("iformer_t")).train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    assert features(net) == features(net.spec)
    assert net.training
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert features(net, 256) == features(net.spec.with_(resolution=256))


@pytest.mark.parametrize("name", ["mobilenetv2_050 224", "iformer_t 224", "efficientformerv2_s0 224"])
def test_stored_work_is_what_is_computed(name):
    network = published().networks[name]
    assert regenerating.computed(network) == network


def test_regenerating_a_file(tmp_path, capsys):
    whole = published()
    record = next(record for record in whole.records if record.network == "mobilenetv2_050 224")
    network = replace(whole.networks[record.network], params=1)
    file = tmp_path / "some.json"
    data = replace(whole, networks={record.network: network}, records=(record,))
    file.write_text(text(data))
    assert regenerating.main(["--check", "--file", str(file)]) == 1
    assert regenerating.main(["--file", str(file)]) == 0
    assert regenerating.main(["--check", "--file", str(file)]) == 0
    assert "1 networks, 1 of them differ" in capsys.readouterr().out
    assert read(file).networks[record.network] == whole.networks[record.network]
    file.write_text('{"sources": {}, "networks": {}, "records": [{"number": 1}]}')
    assert regenerating.main(["--check", "--file", str(file)]) == 2
    assert "missing required field" in capsys.readouterr().err


def test_the_file_is_in_its_form():
    assert FILE.read_text() == text(published())
    assert {record.source for record in published().records} == set(published().sources)
    assert {record.network for record in published().records} == set(published().networks)
    assert all(source.reference and source.tool for source in published().sources.values())
    record = published().records[0]
    for change, message in (
        ({"source": "nobody"}, "'nobody'"),
        ({"device": "iPhone 1"}, "'iPhone 1'"),
        ({"ms": 0.0}, "0"),
    ):
        with pytest.raises(SpecError, match=rf"records\.{record.number}\.{next(iter(change))}: {message}"):
            replace(published(), records=(replace(record, **change),))


def test_left_out_families_meet_the_bounds():
    """What is demanded of the estimate, on all figures and with one figure for each network and chip."""
    data, estimates = published_data(CHOSEN), held_out(CHOSEN)
    found = score(estimates, data.ms)
    assert found.spearman >= 0.90
    assert found.median_error <= 0.20
    keys = [(record.network, chip) for record, chip in zip(published().records, data.chip, strict=True)]
    first = [keys.index(key) for key in dict.fromkeys(keys)]
    once = score(estimates[first], data.ms[first])
    assert len(first) > 180
    assert once.spearman >= 0.90
    assert once.median_error <= 0.20
    for name in BASELINES:
        baseline = score(held_out(name), data.ms)
        assert baseline.spearman < found.spearman
        assert baseline.median_error > found.median_error


@pytest.mark.slow
def test_the_choice_of_the_form_is_not_what_meets_them():
    found, choice = nested(["sum", "streamed", "attention", CHOSEN])
    assert set(choice) == set(published_data(CHOSEN).family)
    assert score(found, published_data(CHOSEN).ms).spearman >= 0.90
    assert score(found, published_data(CHOSEN).ms).median_error <= 0.20


@pytest.mark.parametrize("family", ["iformer", "deit"])
def test_a_left_out_family_has_no_say(family):
    """Its estimates are the same when all its figures are ten times as high."""
    data = published_data(CHOSEN)
    rows = data.family == family
    other = Data(data.amounts, np.where(rows, data.ms * 10, data.ms), data.family, data.chip, data.source)
    assert np.allclose(held_out_of(FORMS[CHOSEN], other)[rows], held_out(CHOSEN)[rows], rtol=1e-12)


def test_the_fit_is_quick():
    for cached in (published, published_data, fitted, held_out, published_errors, family_offsets):
        cached.cache_clear()
    start = time.process_time()
    family_offsets(CHOSEN)
    assert time.process_time() - start < 2


def made_up(rates, chips, rng, number=300, noise=0.02):
    amounts = np.exp(rng.normal(0, 1, (number, len(rates)))) * [1, 1, 30, 2, 10, 10]
    amounts[:, 0] = 1
    work = (amounts * rates)[:, 1:-1].sum(1)
    ms = rates[0] + (work**4 + (amounts[:, -1] * rates[-1]) ** 4) ** 0.25
    chip = rng.choice(list(chips), number)
    ms *= np.exp([chips[one] for one in chip]) * np.exp(rng.normal(0, noise, number))
    family = np.array([f"family {index % 20}" for index in range(number)])
    return Data(amounts, ms, family, chip, np.array(["a source"] * number))


def test_known_rates_are_found():
    rates, chips = np.array([0.3, 0.2, 0.006, 0.08, 0.03, 0.05]), {"A14": 0.3, "A15": 0.0}
    found = fit(FORMS[CHOSEN], made_up(rates, chips, np.random.default_rng(0)))
    assert np.allclose(found.rates, rates, rtol=0.15)
    assert abs(found.chips["A14"] - 0.3) < 0.03
    assert found.chips["A17 Pro"] == pytest.approx(0, abs=1e-6)  # nothing is known of it


def test_fallbacks_do_not_bend_the_rates():
    rates = np.array([0.3, 0.2, 0.006, 0.08, 0.03, 0.05])
    data = made_up(rates, {"A15": 0.0}, np.random.default_rng(1))
    worse = np.where(np.arange(len(data.ms)) % 20 == 7, data.ms * 8, data.ms)
    found = fit(FORMS[CHOSEN], Data(data.amounts, worse, data.family, data.chip, data.source))
    assert np.allclose(found.rates, rates, rtol=0.25)


def test_the_start_does_not_matter():
    data = published_data(CHOSEN)
    found = fitted(CHOSEN).rates
    for factor in (0.2, 5):
        assert np.allclose(fit(FORMS[CHOSEN], data, found * factor).rates, found, rtol=5e-3)
    assert (found > 0).all()


def test_groups_weigh_the_same():
    weights = group_weights(np.array(["a"] * 9 + ["b"]), 1.0)
    assert weights[:9].sum() == pytest.approx(weights[9]) == pytest.approx(5)


def test_an_interval_by_hand():
    """Of 20 groups, 19 of them seen with one error each, 80 % lie up to the 18th from either end."""
    errors, groups = np.arange(-9.0, 10.0), np.array([f"{index}" for index in range(19)])
    assert interval(errors, groups, 0.8) == (-8.0, 8.0)
    assert interval(errors, groups, 0.9) == (-9.0, 9.0)
    assert interval(errors, groups, 0.5) == (-5.0, 5.0)


def test_intervals_hold_what_they_say():
    for coverage in (0.8, 0.9):
        assert covered_when_new(CHOSEN, coverage).mean() >= coverage - 0.02
        assert covered_when_known(CHOSEN, coverage).mean() >= coverage - 0.03


@functools.cache
def estimated(name: str, device: str = "iphone13", resolution: int | None = None) -> Estimate:
    return estimate_ms(load_spec(name), device, resolution)


PUBLISHED_MS = {"iformer_t": 0.60, "iformer_m": 1.10, "lowformer_b1": 1.90, "efficientformerv2_s1": 1.02}


@pytest.mark.parametrize("name", PUBLISHED_MS)
def test_our_networks(name):
    found = estimated(name)
    assert found.label == "estimate"
    assert str(found).startswith("estimate for iPhone 13: ")
    assert found.device == "iPhone 13"
    assert found.low <= found.ms <= found.high
    assert abs(found.ms / PUBLISHED_MS[name] - 1) < 0.25
    assert max(found.parts.values()) < found.ms < sum(found.parts.values())


@pytest.mark.parametrize(
    "names",
    [
        ("efficientformerv2_s0", "efficientformerv2_s1", "efficientformerv2_s2"),
        ("iformer_t", "iformer_s", "iformer_m"),
        ("lowformer_b0", "lowformer_b1", "lowformer_b15", "lowformer_b2"),
        ("efficientformer_l1", "efficientformer_l3"),
    ],
)
def test_more_takes_longer(names):
    found = [estimated(name).ms for name in names]
    assert found == sorted(found)
    assert len(set(found)) == len(found)


def test_slimmer_is_never_slower():
    """Also where a width is no multiple of 32, and at lower resolution, on an older chip."""
    spec = load_spec("efficientformerv2_s0")
    last = spec.stages[-1]
    found = []
    for width in range(last.width - 24, last.width + 25, 8):
        stages = (*spec.stages[:-1], replace(last, width=width))
        found.append(estimate_ms(spec.with_(stages=stages)).ms)
    assert found == sorted(found)
    shorter = replace(last, blocks=last.blocks[1:])
    assert estimate_ms(spec.with_(stages=(*spec.stages[:-1], shorter))).ms < estimated("efficientformerv2_s0").ms
    assert estimate_ms(spec, resolution=160).ms < estimate_ms(spec).ms < estimate_ms(spec, resolution=256).ms


def test_phones():
    base = estimated("iformer_t")
    assert estimated("iformer_t", "iPhone 13") == base
    assert estimated("iformer_t", "iPhone 14").ms == base.ms  # the same chip
    assert estimated("iformer_t", "iphone-15-pro").ms < base.ms < estimated("iformer_t", "iphone12").ms
    assert estimated("iformer_t", "iphone 15 pro max").figures < 10 < base.figures
    narrow, wide = (estimate_ms(load_spec("iformer_t"), coverage=coverage) for coverage in (0.5, 0.9))
    assert wide.low < narrow.low <= narrow.high < wide.high


def test_modules():
    net = timm.create_model("resnet50")
    assert estimate_ms(net) == estimate_ms(net, resolution=(224, 224))
    assert estimate_ms(build(load_spec("iformer_t"))) == estimated("iformer_t")
    published_ms = 1.9
    assert abs(estimate_ms(net, "iPhone 14").ms / published_ms - 1) < 0.25


def test_attention_makes_an_estimate_less_certain():
    plain, batched = (estimate_ms(timm.create_model(name)) for name in ("resnet18", "deit_tiny_patch16_224"))
    assert batched.high / batched.ms > plain.high / plain.ms


class Fourier(nn.Module):
    def forward(self, x):
        return torch.fft.rfft2(x).real


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((nn.Conv2d(3, 8, 3), "iphone11", 64), "device: .*'iphone11'; known are iPhone 12, .*iPhone 15 Pro Max"),
        ((nn.Conv2d(3, 8, 3), 13, 64), "device: 13 is not the name of a phone"),
        (("iformer_t",), "network: 'iformer_t' is neither a NetSpec nor a torch module"),
        ((nn.Conv2d(3, 8, 3),), "resolution: a Conv2d doesn't say it"),
        ((nn.Conv2d(3, 8, 3), "iphone13", 0), "resolution: 0 is not a number from 16"),
        ((nn.Conv2d(4, 8, 3), "iphone13", 64), "network: it can't be run on an image of 3x64x64: .*channel"),
        ((Fourier(), "iphone13", 64), "network: .*'_fft_r2c', of which no estimate knows what it costs"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(SpecError, match=message):
        estimate_ms(*arguments)


def test_coverage_has_limits():
    with pytest.raises(SpecError, match=r"coverage: 1\.0 is not a number from 0\.05 to 0\.95"):
        estimate_ms(nn.Conv2d(3, 8, 3), resolution=64, coverage=1.0)


def test_the_command_line(capsys):
    assert command.main(["iformer_t", "mobilenetv2_050", "--device", "iPhone 12"]) == 0
    out = capsys.readouterr().out
    assert out.count("estimate for iPhone 12: ") == 2
    assert command.main(["iformer_t", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["label"] == "estimate"
    assert row["ms"] == estimated("iformer_t").ms
    assert command.main(["iformer_t", "--device", "pixel6"]) == 2
    assert capsys.readouterr().err.startswith("error: device: ")


def test_the_bench(capsys):
    main(["--worst", "3", "--draws", "20", "--json"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["form"] for row in rows if row["table"] == "forms"} == set(FORMS)
    families = {row["name"]: row for row in rows if row["table"] == "groups" and row["by"] == "family"}
    assert set(families) == set(published_data(CHOSEN).family)
    assert sum(row["number"] for row in families.values()) == len(published().records)
    assert len([row for row in rows if row["table"] == "worst"]) == 3
    main(["--worst", "3", "--draws", "20"])
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if "<- estimates are made with it" in line]) == 1
    assert any(line.startswith("fitted to all: overhead") for line in lines)
