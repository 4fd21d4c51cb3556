"""What a step trains, and what a sampler remembers."""

import itertools
import random

import pytest

from supernet import count, load_space
from training.phases import phase_at, phases
from training.sampling import AdjacentSampler, StratifiedSampler, make_sampler
from training.supernet_config import PhaseConfig, StepConfig


def of_a_step(sampler, rng, number, progress):
    sampler.begin(rng)
    return [sampler.draw(rng, progress) for _ in range(number)]


@pytest.fixture(scope="module")
def space():
    return load_space("iformer_small")


@pytest.mark.parametrize("sampling", ["uniform", "stratified", "adjacent"])
def test_draws_are_members_and_follow_from_the_generator(space, sampling):
    config = StepConfig(sampling=sampling)
    draws = [of_a_step(make_sampler(space, config), random.Random(3), 5, 0.5) for _ in range(2)]
    assert draws[0] == draws[1]
    assert all(spec in space for spec in draws[0])
    assert draws[0] != of_a_step(make_sampler(space, config), random.Random(4), 5, 0.5)


def test_stratified_meets_the_ends_that_uniform_hardly_meets(space):
    rng = random.Random(0)
    low = count(space.smallest()).macs
    uniform, stratified = make_sampler(space, StepConfig()), StratifiedSampler(space, 6)
    small = [
        sum(count(spec).macs < 2 * low for spec in of_a_step(sampler, rng, 200, 0)) for sampler in (uniform, stratified)
    ]
    assert small[1] > 25 > 4 * small[0]


def test_adjacent_steps_stay_near_in_size(space):
    sampler, rng = AdjacentSampler(space, 8, 4), random.Random(0)
    bands = []
    for _ in range(60):
        drawn = {sampler.bands.of(spec) for spec in of_a_step(sampler, rng, 3, 0.0)}
        assert len(drawn) == 1
        bands.append(drawn.pop())
    assert max(abs(a - b) for a, b in itertools.pairwise(bands)) == 1
    assert len(set(bands)) > 3


def test_the_bank_keeps_the_best_and_is_drawn_from(space):
    sampler, rng = AdjacentSampler(space, 4, 3), random.Random(0)
    members = [sampler.bands.sample(rng, 2) for _ in range(12)]
    sampler.learn(members, [float(index) for index in range(12)])
    kept = [spec for _, spec in sampler.best[2]]
    assert kept == members[:3]
    sampler.band = 2
    drawn = []
    for _ in range(60):
        sampler.band = 2
        for spec in of_a_step(sampler, rng, 3, 1.0):
            drawn += [spec in kept] if sampler.band == 2 else []
    assert 0.3 < sum(drawn) / len(drawn) < 0.7  # half of them at the end of a run
    sampler.learn([members[0]], [100.0])  # a worse loss moves it back
    assert sampler.best[2][-1][1] == members[0]


def test_what_was_learnt_survives(space):
    sampler, rng = AdjacentSampler(space, 4, 3), random.Random(0)
    for _ in range(5):
        specs = of_a_step(sampler, rng, 2, 1.0)
        sampler.learn(specs, [rng.random() for _ in specs])
    other = AdjacentSampler(space, 4, 3)
    other.load_state(sampler.state())
    assert other.best == sampler.best
    for seed in range(5):
        assert of_a_step(other, random.Random(seed), 2, 1.0) == of_a_step(sampler, random.Random(seed), 2, 1.0)


def test_phases_open_one_dimension_after_another(space):
    found = phases(
        space,
        (PhaseConfig(start=2, elastic=("kernel",)), PhaseConfig(start=5, elastic=("kernel", "expand", "depth"))),
    )
    rng = random.Random(0)
    assert phase_at(found, 1).space.size == 1
    early = [phase_at(found, 4).space.sample(rng) for _ in range(20)]
    assert {len(spec.stages[2].blocks) for spec in early} == {4}
    assert {block.kernel for spec in early for block in spec.stages[0].blocks} == {3, 5}
    late = [phase_at(found, 5).space.sample(rng) for _ in range(60)]
    assert {len(spec.stages[2].blocks) for spec in late} == {1, 2, 3, 4}
    assert {spec.stem.width for spec in late} == {32}
    assert all(spec in space for spec in (*early, *late))
    assert phases(space, ())[0].space is space
