"""How well accuracies are predicted from few evaluations, beside two plain predictors, and how fast.

    python bench/predictor.py [--spaces iformer efficientformerv2] [--evaluations 32 64 128 256 512] [--seeds 3]

Accuracies are made up (see TRUTHS) and evaluations have noise, so that the truth about 2,000 networks that were not
evaluated is known, where a real supernet shows only what it evaluates.
  tau           Kendall's tau between what is predicted and the truth, for unseen networks
  near          the same among networks whose MACs are within 25 % of the median: there, costs tell little
  choices       a ridge regression on each choice; its strength minimises the error of leaving out
  MACs          the same on the logarithm of MACs and its square
  within        the share of unseen evaluations within 1.645 standard errors and noise; 0.9 would be right
  left out      the tau that the predictor itself reports, on evaluations that are left out
  rms           of the difference to the truth, in percentage points
Speeds are networks a second of processor time, on one core, with costs looked up on the way.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from search.codes import Codes
from search.costs import Costs
from search.predictor import Predictor
from search.traits import Traits
from supernet import NetSpec, load_space

Array = np.ndarray
UNSEEN = 2000
NOISE = 0.3
NEAR = 0.25


class Networks(NamedTuple):
    """What truths depend on, read from specs: of all networks; of their stages; of their blocks, 0 where there is none.
    Blocks that attend have no kernel here."""

    resolution: Array
    macs: Array
    params: Array
    width: Array
    depth: Array
    kernel: Array
    expand: Array
    attends: Array


def read(specs: Sequence[NetSpec], costs: Array) -> Networks:
    stages = len(specs[0].stages)
    blocks = np.zeros((3, len(specs), stages, max(len(stage.blocks) for spec in specs for stage in spec.stages)))
    width, depth = np.zeros((2, len(specs), stages))
    for at, spec in enumerate(specs):
        for index, stage in enumerate(spec.stages):
            width[at, index], depth[at, index] = stage.width, len(stage.blocks)
            for slot, block in enumerate(stage.blocks):
                kernel = 0 if block.attends else getattr(block, "kernel", 0)
                blocks[:, at, index, slot] = kernel, getattr(block, "expand", 0), block.attends
    resolution = np.array([float(np.mean(spec.resolution)) for spec in specs])
    return Networks(resolution, costs[:, 1], costs[:, 0], width, depth, *blocks)


def _standard(values: Array) -> Array:
    return (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-12)


def _per_block(values: Array, networks: Networks) -> Array:
    return values.sum(axis=2) / np.maximum(networks.depth, 1)


def saturating(of: Networks) -> Array:
    """More MACs help less and less; kernels help in some stages and hurt in one; the first attention helps most."""
    found = 70 * (1 - np.exp(-((of.macs / np.median(of.macs) / 0.45) ** 0.6)))
    weights = np.resize([0.25, -0.15, 0.4, 0.25], of.depth.shape[1])
    return found + _per_block(of.kernel, of) @ weights + (1.5 * (1 - np.exp(-of.attends.sum(axis=2) / 2))).sum(axis=1)


def balanced(of: Networks) -> Array:
    """Each block adds less than the one before it, kernels more at high resolution; stages must be balanced."""
    held = of.expand > 0
    worth = 0.5 + 0.25 * np.log(np.maximum(of.expand, 1)) + 0.05 * of.kernel * (of.resolution / 200)[:, None, None]
    slots = np.exp(-np.arange(held.shape[2]) / 6)
    capacity = np.log((held * (worth + 0.25 * of.attends) * slots).sum(axis=2) + 0.3) + 0.8 * np.log(of.width)
    even = capacity - capacity.mean(axis=0)
    even -= even.mean(axis=1, keepdims=True)
    found = capacity @ np.resize([1.0, 1.2, 3.0, 2.0], held.shape[1]) - 0.8 * (even**2).sum(axis=1)
    return 78 - 14 * np.exp(-_standard(found + 6 * np.log(of.resolution)) / 2.5)


def tangled(of: Networks) -> Array:
    """A random neural network of the stages' means, an effect of each single block, and MACs."""
    rng, held = np.random.default_rng(7), (of.expand > 0).sum(axis=2)
    stages = [2 * np.log(of.width), 2 * np.log(np.maximum(held, 1)), _per_block(of.kernel, of)]
    stages += [_per_block(of.expand, of), 2 * _per_block(of.attends, of)]
    inputs = np.concatenate([4 * np.log(of.resolution)[:, None], *stages], axis=1)
    inputs = inputs - inputs.mean(axis=0)
    hidden = np.tanh(inputs @ rng.normal(size=(inputs.shape[1], 24)) * 1.2 / np.sqrt(inputs.shape[1]))
    single = sum(np.tensordot(part, rng.normal(size=part.shape[1:]) * 0.08, 2) for part in (of.kernel, of.expand))
    macs = _standard(np.log(of.macs))
    return 72 + 2.5 * macs - 0.6 * macs**2 + 0.9 * hidden @ rng.normal(size=24) + single


