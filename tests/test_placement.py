"""Placements of blocks in slots, against a list of all of them."""

import itertools
import math
import random
from collections import Counter

import pytest
from scipy.stats import chisquare

from supernet.space.placement import EMPTY, KindRule, PlacementSpace


def random_space(rng):
    num_slots = rng.randint(1, 5)
    depths = sorted([*rng.sample(range(num_slots), rng.randint(0, num_slots - 1)), num_slots])
    rules = []
    for _ in range(rng.randint(1, 3)):
        slots = sorted(rng.sample(range(num_slots), rng.randint(1, num_slots)))
        fewest = rng.choice((0, 0, 0, 1))
        rules.append(KindRule(tuple(slots), (fewest, rng.randint(fewest, num_slots))))
    return PlacementSpace(num_slots, tuple(depths), rng.random() < 0.5, tuple(rules))


def every_placement(space):
    """By the rules as they are written, one after the other."""
    for placement in itertools.product(range(EMPTY, len(space.kinds)), repeat=space.num_slots):
        held = [slot for slot, kind in enumerate(placement) if kind != EMPTY]
        if len(held) not in space.depths or not (space.anywhere or held == list(range(len(held)))):
            continue
        slots = [[slot for slot in held if placement[slot] == number] for number in range(len(space.kinds))]
        if all(
            set(mine) <= set(rule.slots) and rule.blocks[0] <= len(mine) <= rule.blocks[1]
            for mine, rule in zip(slots, space.kinds, strict=True)
        ):
            yield placement


@pytest.mark.parametrize("seed", range(60))
def test_against_all(seed):
    """What is allowed, how many there are (also weighted), and which numbers of blocks a depth may have."""
    rng = random.Random(seed)
    space = random_space(rng)
    known = set(every_placement(space))
    allowed = {
        placement
        for placement in itertools.product(range(EMPTY, len(space.kinds) + 1), repeat=space.num_slots)
        if space.allows(placement)
    }
    assert allowed == known
    weights = [rng.randint(1, 5) for _ in space.kinds]
    assert space.number(weights) == sum(math.prod(weights[k] for k in one if k != EMPTY) for one in known)
    for depth in space.depths:
        of_depth = [one for one in known if sum(kind != EMPTY for kind in one) == depth]
        counts = {tuple(one.count(kind) for kind in range(len(space.kinds))) for one in of_depth}
        assert set(space.counts(depth)) == counts
        for one in counts:
            order = rng.sample(range(len(space.kinds)), len(space.kinds))
            rank = [*order, EMPTY]
            matching = [p for p in of_depth if tuple(p.count(kind) for kind in range(len(space.kinds))) == one]
            assert space.arrange(one, order) == min(matching, key=lambda p, rank=rank: [rank.index(k) for k in p])


@pytest.mark.parametrize("anywhere", [False, True])
def test_drawing_is_uniform(anywhere):
    """First the number of blocks of each kind, then the arrangement given that number."""
    rules = (KindRule((0, 1, 2, 3), (0, 4)), KindRule((1, 3), (0, 2)))
    space = PlacementSpace(4, (1, 3, 4), anywhere, rules)
    rng = random.Random(1)
    drawn = Counter(space.draw(rng, 3) for _ in range(6000))
    of_depth = [one for one in every_placement(space) if sum(kind != EMPTY for kind in one) == 3]
    assert set(drawn) == set(of_depth)
    by_count = {number: [one for one in of_depth if one.count(1) == number] for number in range(3)}
    by_count = {number: ones for number, ones in by_count.items() if ones}
    totals = [sum(drawn[one] for one in ones) for ones in by_count.values()]
    assert chisquare(totals).pvalue > 1e-3
    for ones in by_count.values():
        assert len(ones) == 1 or chisquare([drawn[one] for one in ones]).pvalue > 1e-3


def test_wrong_lengths_and_kinds_are_not_allowed():
    space = PlacementSpace(2, (1, 2), False, (KindRule((0, 1), (0, 2)),))
    assert space.allows((0, EMPTY))
    assert not space.allows((0,))
    assert not space.allows((0, 0, EMPTY))
    assert not space.allows((0, 1))
    assert not space.allows((0, -2))
    assert not space.allows((EMPTY, 0))
