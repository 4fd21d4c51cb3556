"""Counting, listing and drawing under a budget of cost, against lists of all networks and what each of them costs."""

import functools
import math
import random
import re
import sys
import zlib
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.stats import chisquare
from small_spaces import SMALL, all_networks, options, placements, values

from latency_lut.units import unit_cost, units
from search.codes import Codes
from search.exact import CostDistribution, enumerate_codes
from supernet import SpecError, count, load_space, parse_space
from supernet.blocks import BLOCKS
from supernet.downsamples import DOWNSAMPLES
from supernet.heads import HEADS
from supernet.stems import STEMS

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.window import rows

THREE_KINDS = """\
family: hybrid
resolution: [16, 24]
num_classes: 3
stem: {kind: convs, width: [4, 8], kernel: [3, 5], act: relu}
stages:
- width: 8
  downsample: {kind: conv, kernel: 3, bias: true}
  depth: [1, 3]
  drop: any
  blocks:
  - {kind: pooling, kernel: 3, expand: 1, slots: [0, 2]}
  - {kind: conv, kernel: [3, 5], expand: 1, count: {from: 0, to: 2}}
  - {kind: modulation, kernel: 3, reduction: 2, expand: [1, 2], count: {from: 0, to: 2}}
- depth: [0, 1]
  blocks:
  - {kind: conv, kernel: 3, expand: 1}
head: {kind: pool_norm}
"""
TEXTS = SMALL | {"three_kinds": THREE_KINDS}


def hashed(unit):
    return zlib.crc32(unit.key.encode())


COSTS = {
    "whole": lambda unit: hashed(unit) % 100,
    "signed": lambda unit: hashed(unit) % 200 - 100,
    "real": lambda unit: hashed(unit) / 2**32,
    "params": lambda unit: unit_cost(unit).params,
    "power of MACs": lambda unit: 0.01 + unit_cost(unit).macs ** 0.8 * 1e-4,
    "nothing": lambda unit: 0.0,
}
WHOLE = {"whole", "signed", "params", "nothing"}


class Listed:
    """A small space with all its networks."""

    def __init__(self, text):
        self.space = parse_space(text)
        specs = list(all_networks(text))
        self.units = {}
        """All units of the space with their numbers, in `at` by network."""
        self.at = [[self.units.setdefault(unit, len(self.units)) for unit in units(spec)] for spec in specs]
        self.codes = [self.space.encode(spec) for spec in specs]
        self.index = {code: number for number, code in enumerate(self.codes)}
        self.probability = np.array(list(map(probability(yaml.safe_load(text)), specs)))

    def costs(self, cost):
        of_unit = [float(cost(unit)) for unit in self.units]
        return np.array([sum(of_unit[number] for number in found) for found in self.at])

    def drawn(self, codes):
        """How often each network was drawn."""
        found = np.zeros(len(self.codes), dtype=int)
        for code, number in zip(*np.unique(codes, axis=0, return_counts=True), strict=True):
            found[self.index[tuple(code.tolist())]] = number
        return found

    def distribution(self, name, **more):
        return CostDistribution(self.space, COSTS[name], **more)


def probability(data):
    """A function that says how probable a network is where each choice is uniform: depth, then numbers of blocks by
    kind, then where they stand, and every field."""
    arrangements = []
    for entry in data["stages"]:
        by_depth = defaultdict(Counter)
        for placement in placements(entry):
            held = sorted(kind for kind in placement if kind is not None)
            by_depth[len(held)][tuple(held)] += 1
        arrangements.append(by_depth)

    @functools.cache
    def choices(index, kind, width):
        return len(options(BLOCKS, data["stages"][index]["blocks"][kind], width))

    ends = len(values(data["resolution"])) * len(options(STEMS, data["stem"])) * len(options(HEADS, data["head"]))

    def of_network(spec):
        found = 1 / ends
        for index, (entry, stage) in enumerate(zip(data["stages"], spec.stages, strict=True)):
            if "downsample" in entry:
                found /= len(values(entry["width"])) * len(options(DOWNSAMPLES, entry["downsample"], stage.width))
            names = [kind["kind"] for kind in entry["blocks"]]
            held = sorted(names.index(block.kind_name()) for block in stage.blocks)
            by_depth = arrangements[index]
            found /= len(by_depth) * len(by_depth[len(held)]) * by_depth[len(held)][tuple(held)]
            for kind in held:
                found /= choices(index, kind, stage.width)
        return found

    return of_network


@pytest.fixture(scope="module")
def listed():
    return {name: Listed(text) for name, text in TEXTS.items()}


