"""Which members a step trains: different ones, of the step's resolution, from the sampler's band."""

import pytest

from supernet import count, load_space
from training.members import Members
from training.step import LARGEST, SAMPLED, SMALLEST
from training.supernet_config import StepConfig


@pytest.mark.parametrize("sampling", ["uniform", "stratified", "adjacent"])
@pytest.mark.parametrize("resolution", ["each", "batch"])
@pytest.mark.parametrize("name", ["iformer", "tiny"])
def test_no_network_is_there_twice(name, resolution, sampling):
    members = Members(load_space(name), StepConfig(sampling=sampling, resolution=resolution, sampled=3, bank=4), 0)
    seen = set()
    for step in range(15):
        found = members.of(step, 0.5)
        specs = [member.spec for member in found]
        assert len(set(specs)) == len(specs)
        assert [member.role for member in found][:2] == [LARGEST, SMALLEST]
        assert all(member.role == SAMPLED for member in found[2:])
        assert found == members.of(step, 0.5) or sampling == "adjacent"
        seen |= {spec.size for spec in specs}
        if resolution == "batch":
            assert {spec.size for spec in specs} == {members.size(step)}
    assert len(seen) == (3 if name == "iformer" else 1)


def test_all_of_a_step_are_from_one_band():
    """Also where members that are there already are drawn again."""
    members = Members(load_space("tiny"), StepConfig(sampling="adjacent", sampled=4, strata=4, bank=4), 0)
    (sampler,) = members.samplers
    before = sampler.band
    for step in range(150):
        drawn = members.of(step, 0.9)
        found = [member.spec for member in drawn if member.role == SAMPLED]
        assert {sampler.bands.of(spec) for spec in found} <= {sampler.band}
        assert abs(sampler.band - before) <= 1
        before = sampler.band
        members.learn(drawn, [1.0] * len(drawn))


def test_bands_are_those_of_the_resolution():
    space = load_space("iformer")
    members = Members(space, StepConfig(sampling="stratified", sampled=2, strata=4, resolution="batch"), 0)
    drawn = {resolution: [0] * 4 for resolution in space.resolutions}
    for step in range(400):
        for member in members.of(step, 0):
            if member.role == SAMPLED:
                sampler = members.samplers[members._index(step)]
                drawn[member.spec.resolution][sampler.bands.of(member.spec)] += 1
    for counts in drawn.values():
        assert min(counts) > 0.6 * sum(counts) / 4, drawn


def test_only_the_resolution_is_elastic():
    """Then a step has one network."""
    space = load_space("iformer").restricted(("resolution",))
    members = Members(space, StepConfig(resolution="batch"), 0)
    assert [len(members.of(step, 0)) for step in range(5)] == [1] * 5
    assert len({count(members.of(step, 0)[0].spec).macs for step in range(20)}) == 3


def test_each_resolution_learns_for_itself():
    members = Members(load_space("iformer"), StepConfig(sampling="adjacent", sampled=2, resolution="batch"), 0)
    found = members.of(3, 0)
    members.learn(found, [float(index) for index in range(len(found))])
    banks = [sum(map(len, sampler.best)) for sampler in members.samplers]
    assert sorted(banks) == [0, 0, 2]
    assert banks.index(2) == members._index(3)
    other = Members(load_space("iformer"), members.config, 0)
    other.load_state(members.state())
    assert [sampler.best for sampler in other.samplers] == [sampler.best for sampler in members.samplers]
