"""Spaces as sets: their members and codes, their size, their ends and what is left when dimensions are held."""

import itertools
import pickle
import random
import re

import numpy as np
import pytest
from small_spaces import LAST, SMALL, all_networks

from supernet import SpecError, count, load_space, load_spec, parse_space, space_names
from supernet.downsamples import ConvDownsample
from supernet.space.bands import Bands
from supernet.space.choices import DIMENSIONS

PUBLISHED = {
    "cifar": [],
    "efficientformer": ["efficientformer_l1", "efficientformer_l3"],
    "efficientformerv2": [f"efficientformerv2_{size}" for size in ("s0", "s1", "s2", "l")],
    "efficientformerv2_small": [],
    "hybrid": [],
    "iformer": ["iformer_t", "iformer_s", "iformer_m", "iformer_l"],
    "iformer_small": [],
    "inception": ["inception_iformer_small"],
    "lowformer": ["lowformer_b0", "lowformer_b1", "lowformer_b15", "lowformer_e1"],
    "tiny": [],
}
SPACES = {name: load_space(name) for name in space_names()}
LISTED = {name: list(all_networks(text)) for name, text in SMALL.items()}


def cost(spec):
    counted = count(spec)
    return counted.macs, counted.params


def test_every_space_is_known_here():
    assert set(PUBLISHED) == set(SPACES)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_members(name):
    space = SPACES[name]
    for member in PUBLISHED[name]:
        spec = load_spec(member)
        assert spec in space
        assert space.decode(space.encode(spec)) == spec
        assert cost(space.smallest()) < cost(spec) <= cost(space.largest())


@pytest.mark.parametrize("name", PUBLISHED)
def test_codes(name):
    """There and back for networks, to one canonical form for codes."""
    space, rng = SPACES[name], random.Random(name)
    for _ in range(100):
        spec = space.sample(rng)
        code = space.encode(spec)
        assert space.decode(code) == spec
        assert spec in space
        assert space.canonical(code) == code
        noisy = [
            value if gene in space.active(code) else rng.randrange(space.genes[gene].choices)
            for gene, value in enumerate(code)
        ]
        assert space.decode(np.array(noisy)) == space.decode([float(value) for value in noisy]) == spec
        assert space.canonical(noisy) == code


@pytest.mark.parametrize("name", SMALL)
def test_against_all_networks(name):
    """A small space has exactly the networks one gets by multiplying out its file, each with a code of its own."""
    space, known = parse_space(SMALL[name]), LISTED[name]
    assert space.size == len(known) == len(set(known))
    codes = {space.encode(spec) for spec in known}
    assert len(codes) == len(known)
    assert {space.decode(code) for code in codes} == set(known)
    found, wrong = set(), set()
    for code in itertools.product(*(range(gene.choices) for gene in space.genes)) if name != "counts" else codes:
        try:
            found.add(space.decode(code))
        except SpecError as error:
            wrong.add(error.path)
    assert found == set(known)
    assert wrong <= {f"stages[{index}]" for index in range(len(space.stages))}  # blocks that may not stand so


@pytest.mark.parametrize("name", SMALL)
def test_ends_against_all_networks(name):
    space, costs = parse_space(SMALL[name]), [cost(spec) for spec in LISTED[name]]
    assert cost(space.largest()) == max(costs)
    assert cost(space.smallest()) == min(costs)
    assert space.largest() in space
    assert space.smallest() in space


def test_ends_where_wider_is_cheaper():
    """How many channels attend follows the width: the widest is neither the most expensive nor the cheapest."""
    text = SMALL["by_width"].replace("{16: [1, 2], 24: [2, 5], 32: [2, 3]}", "{16: 3, 24: [1], 32: 7}")
    space, known = parse_space(text), list(all_networks(text.replace("{16: 3,", "{16: [3],").replace("7}", "[7]}")))
    assert space.size == len(known)
    by_cost = sorted(known, key=cost)
    assert cost(space.largest()) == cost(by_cost[-1])
    assert cost(space.smallest()) == cost(by_cost[0])


