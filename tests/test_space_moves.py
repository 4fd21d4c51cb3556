"""Drawing and altering members: what is uniform is counted, neighbours are compared with a list of all networks."""

import itertools
import random
from collections import Counter

import pytest
import yaml
from scipy.stats import chisquare
from small_spaces import SMALL, all_networks, values

from supernet import SpecError, count, load_space, parse_space, space_names

SPACES = {name: load_space(name) for name in space_names()}
LISTED = {name: list(all_networks(text)) for name, text in SMALL.items()}


def fair(counter, choices):
    """Whether these counts may well come from a uniform draw, and nothing else was drawn."""
    counts = [counter[choice] for choice in choices]
    return sum(counts) == counter.total() and (len(counts) == 1 or chisquare(counts).pvalue > 1e-3)


def macs(spec):
    return count(spec).macs


def attending(stage):
    return tuple(block.attends for block in stage.blocks)


@pytest.mark.parametrize("name", SPACES)
def test_samples_are_uniform(name):
    """In each gene that has always something to say, in depth, in the number of blocks of a kind at a depth, and in
    their arrangement at a number."""
    space, rng = SPACES[name], random.Random(1)
    specs = [space.sample(rng) for _ in range(2000)]
    assert all(spec in space for spec in specs)
    codes = [space.encode(spec) for spec in specs]
    always = set.intersection(*(set(space.active(code)) for code in codes))
    for gene in always:
        about = space.genes[gene]
        if about.ordered:
            assert fair(Counter(code[gene] for code in codes), range(about.choices)), about.name
    for index, stage in enumerate(space.stages):
        assert fair(Counter(len(spec.stages[index].blocks) for spec in specs), stage.depths)
        for depth in stage.depths:
            placed = [
                tuple(type(block) for block in spec.stages[index].blocks)
                for spec in specs
                if len(spec.stages[index].blocks) == depth
            ]
            kinds = [kind.part.kind for kind in stage.kinds]
            counts = Counter(tuple(one.count(kind) for kind in kinds) for one in placed)
            assert fair(counts, stage.placements.counts(depth)), (index, depth)


def test_arrangements_are_uniform():
    """Given how many blocks attend, each arrangement is as likely as any other."""
    space, rng = SPACES["efficientformerv2_small"], random.Random(2)
    stages = [space.sample(rng).stages[2] for _ in range(8000)]
    for number in range(1, 4):
        drawn = Counter(attending(s) for s in stages if len(s.blocks) == 4 and sum(attending(s)) == number)
        known = [one for one in itertools.product((False, True), repeat=4) if sum(one) == number]
        assert set(drawn) == set(known)
        assert fair(drawn, known)


def test_slots_of_dropped_blocks_are_uniform():
    space, rng = SPACES["efficientformer"], random.Random(3)
    slots = [space.sample(rng).stages[1].block_slots for _ in range(3000)]
    known = list(itertools.combinations(range(4), 2))
    assert fair(Counter(one for one in slots if len(one) == 2), known)


def test_samples_follow_the_generator_alone():
    space = SPACES["hybrid"]
    first = [space.sample(random.Random(seed)) for seed in range(5)]
    space.mutate(first[0], random.Random(9))
    assert [load_space("hybrid").sample(random.Random(seed)) for seed in range(5)] == first


@pytest.mark.parametrize("name", SPACES)
def test_tilt(name):
    """It shifts the mean both ways, the further the more; a steep one gives the ends of each list."""
    space, rng = SPACES[name], random.Random(0)
    means = [sum(macs(space.sample(rng, tilt=tilt)) for _ in range(100)) for tilt in (-6, -2, 0, 2, 6)]
    assert means == sorted(means)
    steep = space.sample(rng, tilt=200.0)
    assert [stage.width for stage in steep.stages] == [stage.width for stage in space.largest().stages]
    assert [len(stage.blocks) for stage in steep.stages] == [max(stage.depths) for stage in space.stages]


# --- mutation and crossover ------------------------------------------------------------------------------------


def differing(space, first, second):
    pairs = zip(space.encode(first), space.encode(second), strict=True)
    return [gene for gene, (one, other) in enumerate(pairs) if one != other]


@pytest.mark.parametrize("name", SPACES)
def test_mutation(name):
    space, rng = SPACES[name], random.Random(0)
    spec = space.sample(rng)
    few = [space.mutate(spec, rng, rate=0.02) for _ in range(40)]
    many = [space.mutate(spec, rng, rate=0.5) for _ in range(40)]
    assert all(mutant != spec and mutant in space for mutant in few + many)
    changes = [[len(differing(space, spec, mutant)) for mutant in mutants] for mutants in (few, many)]
    assert 0 < sum(changes[0]) < sum(changes[1]) / 2
    assert min(changes[0]) == 1