def assert_drawn(drawn, expected):
    """Numbers of draws against probabilities, those of rare ones together."""
    expected = expected / expected.sum() * drawn.sum()
    rare = expected < 8
    if rare.any():
        drawn = np.append(drawn[~rare], drawn[rare].sum())
        expected = np.append(expected[~rare], expected[rare].sum())
    if len(expected) > 1:
        assert chisquare(drawn, expected).pvalue > 1e-4


# --- all networks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TEXTS)
def test_every_network_once(listed, name):
    known = listed[name]
    codes = enumerate_codes(known.space)
    assert codes.dtype == np.int32
    assert len(codes) == known.space.size == len(known.codes)
    assert {tuple(code) for code in codes.tolist()} == set(known.codes)
    np.testing.assert_array_equal(codes, enumerate_codes(parse_space(TEXTS[name])))
    assert math.isclose(known.probability.sum(), 1)  # the reference itself


def test_every_network_of_a_larger_space():
    space = load_space("tiny")
    codes = enumerate_codes(space)
    assert len(codes) == len(np.unique(codes, axis=0)) == space.size > 40_000
    np.testing.assert_array_equal(codes, Codes(space).canonical(codes))
    with pytest.raises(SpecError, match=re.escape("its 4.909e+29 networks are too many to list: 2,000,000 are")):
        enumerate_codes(load_space("iformer"))


# --- counting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("name", TEXTS)
def test_numbers_and_ends(listed, name, cost):
    known = listed[name]
    costs = known.costs(COSTS[cost]) + 2
    exact = known.distribution(cost, offset=2, bins=100_000)
    limits = np.quantile(costs, np.random.default_rng(0).random((20, 2)), method="nearest")
    for low, high in [(-np.inf, np.inf), (costs.max() + 1, np.inf), *np.sort(limits, axis=1).tolist()]:
        found = exact.number(at_least=low, at_most=high)
        if cost in WHOLE:
            assert exact.grid_error == 0
            assert type(found) is int
            assert found == ((costs >= low) & (costs <= high)).sum()
        else:
            error = exact.grid_error
            assert 0 < error < 1e-4 * (costs.max() - costs.min())
            assert ((costs >= low + error) & (costs <= high - error)).sum() <= found
            assert found <= ((costs >= low - error) & (costs <= high + error)).sum()
    for (value, code), best in ((exact.cheapest(), costs.min()), (exact.dearest(), costs.max())):
        assert math.isclose(value, best, rel_tol=1e-12)
        assert math.isclose(costs[known.index[tuple(code.tolist())]], best, rel_tol=1e-12)


def test_a_large_space_as_a_whole():
    space = load_space("efficientformer")
    exact = CostDistribution(space, lambda unit: unit_cost(unit).macs, bins=2000)
    assert math.isclose(exact.number(), space.size, rel_tol=1e-12)
    assert exact.cheapest()[0] == count(space.smallest()).macs
    assert exact.dearest()[0] == count(space.largest()).macs


# --- drawing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighting", ["choices", "networks"])
@pytest.mark.parametrize("cost", ["signed", "real", "params", "nothing"])
@pytest.mark.parametrize("name", TEXTS)
def test_draws_are_as_probable_as_they_say(listed, name, cost, weighting):
    known = listed[name]
    costs = known.costs(COSTS[cost]) - 0.5
    exact = known.distribution(cost, offset=-0.5, bins=5000)
    for start, width in ((0.0, 0.02), (0.3, 0.2), (0.9, 0.1)):
        low, high = np.quantile(costs, start) - 1e-9, np.quantile(costs, start + width) + 1e-9
        number = 8000
        codes = exact.draw(np.random.default_rng(5), number, low, high, weighting)
        assert codes.shape == (number, len(known.space.genes))
        inside, drawn = (costs >= low) & (costs <= high), known.drawn(codes)
        assert drawn[inside].sum() == number
        assert_drawn(drawn[inside], known.probability[inside] if weighting == "choices" else np.ones(inside.sum()))


def test_choices_are_those_of_the_space(listed):
    """The reference for the weighting "choices" is what `space.sample` does."""
    known, rng = listed["counts"], random.Random(0)
    codes = [known.space.encode(known.space.sample(rng)) for _ in range(8000)]
    assert_drawn(known.drawn(np.array(codes)), known.probability)


def test_one_network_in_the_window(listed):
    known = listed["three_kinds"]
    costs = known.costs(COSTS["real"])
    exact = known.distribution("real", bins=200)  # many networks a cell
    found, numbers = np.unique(costs.round(9), return_counts=True)
    only = found[np.flatnonzero(numbers == 1)[10]]
    codes = exact.draw(np.random.default_rng(0), 5, only - 1e-8, only + 1e-8)
    assert len({tuple(code) for code in codes.tolist()}) == 1
    np.testing.assert_allclose(exact.population(codes), only)


