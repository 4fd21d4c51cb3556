"""Many networks at once: the same as one by one."""

import random

import numpy as np
import pytest

from search.codes import Codes, distinct
from search.costs import Costs, Efficiency, show
from search.exact import enumerate_codes
from search.problem import Constraint, Problem, parse_constraint
from supernet import SpecError, count, load_space, parse_space
from tests.small_spaces import SMALL, all_networks

SPACES = {name: parse_space(text) for name, text in SMALL.items()}
PUBLISHED = ("efficientformer", "efficientformerv2", "hybrid", "iformer", "inception", "lowformer")


@pytest.fixture(params=[*SMALL, *PUBLISHED])
def space(request):
    return SPACES[request.param] if request.param in SPACES else load_space(request.param)


def in_space(space, codes):
    """Each stands for a network, and in its canonical form."""
    return all(space.encode(space.decode(code.tolist())) == tuple(code.tolist()) for code in codes)


def test_draws_moves_and_crossings_stay_in_the_space(space):
    codes, rng = Codes(space), np.random.default_rng(0)
    drawn = codes.draw(rng, 60)
    mutated = codes.mutate(drawn, rng, 0.2)
    crossed = codes.crossover(drawn, mutated[::-1], rng)
    for found in (drawn, mutated, crossed):
        assert codes.allowed(found).all()
        assert in_space(space, found)
    assert not (drawn == mutated).all(axis=1).any(), "a mutation changed nothing"


def test_active_and_canonical_are_those_of_the_space(space):
    codes, rng = Codes(space), np.random.default_rng(1)
    raw = codes._draw_genes(rng, 40)
    for index, stage in enumerate(codes.stages):
        stage.set(raw, codes._fresh(rng, index, len(raw)))
    active = codes.active(raw)
    for code, row in zip(raw, active, strict=True):
        assert np.flatnonzero(row).tolist() == space.active(code.tolist())
    assert codes.canonical(raw).tolist() == [list(space.canonical(code.tolist())) for code in raw]