def test_mutation_with_rate_1_is_a_fresh_draw():
    space, rng = SPACES["iformer_small"], random.Random(0)
    spec = space.largest()
    mutants = [space.encode(space.mutate(spec, rng, rate=1)) for _ in range(2000)]
    always = set.intersection(*(set(space.active(code)) for code in mutants))
    assert len(always) > 5
    for gene in always:
        about = space.genes[gene]
        assert not about.ordered or fair(Counter(code[gene] for code in mutants), range(about.choices)), about.name


@pytest.mark.parametrize(("name", "stage"), [("iformer", 2), ("efficientformer", 2), ("efficientformerv2", 3)])
def test_mutated_fields_of_every_slot_are_uniform(name, stage):
    """Also of the last slots, which a random network seldom fills."""
    space, rng = SPACES[name], random.Random(0)
    last = max(space.stages[stage].depths) - 1

    def held(spec):
        """The expansion of a block in the last slot that does not attend."""
        blocks = dict(zip(spec.stages[stage].block_slots, spec.stages[stage].blocks, strict=True))
        return blocks[last].expand if last in blocks and not blocks[last].attends else None

    spec = next(spec for spec in iter(lambda: space.sample(rng), None) if held(spec) == 4)
    drawn = Counter(held(space.mutate(spec, rng, rate=0.4)) for _ in range(1500))
    assert fair(Counter({expand: drawn[expand] for expand in drawn if expand not in (None, 4)}), (2, 3))
    assert drawn[2] > 100


@pytest.mark.parametrize("rate", [0, -0.1, 1.5])
def test_mutation_at_no_rate(rate):
    space = SPACES["tiny"]
    with pytest.raises(ValueError, match=f"rate: {rate} is not above 0 and at most 1"):
        space.mutate(space.largest(), random.Random(0), rate=rate)


def test_mutation_of_the_only_one():
    alone = SPACES["tiny"].restricted(())
    with pytest.raises(SpecError, match="space: has one network only"):
        alone.mutate(alone.largest(), random.Random(0))


@pytest.mark.parametrize("name", SPACES)
def test_crossover(name):
    """Each field from one parent, each placement whole."""
    space, rng = SPACES[name], random.Random(0)
    children = 0
    for _ in range(20):
        first, second = space.sample(rng), space.sample(rng)
        child = space.crossover(first, second, rng)
        assert child in space
        codes = [space.encode(spec) for spec in (first, second, child)]
        live = [set(space.active(code)) for code in codes]
        for gene in live[2]:
            parents = [code[gene] for code, active in zip(codes[:2], live[:2], strict=True) if gene in active]
            assert codes[2][gene] in parents, space.genes[gene].name
        for one, other, mixed in zip(first.stages, second.stages, child.stages, strict=True):
            placed = [
                [(slot, type(b)) for slot, b in zip(s.block_slots, s.blocks, strict=True)] for s in (one, other, mixed)
            ]
            assert placed[2] in placed[:2]
        children += child not in (first, second)
    assert children > 10
    assert space.crossover(first, first, rng) == first


# --- neighbours one action smaller -----------------------------------------------------------------------------


def flat(spec, stages):
    """A network as fields by path; blocks by slot, the widths that may be chosen only."""
    found = {"resolution": spec.resolution}
    parts = [("stem", spec.stem), ("head", spec.head)]
    for index, (stage, entry) in enumerate(zip(spec.stages, stages, strict=True)):
        if "downsample" in entry:
            found[f"{index}.width"] = stage.width
            parts.append((f"{index}.downsample", stage.downsample))
        parts += [(f"{index}.{slot}", block) for slot, block in zip(stage.block_slots, stage.blocks, strict=True)]
    for path, options in parts:
        found[f"{path}.kind"] = type(options)
        for name in options.__struct_fields__:
            value = getattr(options, name)
            lists = _lists(path, name, options.kind_name(), stages)
            if lists is not None and isinstance(lists, dict) and "from" not in lists:
                value = lists[found[path.split(".")[0] + ".width"]].index(
                    value
                )  # the choice, where values follow width
            found[f"{path}.{name}"] = value
    return found


def _lists(path, name, kind, stages):
    stage = path.split(".")[0]
    if not stage.isdigit():
        return None
    entries = [*stages[int(stage)].get("blocks", []), stages[int(stage)].get("downsample", {})]
    return next((entry.get(name) for entry in entries if entry.get("kind") == kind), None)


