"""What holds for every method, and that each of them finds what is to be found."""

import numpy as np
import pytest

from search.codes import Codes, keys
from search.config import EvolutionConfig, OptunaConfig, PredictorConfig, RandomConfig, SearchConfig, SlimmingConfig
from search.costs import Costs
from search.exact import enumerate_codes
from search.fronts import hypervolume, nondominated
from search.methods import make_method
from search.methods.polishing import Polishing
from search.methods.sampling import Sampling
from search.problem import Problem, parse_constraint
from search.trail import Trail
from supernet import SpecError, load_space, parse_space
from tests.made_up_accuracy import one
from tests.small_spaces import SMALL

METHODS = {
    "random": RandomConfig(),
    "evolution": EvolutionConfig(population=16, children=8),
    "slimming": SlimmingConfig(actions=6),
    "tpe": OptunaConfig(sampler="TPESampler", batch=4),
    "nsga2": OptunaConfig(sampler="NSGAIISampler"),
    "qmc": OptunaConfig(sampler="QMCSampler"),
}
LIMITS = ("params <= 12 k", "macs <= 0.3 M")


@pytest.fixture(scope="module")
def space():
    return load_space("tiny")


def problem_of(space, limits=LIMITS, objectives=("accuracy", "params")):
    return Problem(Costs(space), objectives, [parse_constraint(limit) for limit in limits])


def method_of(name, problem, seed=0, evaluations=60, predictor=None):
    config = SearchConfig(method=METHODS[name], seed=seed, evaluations=evaluations, predictor=predictor)
    return make_method(config, problem)


def judged(problem, codes):
    return np.array([one(problem.space.decode(code.tolist())) for code in codes])


def run(method, problem, evaluations=60):
    """All that was asked for, batch by batch."""
    batches, left = [], evaluations
    while left > 0:
        codes = method.ask(left)
        if not len(codes):
            break
        assert len(codes) <= left
        method.tell(codes, judged(problem, codes))
        batches.append(codes)
        left -= len(codes)
    return batches


@pytest.mark.parametrize("name", METHODS)
def test_the_contract(name, space):
    problem = problem_of(space)
    codes = np.concatenate(run(method_of(name, problem), problem))
    assert len(codes) == 60
    assert len({code.tobytes() for code in codes}) == 60, "a network was asked for twice"
    assert all(space.encode(space.decode(code.tolist())) == tuple(code.tolist()) for code in codes)
    kept = problem.excess(problem.columns(codes)) == 0
    assert kept.all() or name == "slimming"
    assert kept.any()
    again = np.concatenate(run(method_of(name, problem), problem))
    assert (codes == again).all(), "the same seed gave another search"
    if name not in ("slimming", "qmc"):
        other = np.concatenate(run(method_of(name, problem, seed=1), problem))
        assert other.shape != codes.shape or (other != codes).any()


@pytest.mark.parametrize("name", ["random", "evolution", "slimming", "nsga2"])
def test_a_space_that_is_used_up(name):
    """Every method ends by itself, when it has found all networks within the limits."""
    small = parse_space(SMALL["counts"])
    problem = problem_of(small, ("params <= 3 k",))
    every = enumerate_codes(small)
    fine = every[problem.excess(problem.columns(every)) == 0]
    found = run(method_of(name, problem, evaluations=len(every) + 10), problem, len(every) + 10)
    codes = np.unique(np.concatenate(found), axis=0)
    assert sum(map(len, found)) == len(codes) <= len(every)
    if name != "nsga2":
        assert (problem.excess(problem.columns(codes)) == 0).sum() == len(fine)


@pytest.mark.parametrize("name", ["evolution", "nsga2"])
def test_better_than_chance(name, space):
    """By the hypervolume that 100 evaluations reach, in the mean over three seeds."""
    problem = problem_of(space)

    def volume(which, seed):
        trail = Trail(problem)
        method = method_of(which, problem, seed, 100)
        for codes in run(method, problem, 100):
            trail.add(codes, judged(problem, codes))
        return trail.hypervolume()

    ours = np.mean([volume(name, seed) for seed in range(3)])
    chance = np.mean([volume("random", seed) for seed in range(3)])
    assert ours > chance


def test_slimming_goes_from_the_largest_into_the_limits(space):
    problem = problem_of(space)
    method = method_of("slimming", problem, evaluations=120)
    batches = run(method, problem, 120)
    assert (batches[0] == Codes(space).of([space.largest()])).all()
    costs = [float(problem.columns(codes)["macs"].mean()) for codes in batches]
    assert min(costs) < 0.3 * costs[0]
    assert (problem.excess(problem.columns(np.concatenate(batches))) == 0).any()