def weakest(of: Networks) -> Array:
    """The weakest stage limits what the others can do; costs saturate; large kernels pay beside attention."""
    power = _standard(np.log(of.width) + 0.7 * np.log(of.expand.sum(axis=2) + 2 * of.attends.sum(axis=2) + 0.3))
    least = -np.log(np.exp(-1.2 * power).mean(axis=1)) / 1.2
    costs = 0.6 * _standard(np.log(of.macs)) + 0.3 * _standard(np.log(of.params))
    beside = _per_block(of.kernel, of)[:, 2] * of.attends[:, 2].mean(axis=1)
    return 65 + 8 * np.tanh(costs) + 2 * least + 2 * _standard(beside)


def in_the_middle(of: Networks) -> Array:
    """Nothing but MACs is the better the larger it is: best are a kernel of 5, an expansion of 3, some attention."""
    found = 66 + 7 * np.tanh(0.5 * _standard(np.log(of.macs)) + 0.3)
    kernels = _per_block(np.abs(of.kernel - 5) * (of.kernel > 0), of)
    expansions = _per_block(of.expand == 3, of) @ np.resize([-0.4, 1.2], of.depth.shape[1])
    attention = ((_per_block(of.attends, of) - 0.35) ** 2).sum(axis=1)
    return found - kernels.sum(axis=1) + expansions - 12 * attention - 0.5 * (_standard(of.depth) ** 2).sum(axis=1)


TRUTHS: dict[str, Callable[[Networks], Array]] = {
    made_up.__name__: made_up for made_up in (saturating, balanced, tangled, weakest, in_the_middle)
}


def ridge(known: Array, accuracy: Array, unseen: Array) -> Array:
    middle = known.mean(axis=0)
    left, values, right = np.linalg.svd(known - middle, full_matrices=False)
    along, best, found = left.T @ (accuracy - accuracy.mean()), np.inf, np.zeros(len(unseen))
    for strength in np.exp(np.linspace(-6, 8, 40)):
        kept = values**2 / (values**2 + strength)
        off = accuracy - accuracy.mean() - left @ (kept * along)
        error = float(((off / (1 - left**2 @ kept - 1 / len(known))) ** 2).mean())
        if error < best:
            weights = right.T @ (values / (values**2 + strength) * along)
            best, found = error, accuracy.mean() + (unseen - middle) @ weights
    return found


class Drawn(NamedTuple):
    """Some that may be evaluated, and the last `UNSEEN`, which never are; with what plain predictors go by."""

    codes: Array
    networks: Networks
    choices: Array
    macs: Array

    @classmethod
    def of(cls, codes: Codes, costs: Costs, number: int, seed: int) -> Drawn:
        drawn = codes.draw(np.random.default_rng(seed), number + UNSEEN)
        networks = read([codes.spec(code) for code in drawn], costs(drawn))
        macs = np.log(networks.macs)[:, None]
        return cls(drawn, networks, Traits(codes)(drawn).choices, np.concatenate([macs, macs**2], axis=1))