@pytest.mark.parametrize("name", PUBLISHED)
def test_ends(name):
    space, rng = SPACES[name], random.Random(0)
    low, high = cost(space.smallest()), cost(space.largest())
    assert all(low <= cost(space.sample(rng)) <= high for _ in range(100))
    assert space.smallest() in space
    assert space.largest() in space


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda spec: spec.with_(family="hybrid"), "family"),
        (lambda spec: spec.with_(num_classes=10), "num_classes"),
        (lambda spec: spec.with_(resolution=176), "resolution"),
        (lambda spec: spec.with_(resolution=(160, 192)), "resolution"),
        (lambda spec: _stage(spec, 1, width=72), "stages[1].width"),
        (lambda spec: _stage(spec, 0, blocks=spec.stages[0].blocks * 4), "stages[0].blocks"),
        (lambda spec: _stage(spec, 2, blocks=spec.stages[2].blocks[:4]), "stages[2].blocks"),
        (lambda spec: _stage(spec, 2, blocks=_attending(spec)[:1] + spec.stages[2].blocks[1:]), "stages[2].blocks"),
        (lambda spec: _stage(spec, 2, blocks=spec.stages[2].blocks[:4] + _attending(spec) * 9), "stages[2].blocks"),
        (lambda spec: _block(spec, 0, 0, layer_scale=1e-5), "stages[0].blocks[0].layer_scale"),
        (lambda spec: _block(spec, 0, 0, expand=5), "stages[0].blocks[0].expand"),
        (lambda spec: _stage(spec, 1, downsample=ConvDownsample(kernel=3, bias=True)), "stages[1].downsample.bias"),
        (lambda spec: _stage(spec, 0, slots=(0, 3)), "stages[0].blocks[1]"),
        (lambda spec: _stage(spec, 0, slots=(0, 2)), "stages[0].blocks"),
        (lambda spec: spec.with_(stages=spec.stages[:3]), "stages"),
        (lambda spec: spec.with_(stem=_with(spec.stem, kernel=3)), "stem.kernel"),
    ],
)  # fmt: skip
def test_what_is_no_member(change, path):
    space, spec = SPACES["iformer"], load_spec("iformer_t")
    assert spec in space
    changed = change(spec)
    assert changed not in space
    with pytest.raises(SpecError, match=r"^" + re.escape(path) + r": .+(in the space|of the space|stand in slot)"):
        space.encode(changed)
    assert "iformer_t" not in space


def test_no_member_says_how_many_and_where():
    space, spec = SPACES["iformer"], load_spec("iformer_t")
    attending, conv = _attending(spec)[0], spec.stages[2].blocks[0]
    with pytest.raises(
        SpecError, match=r"stages\[2\]\.blocks: modulation can't stand in slot 1, only in 2, 3, .*, 16$"
    ):
        space.encode(_stage(spec, 2, blocks=(conv, attending) * 4))
    with pytest.raises(SpecError, match=r"stages\[2\]\.blocks: 10 blocks of modulation are not from 0 to 9, as in"):
        space.encode(_stage(spec, 2, blocks=(conv,) * 4 + (attending,) * 10))
    with pytest.raises(SpecError, match=r"stages\[2\]\.blocks: 18 blocks are not one of 6, 7, .*, 17, as in"):
        space.encode(_stage(spec, 2, blocks=(conv,) * 18))
    with pytest.raises(SpecError, match=r"stages\[1\]\.downsample: there is none; the space has one"):
        space.encode(_stage(_stage(spec, 1, width=spec.stem.width), 1, downsample=None))


def _attending(spec):
    return tuple(block for block in spec.stages[2].blocks if block.attends)


def _with(options, **changes):
    fields = {name: getattr(options, name) for name in options.__struct_fields__}
    return type(options)(**(fields | changes))


def _stage(spec, index, **changes):
    stages = list(spec.stages)
    stages[index] = _with(stages[index], **({"slots": None} if "blocks" in changes else {}), **changes)
    return spec.with_(stages=tuple(stages))


