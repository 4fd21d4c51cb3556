"""Networks within tight limits: they are found where there are any, and what is said of the others can be typed."""

import re
import time

import numpy as np
import pytest

from search.codes import keys
from search.config import EvolutionConfig, PredictorConfig, SearchConfig
from search.costs import Costs
from search.exact import enumerate_codes
from search.feasible import Feasible
from search.methods import make_method
from search.problem import Problem, parse_constraint
from supernet import SpecError, load_space

LIMITS = {
    "one network": ["params <= 822844"],
    "the smallest between two limits": ["params <= 822844", "params >= 822844"],
    "in the middle": ["params >= 7000000", "params <= 7000010"],
    "the largest": ["params >= {largest}"],
    "a size": ["size <= 1.645688 MB"],
    "two limits": ["params <= 823 k", "macs <= 78 M"],
}


@pytest.fixture(scope="module")
def costs():
    return Costs(load_space("iformer"))


@pytest.fixture(scope="module")
def tiny():
    return Costs(load_space("tiny"))


def feasible(costs, *limits):
    return Feasible(Problem(costs, ("accuracy", "params"), [parse_constraint(limit) for limit in limits]))


@pytest.mark.slow
@pytest.mark.parametrize("name", LIMITS)
def test_tight_limits(name, costs):
    """Checked in seconds, and networks come until there are no more."""
    largest = int(costs.distribution("params").dearest()[0])
    one = feasible(costs, *(limit.format(largest=largest) for limit in LIMITS[name]))
    rng, began = np.random.default_rng(0), time.monotonic()
    one.check(rng)
    found = one.draw(rng, 4)
    assert 1 <= len(found) <= 4
    assert (one.excess(found) == 0).all()
    assert len(set(keys(found))) == len(found)
    again = one.draw(rng, 4, set(keys(found)))
    assert not set(keys(again)) & set(keys(found))
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    "limits",
    [
        ["params <= 3 k"],
        ["params <= 3941"],
        ["params >= 1 M"],
        ["macs <= 110.2 k"],
        ["size <= 0.0078 MB"],
        ["params <= 4 k", "macs >= 0.5 M"],
        ["params >= 8001", "params <= 8001"],
        ["params <= 5000", "params >= 6000"],
    ],
)
def test_the_figure_that_is_named_will_do(limits, tiny):
    """Of the limits that are broken, each by itself."""
    with pytest.raises(SpecError) as caught:
        feasible(tiny, *limits).check(np.random.default_rng(0))
    said = str(caught.value)
    assert " by 0.0%" not in said
    assert "factor of 0" not in said
    alone = re.search(
        r"no network of the space keeps .*?(<=|>=).*; the (?:least|most) that one has is (\w+ \S+ \w+)", said
    )
    nearest = re.findall(r"(?:breaks|and) \w+ (<=|>=) .*?, it has (\w+ \S+ \w+)", said)
    named = [alone.groups()] if alone else nearest
    assert named, said
    for sign, figure in named:
        metric, number = figure.split(" ", 1)
        feasible(tiny, f"{metric} {sign} {number}").check(np.random.default_rng(0))


def test_what_is_there_is_found(tiny):
    """All of it, and nothing else, as a list of the space says."""
    every = enumerate_codes(tiny.space)
    fine = every[tiny(every)[:, 0] <= 4486]
    found = feasible(tiny, "params <= 4486").draw(np.random.default_rng(0), 10_000)
    assert set(keys(found)) == set(keys(fine))


def test_looking_into_a_window(costs):
    """It ends, whatever is there; what comes back lies inside."""
    exact, rng = costs.distribution("params"), np.random.default_rng(0)
    codes, looked_at = exact.look(rng, 100, 20_000, 7_000_000, 7_000_010)
    assert len(codes) < 100
    assert 20_000 <= looked_at < 30_000
    codes, looked_at = exact.look(rng, 100, 20_000, 7_000_000, 7_100_000)
    assert len(codes) == 100
    assert looked_at < 20_000
    found = exact.population(codes)
    assert ((found >= 7_000_000) & (found <= 7_100_000)).all()
    assert exact.look(rng, 100, 20_000, 0, 1) == (pytest.approx(np.zeros((0, codes.shape[1]))), 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["efficientformer", "efficientformerv2", "inception", "lowformer"])
def test_equal_limits_in_every_space(name):
    """Those of a random network, of the smallest, and of the largest."""
    costs = Costs(load_space(name))
    some = costs(feasible(costs).codes.draw(np.random.default_rng(5), 1))[0, 0]
    ends = costs.distribution("params")
    for cost in (some, ends.cheapest()[0], ends.dearest()[0]):
        one = feasible(costs, f"params >= {cost:.0f}", f"params <= {cost:.0f}")
        began = time.monotonic()
        one.check(np.random.default_rng(0))
        assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("params < 5678", "write <= for <"),
        ("accuracy > 70 %", "write >= for >"),
        ("params <= 0", "'0' is no limit that params can have"),
        ("params <= -5", "'-5' is no limit that params can have"),
        ("accuracy >= 101 %", "'101' is no limit that accuracy can have"),
    ],
)
def test_limits_that_cannot_be(text, words):
    with pytest.raises(SpecError, match=words):
        parse_constraint(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("params <= 822.8 k", "params <= 822.8 k"),
        ("params <= 0.822844 M", "params <= 822.844 k"),
        ("params<=7e6", "params <= 7 M"),
        ("macs <= 12350 M", "macs <= 12350 M"),
        ("latency a  b <= 1.00000001 ms", "latency a b <= 1.00000001 ms"),
        ("accuracy >= 70 %", "accuracy >= 70 %"),
    ],
)
def test_limits_are_shown_as_they_are(text, shown):
    constraint = parse_constraint(text)
    assert str(constraint) == shown
    assert parse_constraint(str(constraint)) == constraint


@pytest.mark.slow
def test_a_predictor_in_a_tight_window(costs):
    """Where candidates cost seconds, fewer of them are looked at."""
    limits = [parse_constraint(limit) for limit in LIMITS["in the middle"]]
    problem = Problem(costs, ("accuracy", "macs"), limits)
    config = SearchConfig(method=EvolutionConfig(), predictor=PredictorConfig(start=8), evaluations=40)
    method, began = make_method(config, problem), time.monotonic()
    for number in (8, 16, 16):
        codes = method.ask(40)
        assert len(codes) == number
        assert (problem.excess(problem.columns(codes)) == 0).all()
        method.tell(codes, np.linspace(50, 60, number))
    assert time.monotonic() - began < 120