def judged(predictor: Predictor, drawn: Drawn, true: Array, shown: Array, number: int) -> dict[str, float]:
    """After that many evaluations, which show what is `shown`."""
    from scipy.stats import kendalltau

    known, unseen = slice(number), slice(-UNSEEN, None)
    _, fit_s = timed(lambda: predictor.fit(drawn.codes[known], shown[known]))
    (mean, error), predict_s = timed(lambda: predictor.predict(drawn.codes[unseen]))
    _, mean_s = timed(lambda: predictor.mean(drawn.codes[unseen]))
    macs = drawn.macs[unseen, 0]
    near = np.abs(macs - np.median(macs)) <= NEAR
    found = {}
    for name, values in (
        ("", mean),
        ("choices_", ridge(drawn.choices[known], shown[known], drawn.choices[unseen])),
        ("macs_", ridge(drawn.macs[known], shown[known], drawn.macs[unseen])),
    ):
        found[f"{name}tau"] = float(kendalltau(values, true[unseen]).statistic)
        found[f"{name}tau_near"] = float(kendalltau(values[near], true[unseen][near]).statistic)
    off = np.abs(mean - shown[unseen])
    return found | {
        "within": float((off <= 1.645 * np.hypot(error, predictor.noise)).mean()),
        "left_out": predictor.scores()["tau"],
        "rms_points": float(np.sqrt(((mean - true[unseen]) ** 2).mean())),
        "fit_s": fit_s,
        "means_a_second": UNSEEN / mean_s,
        "predictions_a_second": UNSEEN / predict_s,
    }


def timed(what: Callable[[], Any]) -> tuple[Any, float]:
    start = time.thread_time()
    return what(), time.thread_time() - start


def rows(name: str, evaluations: Sequence[int], seeds: int) -> Iterator[dict[str, Any]]:
    space = load_space(name)
    codes, costs = Codes(space), Costs(space)
    predictor = Predictor(codes, costs)
    for seed in range(seeds):
        drawn = Drawn.of(codes, costs, max(evaluations), seed)
        for truth, made_up in TRUTHS.items():
            true = made_up(drawn.networks)
            shown = true + NOISE * np.random.default_rng(seed).normal(size=len(true))
            for number in evaluations:
                about = {"space": name, "truth": truth, "seed": seed, "evaluations": number}
                yield about | judged(predictor, drawn, true, shown, number)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spaces", nargs="+", default=["iformer", "efficientformerv2"], metavar="SPACE")
    parser.add_argument("--evaluations", nargs="+", type=int, default=[32, 64, 128, 256, 512], metavar="NUMBER")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one JSON object a run instead of tables of means")
    args = parser.parse_args()
    for name in args.spaces:
        found = []
        for row in rows(name, args.evaluations, args.seeds):
            found.append(row)
            if args.json:
                print(json.dumps(row))
        if not args.json:
            show(name, found, args.evaluations)


def show(name: str, found: list[dict[str, Any]], evaluations: Sequence[int]) -> None:
    titles = (
        "tau",
        "near",
        "choices",
        "near",
        "MACs",
        "near",
        "within",
        "left out",
        "rms",
        "fit s",
        "mean/s",
        "both/s",
    )
    keys = [key for key in found[0] if key not in ("space", "truth", "seed", "evaluations")]
    print(f"\n{name:<18}{'':>4}" + "".join(f"{title:>9}" for title in titles))
    for truth in (*TRUTHS, "all"):
        for number in evaluations:
            mine = [row for row in found if row["evaluations"] == number and truth in (row["truth"], "all")]
            means = [float(np.mean([row[key] for row in mine])) for key in keys]
            cells = "".join(f"{mean:>9.3f}" if mean < 1000 else f"{mean:>9,.0f}" for mean in means)
            print(f"{truth:<18}{number:>4}{cells}")


if __name__ == "__main__":
    main()
