"""The fit finds what it was made from, and says how far off it will be."""

import numpy as np
import pytest

from latency_lut.fitting import Fit, fit


def networks(number, rng, kinds=("conv", "attention")):
    return [{kind: float(rng.uniform(0.5, 5)) for kind in kinds} for _ in range(number)]


def test_offset_and_factor_are_found():
    rng = np.random.default_rng(0)
    parts = networks(20, rng)
    found = fit(parts, [0.4 + 0.9 * sum(one.values()) for one in parts])
    assert found.offset_ms == pytest.approx(0.4, rel=1e-6)
    assert found.factor == pytest.approx(0.9, rel=1e-6)
    assert found.error == pytest.approx(0, abs=1e-8)
    assert not any(found.corrections.values())


def test_corrections_by_kind_where_they_pay():
    rng = np.random.default_rng(1)
    parts = networks(30, rng)
    measured = [0.2 + 0.8 * one["conv"] + 1.3 * one["attention"] for one in parts]
    found = fit(parts, measured)
    assert found.weight("conv") == pytest.approx(0.8, abs=0.02)
    assert found.weight("attention") == pytest.approx(1.3, abs=0.02)
    assert found.error < 0.01


def test_the_error_is_that_of_networks_not_seen():
    """Nine of ten new ones lie within it, more or less."""
    rng = np.random.default_rng(2)

    def made(number):
        parts = networks(number, rng)
        return parts, [(0.3 + sum(one.values())) * rng.normal(1, 0.03) for one in parts]

    inside = []
    for _ in range(20):
        found = fit(*made(25))
        parts, measured = made(40)
        errors = [abs(found.latency_ms(one) / truth - 1) for one, truth in zip(parts, measured, strict=True)]
        inside.append(np.mean(np.array(errors) <= found.error))
    assert 0.83 < np.mean(inside) < 0.96


@pytest.mark.parametrize("seed", range(20))
def test_nothing_takes_negative_time(seed):
    """Measurements as rough as they come, such as larger networks that seem faster: the sum is scaled then."""
    rng = np.random.default_rng(seed)
    parts = networks(9, rng)
    sums = np.array([sum(one.values()) for one in parts])
    found = fit(parts, list(10 / sums * rng.normal(1, 0.2, 9)))
    assert (found.offset_ms, found.corrections) == (pytest.approx(0, abs=1e-6), {})
    assert found.factor > 0
    noise = fit(parts, list(sums * rng.lognormal(0, 1, 9)))
    assert all(noise.weight(kind) >= 0 for kind in ("conv", "attention"))
    assert all(noise.latency_ms(one) > 0 for one in parts)


def test_too_few_networks():
    with pytest.raises(ValueError, match="3 measured networks are too few"):
        fit([{"conv": 1.0}] * 3, [1.0] * 3)


def test_without_a_fit_the_sum_counts():
    assert Fit().latency_ms({"conv": 1.5, "stem": 0.5}) == 2
