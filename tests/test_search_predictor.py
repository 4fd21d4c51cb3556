"""The predictor against networks that it never saw, against the algebra done at length, and where there is little to
learn from."""

import functools
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.predictor import NOISE, TRUTHS, Drawn, judged
from search import similarity
from search.codes import Codes
from search.costs import Costs
from search.posterior import Posterior
from search.predictor import Predictor
from search.traits import Traits
from supernet import load_space, parse_space
from tests.small_spaces import SMALL

ONE_GENE = """\
family: hybrid
resolution: 16
num_classes: 3
stem: {kind: convs, width: 4, kernel: 3, act: relu}
stages:
- depth: 1
  blocks:
  - {kind: conv, kernel: [3, 5], expand: 1}
head: {kind: pool_norm}
"""


@functools.cache
def world(name):
    space = {"one": ONE_GENE, "none": ONE_GENE.replace("[3, 5]", "3")} | SMALL
    space = parse_space(space[name]) if name in space else load_space(name)
    codes, costs = Codes(space), Costs(space)
    return codes, costs, Predictor(codes, costs)


@functools.cache
def drawn(name):
    codes, costs, _ = world(name)
    return Drawn.of(codes, costs, 600, seed=0)


@functools.cache
def shown(name, truth):
    true = TRUTHS[truth](drawn(name).networks)
    return true, true + NOISE * np.random.default_rng(1).normal(size=len(true))


@functools.cache
def results(name, number):
    return [judged(world(name)[2], drawn(name), *shown(name, truth), number) for truth in TRUTHS]


# --- what it is for --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["iformer", "efficientformerv2"])
def test_unseen_networks_are_ranked_better_than_by_plain_means(name):
    few, many = results(name, 48), results(name, 128)
    for found, tau, near in ((few, 0.7, 0.55), (many, 0.88, 0.8)):
        means = {key: np.mean([one[key] for one in found]) for key in found[0]}
        assert means["tau"] > tau
        assert means["tau_near"] > near
        assert means["tau"] > max(means["choices_tau"], means["macs_tau"]) + 0.05
        assert means["tau_near"] > max(means["choices_tau_near"], means["macs_tau_near"]) + 0.15
    for one in many:
        assert one["tau"] > max(one["choices_tau"], one["macs_tau"])
        assert one["tau"] == pytest.approx(one["left_out"], abs=0.1)


@pytest.mark.parametrize("name", ["iformer", "efficientformerv2"])
def test_nine_of_ten_are_within_their_errors(name):
    found = [one["within"] for number in (48, 128) for one in results(name, number)]
    assert 0.85 <= np.mean(found) <= 0.95
    assert min(found) > 0.7


def test_chance_is_not_learnt():
    _, _, predictor = world("iformer")
    evaluated = drawn("iformer").codes[:100]
    predictor.fit(evaluated, 70 + np.random.default_rng(3).normal(size=100))
    mean, error = predictor.predict(drawn("iformer").codes[-500:])
    assert abs(predictor.scores()["tau"]) < 0.35
    assert np.abs(mean - 70).mean() < 0.7
    assert 0.5 < np.hypot(error, predictor.noise).mean() < 2.5


def test_errors_are_smaller_near_what_was_evaluated():
    codes, _, predictor = world("efficientformerv2")
    evaluated = drawn("efficientformerv2").codes[:60]
    predictor.fit(evaluated, shown("efficientformerv2", "tangled")[1][:60])
    neighbours = codes.mutate(evaluated, np.random.default_rng(0), 0.02)
    errors = [
        predictor.predict(of)[1].mean() for of in (evaluated, neighbours, drawn("efficientformerv2").codes[-500:])
    ]
    assert errors[0] < errors[1] < errors[2]