def one_action(before, after, data):
    """Whether one network is one action away from another, in words of the manual."""
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    blocks = {".".join(path.split(".")[:2]) for path in changed}
    gone = {path for path in before if path.endswith(".kind") and path not in after}
    if len(changed) == 1 and not gone:
        (path,) = changed
        return not path.endswith(".kind") and adjacent(path, before, after, data)
    if gone:
        stage = {path.split(".")[0] for path in gone}
        lost = {".".join(path.split(".")[:2]) for path in gone}
        return len(stage) == 1 and blocks == lost and fewer(int(stage.pop()), gone, before, data)
    if len(blocks) == 1:
        (block,) = blocks
        kinds = before[f"{block}.kind"], after[f"{block}.kind"]
        return kinds[0].attends and not kinds[1].attends and cheapest_else(block, before, after, data)
    return False


def adjacent(path, before, after, data):
    """A field of one block may differ in one step: up or down, as what is cheaper is decided by cost."""
    *where, name = path.split(".")
    part = data
    if where and where[0].isdigit():
        part = data["stages"][int(where[0])]
        if where[1:] and where[1].isdigit():
            part = next(
                entry for entry in part["blocks"] if entry["kind"] == before[f"{'.'.join(where)}.kind"].kind_name()
            )
        elif where[1:]:
            part = part[where[1]]
    elif where:
        part = part[where[0]]
    listed = [tuple(value) if isinstance(value, list) else value for value in _of(part[name])]
    return abs(listed.index(before[path]) - listed.index(after[path])) == 1


def _of(entry):
    if isinstance(entry, dict) and "from" not in entry:
        return list(range(len(next(iter(entry.values())))))
    return values(entry)


def fewer(stage, gone, before, data):
    """The next depth of the list; the last blocks, unless any may go."""
    entry = data["stages"][stage]
    filled = sorted(
        path for path in before if path.split(".")[0] == str(stage) and path.endswith(".kind") and path.count(".") == 2
    )
    filled = [path for path in filled if path.split(".")[1].isdigit()]
    depths = values(entry["depth"])
    if len(filled) - len(gone) != depths[depths.index(len(filled)) - 1]:
        return False
    return entry.get("drop") == "any" or set(filled[-len(gone) :]) == gone


def cheapest_else(block, before, after, data):
    stage = int(block.split(".")[0])
    entries = {entry["kind"]: entry for entry in data["stages"][stage]["blocks"]}
    old, new = entries[before[f"{block}.kind"].kind_name()], entries[after[f"{block}.kind"].kind_name()]
    for name, entry in new.items():
        if isinstance(entry, list) and name not in ("slots", "count"):
            wanted = before[f"{block}.{name}"] if old.get(name) == entry else entry[0]
            if after[f"{block}.{name}"] != wanted:
                return False
    return True


@pytest.mark.parametrize("name", SMALL)
def test_smaller_against_all_networks(name):
    """Those of all networks that are one action away and cost less."""
    space, data, rng = parse_space(SMALL[name]), yaml.safe_load(SMALL[name]), random.Random(0)
    flats = {spec: flat(spec, data["stages"]) for spec in LISTED[name]}
    costs = {spec: (macs(spec), count(spec).params) for spec in LISTED[name]}
    for spec in [space.largest(), space.smallest(), *rng.sample(LISTED[name], 12)]:
        found = space.smaller(spec)
        members = [member for _, member in found]
        assert len(set(members)) == len(members)
        near = {
            other
            for other in LISTED[name]
            if costs[other] < costs[spec] and one_action(flats[spec], flats[other], data)
        }
        assert set(members) == near
    assert space.smaller(space.smallest()) == []


@pytest.mark.parametrize("name", SPACES)
def test_smaller(name):
    """From the largest to the smallest by any of them: no step leads out of the space, none is dearer."""
    space, rng = SPACES[name], random.Random(0)
    spec = space.sample(rng, tilt=-3)
    for _ in range(4):
        found = space.smaller(spec)
        assert all(member in space for _, member in found)
        assert all((macs(member), count(member).params) < (macs(spec), count(spec).params) for _, member in found)
        if not found:
            break
        spec = rng.choice(found)[1]
    actions = [action for action, _ in space.smaller(space.largest())]
    assert len(set(actions)) == len(actions) > 10


def test_actions_in_words():
    space = SPACES["iformer"]
    actions = [action for action, _ in space.smaller(space.largest())]
    assert "resolution 224 to 192" in actions
    assert "stages[2].width 256 to 224" in actions
    assert "stages[2].slots[3].expand 4 to 3" in actions
    assert "stages[2] without modulation in slot 16" in actions
    assert "stages[2] slot 16 modulation to conv" in actions


def test_members():
    space = SPACES["tiny"]
    found = space.members(random.Random(0), 50)
    assert len(set(found)) == 50
    assert space.restricted(["width"]).size == len(space.restricted(["width"]).members(random.Random(0), 50)) == 9
