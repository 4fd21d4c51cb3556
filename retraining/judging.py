"""`retrain.py --evaluate`: trained networks judged on images, alone or beside each other."""

from __future__ import annotations

import argparse

from training.judging import judge_models, judging_config
from training.processes import processes


def judge_command(args: argparse.Namespace) -> int:
    config = judging_config(args.evaluate, args.overrides)
    with processes(config.precision) as us:
        judge_models(
            args.evaluate,
            config,
            weights=args.weights,
            resolution=args.resolution,
            crop_pct=args.crop_pct,
            split=args.split,
            out=args.out,
            us=us,
        )
    return 0