def _block(spec, stage, block, **changes):
    blocks = list(spec.stages[stage].blocks)
    blocks[block] = _with(blocks[block], **changes)
    return _stage(spec, stage, blocks=tuple(blocks))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ((0,) * 3, "code: 3 numbers are not 17, one for each gene of the space"),
        ((3, *(0,) * 16), "code: 3 is not a whole number from 0 to 2, the choices of stem.width"),
        ((-1, *(0,) * 16), "code: -1 is not a whole number from 0 to 2, the choices of stem.width"),
        ((0.5, *(0,) * 16), "code: 0.5 is not a whole number from 0 to 2, the choices of stem.width"),
    ],
)
def test_wrong_codes(code, message):
    with pytest.raises(SpecError) as error:
        SPACES["tiny"].decode(code)
    assert str(error.value) == message


def test_genes_say_what_they_choose():
    """In the order of the network, each with its values from cheap to expensive."""
    genes = {gene.name: gene for gene in parse_space(LAST).genes}
    assert list(genes)[:3] == ["resolution", "stem.width", "stages[0].depth"]
    assert genes["stages[0].depth"].values == ("0", "1", "2")
    assert genes["stages[1].slots[1].kind"].values == ("conv", "modulation")
    assert genes["stages[1].slots[1].reduction"].values == ("4", "2")
    assert "stages[1].slots[0].modulation.expand" not in genes  # both kinds have the same values: one gene
    for space in SPACES.values():
        assert {gene.dimension for gene in space.genes} <= set(DIMENSIONS)
        assert all(gene.choices > 1 for gene in space.genes)


def test_spaces_are_values():
    space = SPACES["tiny"]
    again = load_space("tiny")
    assert again == space
    assert hash(again) == hash(space)
    assert pickle.loads(pickle.dumps(space)) == space  # noqa: S301  our own
    assert space.with_(num_classes=7) != space
    assert space.with_(num_classes=7).largest().num_classes == 7


# --- some dimensions held --------------------------------------------------------------------------------------


def held_fields(spec, largest, elastic):
    """What differs from the largest although its dimension is held: by the names of fields, without genes."""
    widths, kernels = ("width", "map_width", "vector_width"), ("kernel", "local_kernel")
    expands = ("expand", "mlp_expand", "local_expand")
    attention = ("heads", "key_width", "value_width", "head_width", "reduction", "pool", "window")
    held = [
        name
        for dimension, names in (
            ("width", widths), ("kernel", kernels), ("expand", expands), ("attention", attention), ("depth", ("depth",))
        )
        if dimension not in elastic
        for name in names
    ]  # fmt: skip
    pairs = [("stem", spec.stem, largest.stem), ("head", spec.head, largest.head)]
    differences = []
    if "resolution" not in elastic and spec.resolution != largest.resolution:
        differences.append("resolution")
    for index, (mine, full) in enumerate(zip(spec.stages, largest.stages, strict=True)):
        if "width" not in elastic and mine.width != full.width:
            differences.append(f"stages[{index}].width")
        if "depth" not in elastic and len(mine.blocks) != len(full.blocks):
            differences.append(f"stages[{index}].depth")
        if mine.downsample is not None:
            pairs.append((f"stages[{index}].downsample", mine.downsample, full.downsample))
        theirs = dict(zip(full.block_slots, full.blocks, strict=True))
        for slot, block in zip(mine.block_slots, mine.blocks, strict=True):
            if type(block) is type(theirs[slot]):
                pairs.append((f"stages[{index}].slots[{slot}]", block, theirs[slot]))
            elif "attention" not in elastic:
                differences.append(f"stages[{index}].slots[{slot}].kind")
    for path, mine, full in pairs:
        for name in set(held) & set(mine.__struct_fields__):
            if getattr(mine, name) != getattr(full, name):
                differences.append(f"{path}.{name}")
    return differences


SUBSETS = [subset for number in range(7) for subset in itertools.combinations(DIMENSIONS, number)]