@pytest.mark.parametrize("limits", [LIMITS, ()])
def test_evaluations_that_are_left_go_around_the_front(space, limits):
    """One network is best, and each choice that differs from it costs as much: the next one is one choice nearer."""
    problem = problem_of(space, limits, objectives=("accuracy",))
    best = problem.codes.draw(np.random.default_rng(3), 500)
    best = best[problem.excess(problem.columns(best)) == 0][0]
    polishing = Polishing(problem, np.random.default_rng(0))
    codes, met = problem.codes.draw(np.random.default_rng(4), 20), 20
    while not (codes == best).all(axis=1).any() and met < 400:
        polishing.tell(codes, 90.0 - (codes != best).sum(axis=1))
        codes = polishing.ask(1000)
        met += len(codes)
        assert 0 < len(codes) <= max(16, len(polishing.codes) // 16)
        assert (problem.excess(problem.columns(codes)) == 0).all()
    assert met < 400, "the space has 46,000 networks"


def test_slimming_takes_what_costs_least(space):
    """A block that all accuracy hangs on goes last."""
    problem = problem_of(space, ())
    method = method_of("slimming", problem, evaluations=10_000)
    codes = method.ask(10_000)
    while len(codes):
        deep = np.array([len(space.decode(code.tolist()).stages[1].blocks) for code in codes])
        method.tell(codes, 50.0 + 10 * deep)
        if int(problem.columns(method.now[None])["macs"][0]) < 150_000:
            break
        codes = method.ask(10_000)
    assert len(space.decode(method.now.tolist()).stages[1].blocks) == 3


def test_a_predictor_needs_fewer_evaluations(space):
    problem = problem_of(space)

    def volume(predictor):
        trail = Trail(problem)
        method = method_of("evolution", problem, 0, 96, predictor)
        for codes in run(method, problem, 96):
            trail.add(codes, judged(problem, codes))
        return trail.hypervolume(), method.tau()

    guided, tau = volume(PredictorConfig(candidates=4000, start=32))
    plain, none = volume(None)
    assert guided > plain
    assert tau > 0.6
    assert none is None


def test_constraints_on_accuracy(space):
    """Only evaluations know it: networks that break it are evaluated, but are never on the front."""
    problem = problem_of(space, ("accuracy >= 40 %", *LIMITS))
    trail = Trail(problem)
    for codes in run(method_of("evolution", problem), problem):
        trail.add(codes, judged(problem, codes))
    assert not trail.feasible.all()
    assert trail.accuracy[trail.front()].min() >= 40
    assert trail.best() is not None


def test_wrong_samplers(space):
    problem = problem_of(space)
    for sampler, words in (
        ("TPE", "Optuna has no sampler 'TPE', known are CmaEsSampler, GPSampler, NSGAIIISampler"),
        ("CmaEsSampler", "CmaEsSampler works with one objective"),
    ):
        with pytest.raises(SpecError, match=words):
            make_method(SearchConfig(method=OptunaConfig(sampler=sampler)), problem)


def test_cma_es_with_one_objective(space):
    problem = problem_of(space, objectives=("accuracy",))
    config = SearchConfig(method=OptunaConfig(sampler="CmaEsSampler"), evaluations=30)
    assert sum(map(len, run(make_method(config, problem), problem, 30))) == 30


def test_the_trail_is_what_brute_force_says(space):
    problem = problem_of(space)
    codes = Codes(space).draw(np.random.default_rng(0), 300)
    trail = Trail(problem)
    trail.add(codes[:100], judged(problem, codes[:100]))
    trail.add(codes[100:], judged(problem, codes[100:]))
    accuracy = judged(problem, codes)
    params = problem.columns(codes)["params"]
    fine = (params <= 12_000) & (problem.columns(codes)["macs"] <= 300_000)
    assert trail.feasible.tolist() == fine.tolist()
    for index in range(len(codes)):
        better = fine & (accuracy >= accuracy[index]) & (params <= params[index])
        better &= (accuracy > accuracy[index]) | (params < params[index])
        assert trail.front()[index] == (fine[index] and not better.any())
    assert trail.best() == int(np.argmax(np.where(fine, accuracy, -1)))
    losses = np.stack([1 - accuracy[fine] / 100, params[fine] / 12_000], 1)
    assert trail.hypervolume() == pytest.approx(hypervolume(losses[nondominated(losses)], np.ones(2)))


def test_proposals_where_few_networks_are_left():
    """A sampler that finds nothing new is asked less and less, and all networks are found even so."""
    problem = Problem(Costs(load_space("tiny")), ("accuracy", "params"), [parse_constraint("params <= 4486")])
    every = enumerate_codes(problem.space)
    fine = every[problem.costs(every)[:, 0] <= 4486]
    sampling, found = Sampling(problem, 0, OptunaConfig(sampler="RandomSampler", batch=2)), []
    while len(codes := sampling.ask(2)):
        found += keys(codes)
        sampling.tell(codes, np.ones(len(codes)))
    assert sorted(found) == sorted(keys(fine))
    assert len(sampling.study.trials) < 0.5 * 20 * len(found) / 2
