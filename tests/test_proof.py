"""The arithmetic of the proof: networks made to a budget, intervals, paired differences; and hours from throughput."""

import math

import pytest
import torch

from bench.hours import Step, Timed, from_two, schedule_hours, teacher_macs, with_random_teacher
from bench.proof import parse, sets
from bench.proof_figures import FOUND, Network, differences, draw, interval, kendall, paired, write_table
from bench.proof_networks import published_ladder, scaled, uniform_ladder, within
from supernet import build, count, load_space, load_spec
from training.config import TeacherConfig
from training.reading import load_config
from training.recipes import find_config


def networks(kinds, budgets=(0.1, 0.2)):
    return [
        Network(kind, budget, f"{kind}_{budget}", 1000, 2000, None, budget, 40 + place if kind == FOUND else None)
        for place, budget in enumerate(budgets)
        for kind in kinds
    ]


def test_interval_is_students():
    mean, half, number = interval([50.0, 52.0, 54.0])
    assert (mean, number) == (52, 3)
    assert half == pytest.approx(4.302653 * 2 / math.sqrt(3), rel=1e-6)
    assert math.isnan(interval([50.0]).half)
    assert str(interval([50.0])) == "50.00"


def test_differences_are_of_equal_seeds():
    accuracies = {("a", 0): 50.0, ("a", 1): 51.0, ("a", 2): 60.0, ("b", 1): 49.5, ("b", 0): 50.5}
    assert differences("a", "b", accuracies) == [-0.5, 1.5]
    assert differences("a", "c", accuracies) == []


def test_paired_over_all_budgets_pools_the_pairs():
    compared = networks([FOUND, "random"])
    accuracies = {(f"{FOUND}_0.1", seed): 50.0 + seed for seed in range(3)} | {
        ("random_0.1", seed): 49.0 + 2 * seed for seed in range(3)
    }
    accuracies |= {(f"{FOUND}_0.2", 0): 55.0, ("random_0.2", 0): 54.0}
    found = paired(compared, "random", accuracies)
    assert found[0.1].mean == 0
    assert found[0.1].number == 3
    assert found[0.2].mean == 1
    assert found[0.2].number == 1
    assert found[None].mean == pytest.approx(0.25)
    assert found[None].number == 4
    assert paired(compared, "uniform", accuracies) == {}


def test_kendall_needs_networks_of_the_supernet():
    compared = networks([FOUND], budgets=(0.1, 0.2, 0.3))
    accuracies = {(one.name, 0): 60.0 - 10 * place for place, one in enumerate(compared)}
    assert kendall(compared, accuracies) == (-1.0, 3)
    assert kendall(networks(["random"]), {("random_0.1", 0): 1.0}) is None


def test_published_networks_fit_the_space():
    space, published = load_space("cifar"), load_spec("iformer_t")
    ladder = published_ladder(published, space)
    widths = [stage.width for stage in published.stages]
    for step, spec in enumerate(ladder, start=1):
        assert [stage.width for stage in spec.stages] == [width * step // 16 for width in widths]
        assert [len(stage.blocks) for stage in spec.stages] == [len(stage.blocks) for stage in published.stages]
        assert (spec.size, spec.num_classes) == ((16, 16), 10)
        assert spec.stem.strides == space.largest().stem.strides
    build(ladder[0])


def test_uniform_networks_grow_in_width_and_depth():
    largest = load_space("cifar").largest()
    ladder = uniform_ladder(largest)
    assert largest in ladder
    assert scaled(largest, 1.0) == largest
    half = scaled(largest, 0.5, 0.5)
    assert [stage.width for stage in half.stages] == [stage.width // 2 for stage in largest.stages]
    assert [len(stage.blocks) for stage in half.stages] == [1, 2, 3]
    assert half in ladder
    assert count(ladder[-1]).macs > 2 * count(largest).macs


def test_thinned_stages_keep_the_pattern():
    spec = scaled(load_spec("iformer_t"), 1.0, 0.5)
    assert [block.kind_name() for block in spec.stages[2].blocks] == ["conv", "conv", "conv", "modulation", "conv"]


def test_within_takes_the_largest_that_is_fast_enough():
    ladder = uniform_ladder(load_space("cifar").largest())[:4]
    times = dict(zip(ladder, (0.1, 0.2, 0.15, 0.3), strict=True))
    assert within(ladder, times, 0.2) == max(ladder[:3], key=lambda spec: count(spec).macs)
    assert within(ladder, times, 0.1) == ladder[0]
    assert within(ladder, times, 0.09) is None


def test_results_so_far_are_written(tmp_path):
    compared = networks([FOUND, "random"])
    accuracies = {(one.name, seed): 50.0 + seed for one in compared[:3] for seed in range(2)}
    text = write_table(compared, accuracies, tmp_path / "proof.md")
    assert text == (tmp_path / "proof.md").read_text()
    assert "| 0.1 | random | 0.100 |  | 1 | 0.00 |  | 50.50 ± 6.35 | 2 |" in text.splitlines()
    assert "| 0.2 | random | 0.200 |  | 1 | 0.00 |  |  | 0 |" in text.splitlines()
    assert "| random | 0.00 ± 0.00 |  | 0.00 ± 0.00 |" in text.splitlines()
    draw(compared, accuracies, tmp_path / "proof.svg")
    assert "</svg>" in (tmp_path / "proof.svg").read_text()


def test_options_of_the_command(tmp_path):
    setting, last = parse(["--data", str(tmp_path), "--budgets", "0.1", "0.2", "--stop-after", "table"])
    assert (setting.budgets, setting.seeds, last) == ((0.1, 0.2), 4, "table")
    assert f"data.path={tmp_path}" in sets(setting.options)


def test_hours_count_a_steps_own_cost_once():
    step = from_two(short_s=3.0, long_s=7.0)  # with one batch and with three
    assert step == Step(batch_s=2.0, fixed_s=1.0)
    assert step.images_per_second(timed_batch=4, batch=4, accumulate=1) == pytest.approx(4 / 3)
    assert step.images_per_second(timed_batch=4, batch=8, accumulate=2) == pytest.approx(16 / 9)
    assert from_two(short_s=1.0, long_s=9.0) == Step(batch_s=1.0, fixed_s=0.0)
    assert schedule_hours(3600e3, 100.0, devices=5) == pytest.approx(2.0)


def test_hours_times_real_steps():
    timed = Timed(load_config("configs/digits.yaml"), batch=4, classes=10)
    before = [parameter.clone() for parameter in timed.net.parameters()]
    assert timed.time(1).batch_s > 0
    assert any(not torch.equal(old, new) for old, new in zip(before, timed.net.parameters(), strict=True))
    assert timed.macs() > 3 * count(load_space("tiny").largest()).macs


def test_hours_have_the_teacher_in_them(tmp_path):
    plain = find_config("iformer_t", "digits", ["precision.device=cpu"])
    taught = find_config("iformer_t", "digits", ["precision.device=cpu", "step.teacher.model=test_resnet"])
    assert with_random_teacher(plain, 10, tmp_path) is plain
    known = Timed(with_random_teacher(taught, 10, tmp_path), batch=2, classes=10)
    assert known.step(1, parts=1) > 0
    spec = load_spec("iformer_t")
    by_teacher = teacher_macs(TeacherConfig(model="test_resnet"), spec.size, 3)
    assert by_teacher > 0
    assert known.macs() == pytest.approx(3 * count(spec.with_(num_classes=10)).macs + by_teacher)
