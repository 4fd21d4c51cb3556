"""Fronts, crowding, selection and hypervolume against their definitions, written out."""

import itertools
import time

import numpy as np
import pytest

from search.fronts import crowding, hypervolume, nondominated, ranks, select


def dominates(one, other):
    return all(a <= b for a, b in zip(one, other, strict=True)) and any(a < b for a, b in zip(one, other, strict=True))


def by_definition(losses):
    rows = losses.tolist()
    return np.array([not any(dominates(other, row) for other in rows) for row in rows], dtype=bool)


def ranks_by_definition(losses):
    found, left, front = np.full(len(losses), -1), np.arange(len(losses)), 0
    while len(left):
        best = by_definition(losses[left])
        found[left[best]], left, front = front, left[~best], front + 1
    return found


def crowding_by_definition(losses):
    if len(losses) <= 2:
        return np.full(len(losses), np.inf)
    found = [0.0] * len(losses)
    for column in losses.T.tolist():
        order = sorted(range(len(column)), key=column.__getitem__)
        span = column[order[-1]] - column[order[0]]
        if span > 0:
            found[order[0]] = found[order[-1]] = np.inf
            for before, at, after in zip(order, order[1:], order[2:], strict=False):
                found[at] += (column[after] - column[before]) / span
    return np.array(found)


def cells(losses, reference):
    """How many unit cells of a box from 0 to the reference lie behind some row; rows are whole numbers."""
    corners = np.array(list(itertools.product(*(range(end) for end in reference)))).reshape(-1, len(reference))
    return int((corners[:, None] >= losses[None]).all(axis=2).any(axis=1).sum())


def cases(objectives):
    """Without and with equal rows, equal values and infinities; a front of all, and a chain."""
    rng = np.random.default_rng(objectives)
    for number in (0, 1, 2, 3, 40, 150):
        yield rng.random((number, objectives))
        yield rng.integers(0, 4, (number, objectives)).astype(float)
        shell = rng.random((number, objectives))
        yield shell / np.linalg.norm(shell, axis=1, keepdims=True)
        yield np.repeat(np.arange(number, dtype=float)[:, None], objectives, axis=1)[rng.permutation(number)]
        with_ends = rng.integers(0, 3, (number, objectives)).astype(float)
        with_ends[with_ends == 2] = np.inf
        yield np.where(rng.random(with_ends.shape) < 0.1, -np.inf, with_ends)