def test_thousands_are_predicted_in_milliseconds():
    _, costs, predictor = world("efficientformerv2")
    predictor.fit(drawn("efficientformerv2").codes[:512], shown("efficientformerv2", "balanced")[1][:512])
    many = np.tile(drawn("efficientformerv2").codes[-2000:], (10, 1))
    known = costs(many)
    for a_second, function in ((200_000, predictor.mean), (50_000, predictor.predict)):
        times = []
        for _ in range(3):
            start = time.thread_time()
            function(many, known)
            times.append(time.thread_time() - start)
        assert len(many) / min(times) >= a_second


# --- what it computes ------------------------------------------------------------------------------------------------


def evaluations(name, number):
    """As the predictor prepares them, and how it describes others."""
    codes, costs, _ = world(name)
    traits = Traits(codes)

    def described(of):
        return traits(of), np.log(costs(of)[:, :2])

    if name == "iformer":
        known, accuracy = drawn(name).codes[:number], shown(name, "weakest")[1][:number]
    else:
        rng = np.random.default_rng(0)
        known, accuracy = codes.draw(rng, number), 50 + 5 * rng.random(number)
    reference = codes.draw(np.random.default_rng(9), 300)
    scaling = similarity.Scaling(described(reference), described(known), traits.of_slots)
    return scaling, scaling.points(*described(known)), accuracy, described


def at_length(posterior, points, accuracy, unseen):
    """Mean and variance of a Gaussian process, without noise, in float64 and without any folding."""
    middle, unit = accuracy.mean(), np.sqrt((((accuracy - accuracy.mean()) ** 2).sum() + 1) / len(accuracy))
    strengths = posterior.strengths
    inverse = np.linalg.inv(strengths.covariance(points, points) + strengths.noise * np.eye(len(accuracy)))
    across = strengths.covariance(unseen, points)
    mean = middle + unit * (across @ inverse @ (accuracy - middle) / unit)
    variance = np.diag(strengths.covariance(unseen, unseen)) - ((across @ inverse) * across).sum(axis=1)
    return mean, np.maximum(variance, 0), unit


@pytest.mark.parametrize(("name", "number"), [("iformer", 40), ("any", 12), ("iformer", 200)])
def test_folding_changes_nothing(name, number):
    scaling, points, accuracy, described = evaluations(name, number)
    posterior = Posterior(scaling, points, accuracy)
    unseen = described(world(name)[0].draw(np.random.default_rng(5), 300))
    mean, error = posterior.predict(*unseen)
    expected, variance, unit = at_length(posterior, points, accuracy, scaling.points(*unseen))
    np.testing.assert_allclose(mean, expected, atol=1e-3 * unit)
    np.testing.assert_allclose(posterior.mean(*unseen), expected, atol=1e-3 * unit)
    noise = posterior.strengths.noise
    errors = unit * np.sqrt(posterior.caution**2 * (variance + noise) - noise)
    if number <= 128:
        np.testing.assert_allclose(error, errors, atol=2e-3 * unit)
    else:  # only the most telling combinations of evaluations are counted
        assert (error >= errors - 2e-3 * unit).all()
        assert np.median(error / errors) < 1.2
    assert posterior.noise == pytest.approx(unit * np.sqrt(noise))


def test_left_out_means_left_out():
    scaling, points, accuracy, _ = evaluations("iformer", 30)
    posterior = Posterior(scaling, points, accuracy)
    middle = accuracy.mean()
    for at in range(30):
        others = np.delete(np.arange(30), at)
        covariance = posterior.strengths.covariance(points[others], points[others])
        inverse = np.linalg.inv(covariance + posterior.strengths.noise * np.eye(29))
        across = posterior.strengths.covariance(points[np.array([at])], points[others])
        assert posterior.left_out[at] == pytest.approx(middle + (across @ inverse @ (accuracy[others] - middle))[0])


def test_scores_are_those_of_what_was_left_out():
    _, _, predictor = world("iformer")
    known, accuracy = drawn("iformer").codes[:50], shown("iformer", "balanced")[1][:50]
    predictor.fit(known, accuracy)
    found = predictor.scores()
    assert found["evaluations"] == 50
    assert 0.5 < found["tau"] < found["spearman"] < 1
    assert 0 < found["mean_absolute_error"] < np.abs(accuracy - accuracy.mean()).mean()