@pytest.mark.parametrize("name", ["last", "any", "counts"])
def test_restricted_against_all_networks(name):
    """For every set of dimensions: exactly those members that agree with the largest in the others."""
    space = parse_space(SMALL[name])
    largest = space.largest()
    for elastic in SUBSETS:
        small = space.restricted(elastic)
        agreeing = [spec for spec in LISTED[name] if not held_fields(spec, largest, elastic)]
        if "attention" in elastic:
            # A kind that the largest has not in a slot takes the values it has elsewhere, or its last ones.
            inside = [spec for spec in LISTED[name] if spec in small]
            assert set(inside) <= set(agreeing)
            assert small.size == len(inside)
        else:
            assert {spec for spec in LISTED[name] if spec in small} == set(agreeing)
            assert small.size == len(agreeing)
        assert small.largest() == largest


@pytest.mark.parametrize("name", PUBLISHED)
def test_restricted(name):
    space, rng = SPACES[name], random.Random(0)
    assert space.restricted(()).size == 1
    assert space.restricted(()).largest() == space.largest()
    assert space.restricted(DIMENSIONS) == space
    for elastic in SUBSETS[1::5]:
        small = space.restricted(elastic)
        for _ in range(3):
            spec = small.sample(rng)
            assert spec in space
            # By width, the same choice is another value.
            assert not [
                p for p in held_fields(spec, space.largest(), elastic) if name != "inception" or "heads" not in p
            ]


def test_restricted_keeps_the_choice_where_values_follow_the_width():
    space = parse_space(SMALL["by_width"])
    heads = {16: (1, 2), 24: (2, 5), 32: (2, 3)}
    stage = space.largest().stages[1]
    choice = heads[stage.width].index(stage.blocks[0].heads)
    small = space.restricted(["width"])
    assert small.size == 3
    found = {(spec.stages[1].width, spec.stages[1].blocks[0].heads) for spec in small.members(random.Random(0), 3)}
    assert found == {(width, values[choice]) for width, values in heads.items()}


def test_restricted_to_what_there_is_not():
    with pytest.raises(SpecError, match=r"elastic: 'widths' is not one of resolution, width, depth, kernel, expand"):
        SPACES["tiny"].restricted(["widths"])


# --- bands of MACs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "number"), [("iformer_small", 5), ("tiny", 8), ("efficientformer", 3)])
def test_bands(name, number):
    space, rng = SPACES[name], random.Random(0)
    bands = Bands(space, number)
    assert len(bands) == number
    assert bands.limits(0)[0] == count(space.smallest()).macs
    assert bands.limits(number - 1)[1] > count(space.largest()).macs
    drawn = [bands.sample(rng) for _ in range(100 * number)]
    for spec in drawn:
        low, high = bands.limits(bands.of(spec))
        assert low <= count(spec).macs < high
        assert spec in space
    uses = [sum(bands.of(spec) == band for spec in drawn) for band in range(number)]
    assert all(number_of > 60 for number_of in uses)
    for band in range(number):
        assert bands.of(bands.sample(rng, band)) == band
    assert len(set(drawn)) > len(drawn) / 2
    same, other = random.Random(3), random.Random(3)
    again = Bands(space, number)  # nothing it was used for before matters
    assert [bands.sample(same) for _ in range(20)] == [again.sample(other) for _ in range(20)]


def test_bands_of_one_network():
    space = SPACES["tiny"].restricted(())
    bands = Bands(space, 4)
    assert len(bands) == 1
    assert bands.sample(random.Random(0)) == space.largest()
    with pytest.raises(ValueError, match="0 bands are not at least 1"):
        Bands(space, 0)


def test_bands_leave_out_what_is_empty():
    """Two resolutions and nothing else to choose: nothing lies between."""
    space = SPACES["tiny"].restricted(()).with_(resolutions=(16, 64))
    bands = Bands(space, 6)
    assert len(bands) == 2
    assert {bands.sample(random.Random(seed)).resolution for seed in range(10)} == {16, 64}
