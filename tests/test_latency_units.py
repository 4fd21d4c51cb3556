"""Units say all that a piece's time depends on, and nothing of where it stands."""

import itertools
import random
from collections import Counter

import numpy as np
import pytest
import torch

from latency_lut.population import Population
from latency_lut.units import Unit, read_key, space_units, units
from supernet import SpecError, build, count, load_space, load_spec, published_names, space_names

SMALL = ["efficientformerv2_small", "iformer_small", "tiny"]


@pytest.mark.parametrize("name", published_names())
def test_a_network_is_its_units(name):
    spec = load_spec(name)
    found = units(spec)
    params = sum(sum(p.numel() for p in meta(unit).parameters()) for unit in found)
    assert params == count(spec).params
    for one, following in itertools.pairwise(found):
        assert one.shape_out == following.shape_in, one
    assert found[-1].shape_out == (spec.num_classes,)


def meta(unit):
    with torch.device("meta"):
        return unit.module()


@pytest.mark.parametrize("name", SMALL)
def test_a_unit_does_what_its_piece_does(name):
    """Its output has the shape that it says; in order they are the network."""
    space = load_space(name)
    spec = space.sample(random.Random(1))
    net = build(spec).eval()
    x = torch.randn(2, 3, *spec.size)
    pieces = [net.stem]
    for stage in net.stages:
        pieces += [part for part in (stage.downsample, stage.position) if not isinstance(part, torch.nn.Identity)]
        pieces += list(stage.blocks)
    with torch.no_grad():
        for unit, piece in zip(units(spec), pieces, strict=False):
            assert tuple(x.shape[1:]) == unit.shape_in
            mine = unit.module().eval()
            mine.load_state_dict(piece.state_dict())
            following = mine(x)
            torch.testing.assert_close(following, piece(x))
            x = following
        head = units(spec)[-1].module().eval()
        head.norm.load_state_dict(net.norm.state_dict())
        head.head.load_state_dict(net.head.state_dict())
        torch.testing.assert_close(head(x), net.forward_head(net.norm(x)))


@pytest.mark.parametrize("name", space_names())
def test_keys_go_there_and_back(name):
    found = space_units(load_space(name))
    assert len({unit.key for unit in found}) == len(found) == len(set(found))
    assert all(read_key(unit.key) == unit for unit in found)
    assert len({str(unit) for unit in found}) == len(found), "two units that a person can't tell apart"


@pytest.mark.parametrize("name", space_names())
def test_a_space_has_the_units_of_its_members(name):
    space = load_space(name)
    known = set(space_units(space))
    for spec in (space.largest(), space.smallest(), *space.members(random.Random(0), 30)):
        assert known.issuperset(units(spec))


def test_every_unit_of_a_small_space_is_in_some_member():
    """Nothing is measured in vain."""
    space = load_space("tiny")
    used = Counter()
    for spec in space.members(random.Random(0), 1500):
        used.update(units(spec))
    assert set(used) == set(space_units(space))


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("", "'' is no key"),
        ("[1]", "is no key"),
        ('{"part":"block"}', "is no key"),
        ('{"part":"attic","in":[3,4,4]}', "'attic' is not one of stem, downsample, position, block, head"),
        ('{"part":"block","kind":"conv","kernel":4,"expand":2.0,"in":[8,8,8]}', "kernel: 4"),
        ('{"part":"block","kind":"cov","in":[8,8,8]}', "'cov'"),
    ],
)
def test_what_is_no_key(key, message):
    with pytest.raises(SpecError, match=message):
        read_key(key)


def cost(unit: Unit) -> float:
    """Another one for each unit."""
    return random.Random(unit.key).random()


@pytest.mark.parametrize("name", space_names())
def test_populations_cost_what_their_units_cost(name):
    space = load_space(name)
    population = Population(space, cost, offset=3.0)
    members = [space.largest(), space.smallest(), *space.members(random.Random(0), 40)]
    expected = [3 + sum(map(cost, units(spec))) for spec in members]
    np.testing.assert_allclose(population([space.encode(spec) for spec in members]), expected)


def test_one_network_is_a_population():
    space = load_space("tiny")
    spec = space.largest()
    (found,) = Population(space, cost)([space.encode(spec)])
    assert found == pytest.approx(sum(map(cost, units(spec))))