@pytest.fixture(scope="module")
def large():
    space = load_space("iformer")
    return CostDistribution(space, lambda unit: 0.01 + 3e-8 * unit_cost(unit).macs ** 0.8, 0.1, bins=10_000)


@pytest.mark.parametrize("weighting", ["choices", "networks"])
def test_a_large_space(large, weighting):
    space, codes = large.space, Codes(large.space)
    whole = large.draw(np.random.default_rng(0), 10_000, -np.inf, np.inf, weighting)
    costs = large.population(whole)
    if weighting == "choices":
        usual = large.population(codes.draw(np.random.default_rng(1), 10_000))
        np.testing.assert_allclose(np.quantile(costs, [0.1, 0.5, 0.9]), np.quantile(usual, [0.1, 0.5, 0.9]), rtol=0.03)
    else:
        share = large.number(at_most=float(np.median(costs))) / space.size
        assert abs(share - 0.5) < 0.02
    for low in (large.cheapest()[0], *np.quantile(costs, [0.001, 0.5]), large.dearest()[0] / 1.01):
        rng = np.random.default_rng(0)
        found = large.draw(rng, 500, low, 1.01 * low, weighting)
        costs = large.population(found)
        assert low <= costs.min() <= costs.max() <= 1.01 * low
        np.testing.assert_array_equal(codes.canonical(found), found)
        assert codes.allowed(found).all()
        for code in found[:3]:
            assert codes.spec(code) in space
    np.testing.assert_array_equal(found, large.draw(np.random.default_rng(0), 500, low, 1.01 * low, weighting))
    assert large.draw(rng, 0, low, 1.01 * low, weighting).shape == (0, len(space.genes))


def test_all_resolutions_are_drawn(large):
    low = float(np.median(large.population(large.draw(np.random.default_rng(0), 1000, -np.inf, np.inf))))
    found = large.draw(np.random.default_rng(0), 500, low, 1.01 * low)
    assert np.bincount(found[:, large.space.layout.resolution], minlength=3).min() > 20


# --- what cannot be --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cost", ["whole", "real"])
def test_an_empty_window_names_the_nearest_costs(listed, cost):
    known = listed["any"]
    costs = np.unique(known.costs(COSTS[cost]).round(12))
    exact = known.distribution(cost)
    gap = int(np.argmax(np.diff(costs)))
    below, above = costs[gap : gap + 2]
    middle, rng = (below + above) / 2, np.random.default_rng(0)
    with pytest.raises(SpecError) as caught:
        exact.draw(rng, 1, middle - 1e-3, middle + 1e-3)
    assert f"found cost {below:.9g} below it and {above:.9g} above it" in str(caught.value)
    with pytest.raises(SpecError, match=re.escape(f"found cost {costs[0]:.9g} above it")):
        exact.draw(rng, 1, costs[0] - 9, costs[0] - 8)
    with pytest.raises(SpecError, match=re.escape(f"found cost {costs[-1]:.9g} below it")):
        exact.draw(rng, 0, costs[-1] + 8, costs[-1] + 9)


def test_a_window_that_is_too_narrow(large):
    with pytest.raises(SpecError, match=r"no network was found that costs from 0\.9 to 0\.9; the nearest") as caught:
        large.draw(np.random.default_rng(0), 1, 0.9, 0.9)
    below, above = map(float, re.findall(r"([\d.]+) (?:below|above) it", str(caught.value)))
    assert 0.8999 < below <= 0.9 <= above < 0.9001


def test_errors(listed):
    space = listed["any"].space
    exact = listed["any"].distribution("whole")
    with pytest.raises(SpecError, match="window: the lower limit 2 is not at most the upper one, 1"):
        exact.draw(np.random.default_rng(0), 1, 2, 1)
    with pytest.raises(SpecError, match="weighting: 'blocks' is not one of choices, networks"):
        exact.draw(np.random.default_rng(0), 1, 1, 2, "blocks")
    with pytest.raises(SpecError, match="bins: 0 is not at least 1"):
        CostDistribution(space, hashed, bins=0)
    with pytest.raises(SpecError, match=r"unit_cost: .* on 8>8 x 4x4 costs nan, which is no finite number"):
        CostDistribution(space, lambda unit: math.nan)
    with pytest.raises(SpecError, match=r"bins: the sums of a stage would take \d+ GB; with fewer bins"):
        CostDistribution(space, COSTS["real"], bins=10**9).number()


def test_the_benchmark():
    found = list(rows("tiny", None, 1000))
    assert [row["quantile"] for row in found] == [0.001, 0.05, 0.5, 0.95]
    for row in found:
        assert row["high_ms"] == pytest.approx(1.01 * row["low_ms"])
        assert 0 < row["rejecting_many"] < row["choices"]
        assert 0 < row["one_by_one"] < row["networks"]