def test_strengths_are_the_most_likely_ones():
    """A little more or less of any strength is less likely, by the definition of the likelihood and the belief."""
    _, points, accuracy, _ = evaluations("iformer", 40)
    target = (accuracy - accuracy.mean()) / accuracy.std()
    found = similarity.learn(points, target)
    lengths = [similarity.LENGTH] * len(found.lengths)
    usual = np.array([*similarity.LINEAR.values(), similarity.SMOOTH, *lengths, similarity.NOISE])

    def likelihood(logs):
        strengths = type(found).of(logs)
        covariance = strengths.covariance(points, points) + strengths.noise * np.eye(40)
        of_target = stats.multivariate_normal(np.zeros(40), covariance).logpdf(target)
        return of_target + stats.norm(usual[:, 0], usual[:, 1]).logpdf(logs).sum()

    best = np.log([*found.linear, found.smooth, *found.lengths, found.noise])
    at_best = likelihood(best)
    for index in range(len(best)):
        for step in (-0.2, 0.2):
            other = best.copy()
            other[index] += step
            assert likelihood(other) < at_best + 1e-3


def test_the_same_evaluations_give_the_same_predictions():
    codes, costs, predictor = world("iformer")
    known, accuracy = drawn("iformer").codes[:40], shown("iformer", "tangled")[1][:40]
    unseen = drawn("iformer").codes[-1500:]
    predictor.fit(known[:5], accuracy[:5])
    predictor.fit(known, accuracy)
    found = predictor.predict(unseen)
    again = Predictor(codes, costs)
    again.fit(known, accuracy)
    assert np.array_equal(found, again.predict(unseen))
    assert np.array_equal(found, again.predict(unseen, costs(unseen)))
    np.testing.assert_allclose(found[0], again.mean(unseen), atol=1e-2)
    np.testing.assert_allclose(found[0][700:710], predictor.mean(unseen[700:710]), atol=1e-2)


# --- what networks are described by ----------------------------------------------------------------------------------


def test_traits_are_what_specs_say():
    codes, _, _ = world("efficientformerv2")
    some = drawn("efficientformerv2").codes[:40]
    traits = Traits(codes)
    described = traits(some)
    of = {name: described.traits[:, at] for at, name in enumerate(traits.names)}
    bends = dict(zip(traits.bend_names, described.bends.T, strict=True))
    for at, code in enumerate(some):
        spec = codes.spec(code)
        assert of["resolution"][at] == pytest.approx((spec.resolution - 160) / 64)
        for index, stage in enumerate(spec.stages):
            depths = codes.space.stages[index].depths
            assert of[f"stages[{index}].depth"][at] == pytest.approx(
                (len(stage.blocks) - depths[0]) / (depths[-1] - depths[0])
            )
            expansions = [(block.expand - 2) / 2 for block in stage.blocks]
            name = f"stages[{index}].expand of {'0,1' if index > 1 else '0'}"
            assert of[name][at] == pytest.approx(np.mean(expansions), abs=1e-6)
            assert bends[name][at] == pytest.approx(np.mean([block.expand == 3 for block in stage.blocks]), abs=1e-6)
            kernels = [(block.kernel - 3) / 2 for block in stage.blocks if not block.attends]
            assert of[f"stages[{index}].kernel of 0"][at] == pytest.approx(sum(kernels) / len(stage.blocks), abs=1e-6)
            if index > 1:
                share = np.mean([block.attends for block in stage.blocks])
                assert of[f"stages[{index}].attention_ffn 1"][at] == pytest.approx(share, abs=1e-6)