@pytest.mark.parametrize("name", SMALL)
def test_random_networks_are_those_that_the_space_draws(name):
    """The same networks, as often."""
    space = SPACES[name]
    codes, number = Codes(space), 20_000
    ours = codes.draw(np.random.default_rng(0), number)
    rng = random.Random(0)
    theirs = codes.of([space.sample(rng) for _ in range(number // 4)])
    for gene in range(codes.genes):
        for value in range(codes.choices[gene]):
            assert (ours[:, gene] == value).mean() == pytest.approx((theirs[:, gene] == value).mean(), abs=0.035)
    assert len(np.unique(ours, axis=0)) > 0.9 * len(np.unique(theirs, axis=0))


def test_placements_are_checked_as_the_space_checks_them():
    for space in SPACES.values():
        for stage, own in zip(Codes(space).stages, space.stages, strict=True):
            rng = np.random.default_rng(0)
            placements = rng.integers(-1, len(own.kinds), (300, max(own.depths))).astype(np.int8)
            expected = [own.placements.allows(row.tolist()) for row in placements]
            if not own.drop_anywhere:  # the codes of such stages have no gaps
                gaps = [(row[:-1] < 0) & (row[1:] >= 0) for row in placements]
                placements = placements[[not gap.any() for gap in gaps]]
                expected = [own.placements.allows(row.tolist()) for row in placements]
            assert stage.allows(placements).tolist() == expected
            for row in placements:
                near = stage.nearest(row)
                assert own.placements.allows(near.tolist())
                assert not own.placements.allows(row.tolist()) or (near == row).all()


def test_a_child_has_its_parents_choices(space):
    codes, rng = Codes(space), np.random.default_rng(2)
    first, second = codes.draw(rng, 50), codes.draw(rng, 50)
    child = codes.crossover(first, second, rng)
    ours, theirs, its = codes.active(first), codes.active(second), codes.active(child)
    from_first, from_second = (child == first) & ours, (child == second) & theirs
    assert (from_first | from_second | ~its).all()


@pytest.mark.parametrize("name", SMALL)
def test_neighbours_differ_in_one_choice(name):
    """All networks whose codes differ in one place are among them; what comes with a choice may differ, too."""
    codes, every = Codes(SPACES[name]), enumerate_codes(SPACES[name])
    known = {code.tobytes() for code in every}
    for code in every[:: max(1, len(every) // 20)]:
        found = {one.tobytes() for one in codes.neighbours(code)}
        assert {one.tobytes() for one in every[(every != code).sum(axis=1) == 1]} <= found <= known - {code.tobytes()}
        assert len(found) == len(codes.neighbours(code))


def test_distinct():
    rows = np.array([[1, 2], [1, 2], [3, 4], [5, 6], [3, 4]], dtype=np.int32)
    assert distinct(rows).tolist() == [0, 2, 3]
    assert distinct(rows, {rows[3].tobytes()}).tolist() == [0, 2]


def test_costs_are_the_counts():
    for name, text in SMALL.items():
        space = SPACES[name]
        specs = list(all_networks(text))[::7]
        found = Costs(space)(Codes(space).of(specs))
        assert found[:, 0].tolist() == [count(spec).params for spec in specs]
        assert found[:, 1].tolist() == [count(spec).macs for spec in specs]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("params <= 7e6", Constraint("params", 7e6, True)),
        ("params<=7M", Constraint("params", 7e6, True)),
        ("macs >= 0.5 G", Constraint("macs", 5e8, False)),
        ("latency iphone13 <= 1.0 ms", Constraint("latency iphone13", 1.0, True)),
        ("latency  my phone <= 900 us", Constraint("latency my phone", 0.9, True)),
        ("accuracy >= 70 %", Constraint("accuracy", 70.0, False)),
        ("size <= 500 kB", Constraint("size", 0.5, True)),
        ("efficiency >= 100", Constraint("efficiency", 100.0, False)),
    ],
)
def test_constraints_are_read(text, expected):
    found = parse_constraint(text)
    assert (found.metric, found.at_most) == (expected.metric, expected.at_most)
    assert found.limit == pytest.approx(expected.limit)
    assert parse_constraint(str(found)) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("params 7e6", "is not of the form"),
        ("params == 7e6", "is not of the form"),
        ("params <= 1e400", "'1e400' is no limit that params can have"),
        ("accuracy >= 101 %", "'101' is no limit that accuracy can have"),
        ("params <= many", "is not of the form"),
        ("params <= 1e5e5", "'1e5e5' is no number"),
        ("params <= 7 ms", "the unit 'ms' is not one of k, K, M, G, B"),
        ("latency x <= 7 M", "the unit 'M' is not one of ms, us, s"),
        ("", "is not of the form"),
    ],
)
def test_wrong_constraints(text, words):
    with pytest.raises(SpecError, match=words):
        parse_constraint(text)


def test_a_problem_knows_its_metrics():
    costs = Costs(SPACES["last"])
    with pytest.raises(SpecError, match=r"objectives\[1\]: the metric 'parms' is not known, did you mean 'params'\?"):
        Problem(costs, ["accuracy", "parms"])
    with pytest.raises(SpecError, match=r"constraints\[0\]: none of `tables` has the name 'phone', there are"):
        Problem(costs, constraints=[Constraint("latency phone", 1, True)])
    with pytest.raises(SpecError, match="efficiency: 'latency phone' is not known"):
        Problem(costs, efficiency=Efficiency({"latency phone": 1.0}, {"latency phone": -1.0}))


def test_size_on_disk():
    costs = Costs(SPACES["last"])
    ours = Problem(costs, ["accuracy", "size"], [parse_constraint("size <= 10 kB")])
    codes = ours.codes.draw(np.random.default_rng(0), 10)
    columns = ours.columns(codes)
    assert columns["size"] * 1e6 == pytest.approx(2 * columns["params"])
    assert ((ours.excess(columns) == 0) == (columns["params"] <= 5000)).all()
    assert show("size", 7.4) == "7.4 MB"
    assert "size" not in Problem(costs).columns(codes)


def test_losses_and_excess():
    space = SPACES["last"]
    efficiency = Efficiency({"params": 3e6, "macs": 1e9}, {"params": -0.5, "macs": -1.0})
    limits = [Constraint("params", 1000, True), Constraint("accuracy", 50, False)]
    problem = Problem(Costs(space), ["accuracy", "params", "efficiency"], limits, efficiency)
    codes = Codes(space).of([space.largest(), space.smallest()])
    counted = [count(space.largest()), count(space.smallest())]
    columns = problem.columns(codes, np.array([40.0, 60.0]))
    score = [100 * (c.params / 3e6) ** -0.5 * (c.macs / 1e9) ** -1 for c in counted]
    assert columns["efficiency"] == pytest.approx(score)
    assert problem.losses(columns).tolist() == [
        pytest.approx([-40, counted[0].params, -score[0]]),
        pytest.approx([-60, counted[1].params, -score[1]]),
    ]
    over = [max(0, c.params / 1000 - 1) for c in counted]
    assert problem.excess(columns) == pytest.approx([over[0] + 0.2, over[1]])
    assert problem.excess(problem.columns(codes)) == pytest.approx(over)


def test_figures_for_people():
    assert show("params", 6.934e6) == "6.934 M"
    assert show("latency iphone13", 0.98123) == "0.9812 ms"
    assert show("accuracy", 78.5) == "78.5 %"
    assert show("efficiency", 123.456) == "123.5"