@pytest.mark.parametrize("objectives", [1, 2, 3, 4, 5])
def test_fronts_are_those_of_the_definition(objectives):
    for losses in cases(objectives):
        assert np.array_equal(nondominated(losses), by_definition(losses))
        expected = ranks_by_definition(losses)
        assert np.array_equal(ranks(losses), expected)
        for enough in (0, 1, len(losses) // 2, len(losses), len(losses) + 5):
            found = ranks(losses, enough)
            ranked = expected < found.max(initial=0) if enough < len(losses) else np.ones(len(losses), dtype=bool)
            assert np.array_equal(found[ranked], expected[ranked])
            assert ranked.sum() >= min(enough, len(losses)) or (found == expected).all()
            assert (found <= expected).all()


def test_ranking_stops_when_enough_are_ranked():
    chain = np.arange(10.0)[:, None].repeat(2, axis=1)
    for losses in (chain[:, :1], chain, chain[:, [0, 0, 0]], chain[:, [0, 0, 0, 0]]):
        assert ranks(losses, 3).tolist() == [0, 1, 2, 3, 3, 3, 3, 3, 3, 3]


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
def test_crowding_is_that_of_nsga2(objectives):
    rng = np.random.default_rng(objectives)
    for number in (0, 1, 2, 3, 30):
        for losses in (rng.random((number, objectives)), rng.integers(0, 5, (number, objectives)).astype(float)):
            np.testing.assert_allclose(crowding(losses), crowding_by_definition(losses), rtol=1e-12)


def test_crowding_by_hand():
    found = crowding(np.array([[0.0, 4.0], [1.0, 2.0], [3.0, 1.0], [4.0, 0.0]]))
    np.testing.assert_allclose(found, [np.inf, 3 / 4 + 3 / 4, 3 / 4 + 2 / 4, np.inf])
    assert crowding(np.array([[0.0, 7.0], [1.0, 7.0], [2.0, 7.0]])).tolist() == [np.inf, 1.0, np.inf]
    assert crowding(np.full((4, 2), 7.0)).tolist() == [0.0] * 4
    assert crowding(np.array([[0.0], [1.0], [np.inf], [3.0]])).tolist()[1] == 1.0


def by_keys(losses, excess):
    """All rows, best first: feasible ones by front and crowding, then by excess, front and crowding."""
    keys = {}
    for group in [np.flatnonzero(excess <= 0)] + [np.flatnonzero(excess == e) for e in np.unique(excess[excess > 0])]:
        front = ranks_by_definition(losses[group])
        for number in np.unique(front):
            rows = group[front == number]
            for row, distance in zip(rows, crowding_by_definition(losses[rows]), strict=True):
                keys[int(row)] = (max(excess[row], 0.0), number, -distance, row)
    return sorted(keys, key=keys.__getitem__)


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
@pytest.mark.parametrize("broken", [0.0, 0.5, 0.9, 1.0])
def test_selection_is_constraint_domination(objectives, broken):
    rng = np.random.default_rng(7)
    for losses in (rng.random((40, objectives)), rng.integers(0, 4, (40, objectives)).astype(float)):
        excess = np.where(rng.random(40) < broken, rng.integers(1, 5, 40) / 4, 0.0)
        expected = by_keys(losses, excess)
        for number in (0, 1, 2, 7, 20, 39, 40):
            assert select(losses, excess, number).tolist() == expected[:number]
        assert select(losses, excess, 1000).tolist() == expected


@pytest.mark.parametrize("objectives", [1, 2, 3, 4, 5])
def test_hypervolume_counts_cells(objectives):
    rng, side = np.random.default_rng(objectives), {1: 9, 2: 9, 3: 8, 4: 5, 5: 4}[objectives]
    reference = np.full(objectives, side)
    for number in (0, 1, 2, 5, 12):
        for top in (side, side + 2):  # some rows are not before the reference
            losses = rng.integers(0, top, (number, objectives))
            assert hypervolume(losses, reference) == pytest.approx(cells(losses, reference), abs=1e-9)


@pytest.mark.parametrize("objectives", [2, 3, 4, 5])
def test_hypervolume_is_that_of_optuna(objectives):
    theirs = pytest.importorskip("optuna._hypervolume").compute_hypervolume
    rng = np.random.default_rng(objectives)
    for number in (1, 10, 40):
        losses = rng.normal(size=(number, objectives))
        reference = losses.max(axis=0) + 0.1
        assert hypervolume(losses, reference) == pytest.approx(theirs(losses, reference), rel=1e-9)


def test_hypervolume_of_a_large_front():
    """Of points on a quarter of a sphere around the reference, as many as fill it."""
    rng = np.random.default_rng(0)
    directions = np.abs(rng.normal(size=(20_000, 3)))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    assert hypervolume(1 - directions, np.ones(3)) == pytest.approx(np.pi / 6, abs=0.01)


def test_what_is_refused():
    for function in (nondominated, ranks, crowding, lambda losses: select(losses, np.zeros(2), 1)):
        with pytest.raises(ValueError, match=r"losses\[1\] has a value that is not a number"):
            function(np.array([[0.0, 1.0], [0.0, np.nan]]))
        with pytest.raises(ValueError, match=r"losses of shape \(2,\) are not rows"):
            function(np.zeros(2))
    with pytest.raises(ValueError, match="excess of shape"):
        select(np.zeros((2, 2)), np.zeros(3), 1)
    with pytest.raises(ValueError, match="excess"):
        select(np.zeros((2, 2)), np.array([0.0, np.nan]), 1)
    with pytest.raises(ValueError, match="reference"):
        hypervolume(np.zeros((2, 2)), [1.0])
    with pytest.raises(ValueError, match="reference"):
        hypervolume(np.zeros((2, 2)), [1.0, np.inf])
    with pytest.raises(ValueError, match="infinite"):
        hypervolume(np.array([[0.0, -np.inf]]), [1.0, 1.0])


@pytest.mark.parametrize(("objectives", "a_second"), [(2, 1_000_000), (3, 300_000)])
def test_fronts_of_100_000_are_fast(objectives, a_second):
    losses = np.random.default_rng(0).random((100_000, objectives))
    times = []
    for _ in range(3):
        start = time.thread_time()
        nondominated(losses)
        times.append(time.thread_time() - start)
    assert 100_000 / min(times) >= a_second