def test_traits_where_any_block_may_be_missing():
    codes, _, _ = world("any")
    some = codes.draw(np.random.default_rng(0), 60)
    traits = Traits(codes)
    of = dict(zip(traits.names, traits(some).traits.T, strict=True))
    for at, code in enumerate(some):
        blocks = codes.spec(code).stages[0].blocks
        assert of["stages[0].depth"][at] == pytest.approx(len(blocks) / 3)
        assert of["stages[0].token_attention 1"][at] == pytest.approx(np.mean([block.attends for block in blocks]))
        assert of["stages[0].expand of 0,1"][at] == pytest.approx(np.mean([block.expand - 1 for block in blocks]))


# --- little to learn from --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["one", "none", "last", "iformer"])
@pytest.mark.parametrize("accuracy", [[50.0], [50.0, 60.0], [70.0] * 20, [50.0] * 30 + [90.0], [0.3, 0.2, 0.5]])
def test_little_gives_finite_answers(name, accuracy):
    codes, _, predictor = world(name)
    some = codes.draw(np.random.default_rng(1), 60)
    predictor.fit(some[: len(accuracy)], np.array(accuracy))
    mean, error = predictor.predict(some)
    assert np.isfinite(mean).all()
    assert np.isfinite(error).all()
    assert (error > 0).all()
    assert predictor.noise > 0
    assert mean.min() > min(accuracy) - 10
    assert mean.max() < max(accuracy) + 10
    scores = predictor.scores()
    assert np.isnan(scores["tau"]) == (scores["evaluations"] < 3 or len(set(accuracy)) == 1)
    assert np.isnan(scores["mean_absolute_error"]) == (scores["evaluations"] < 2)


def test_one_evaluation_says_more_of_its_neighbours():
    codes, _, predictor = world("iformer")
    some = drawn("iformer").codes
    predictor.fit(some[:1], np.array([70.0]))
    mean, error = predictor.predict(some[-200:])
    assert np.allclose(mean, 70)
    assert predictor.predict(some[:1])[1][0] < error.min()
    assert predictor.predict(codes.empty())[0].shape == (0,)
    assert predictor.mean(codes.empty()).shape == (0,)


def test_twice_is_once():
    _, _, predictor = world("iformer")
    some, accuracy = drawn("iformer").codes[:30], shown("iformer", "balanced")[1][:30]
    predictor.fit(some, accuracy)
    once = predictor.predict(drawn("iformer").codes[-100:])
    assert predictor.scores()["evaluations"] == 30
    predictor.fit(np.concatenate([some, some]), np.concatenate([accuracy + 1, accuracy - 1]))
    np.testing.assert_allclose(predictor.predict(drawn("iformer").codes[-100:]), once, rtol=1e-4)
    assert predictor.scores()["evaluations"] == 30


def test_what_was_never_seen_has_a_larger_error():
    _, _, predictor = world("iformer")
    some, accuracy = drawn("iformer").codes, shown("iformer", "balanced")[1]
    low = some[:600][some[:600, 0] == 0][:60]
    predictor.fit(low, accuracy[:600][some[:600, 0] == 0][:60])
    unseen = some[-500:]
    error = predictor.predict(unseen)[1]
    assert error[unseen[:, 0] == 2].mean() > 1.2 * error[unseen[:, 0] == 0].mean()


def test_what_is_refused():
    codes, costs, _ = world("last")
    predictor, some = Predictor(codes, costs), codes.draw(np.random.default_rng(0), 3)
    for what in (lambda: predictor.predict(some), predictor.scores, lambda: predictor.noise):
        with pytest.raises(ValueError, match="not fitted on any evaluations yet"):
            what()
    with pytest.raises(ValueError, match=r"accuracy\[1\] is nan, not a finite number"):
        predictor.fit(some, np.array([1.0, np.nan, 2.0]))
    with pytest.raises(ValueError, match="0 networks"):
        predictor.fit(codes.empty(), np.zeros(0))
    with pytest.raises(ValueError, match=r"3 networks and accuracies of shape \(2,\)"):
        predictor.fit(some, np.zeros(2))
