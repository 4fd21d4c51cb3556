"""Accuracies for searches in tests: a function of the network alone, with more than one hill."""

import functools
import math
import os
import time
import zlib

from supernet import count


def accuracy(specs):
    """More is better, but less and less; some kernels and depths suit each other; a little of it is chance."""
    pause = float(os.environ.get("MADE_UP_PAUSE_S", "0"))
    time.sleep(pause * len(specs))
    return [one(spec) for spec in specs]


def one(spec):
    found = 60 * (1 - math.exp(-count(spec).macs / 4e5)) + 25 * (1 - math.exp(-count(spec).params / 2e4))
    for index, stage in enumerate(spec.stages):
        kernels = [getattr(block, "kernel", 0) for block in stage.blocks]
        found += 1.5 * (kernels.count(5) == index + 1) - 0.4 * len(set(kernels))
    return found + (zlib.crc32(repr(spec).encode()) % 1000) / 1000


def wrong(specs):
    return [1.0, 2.0]


def _of(add, specs):
    return [one(spec) + add for spec in specs]


class Judge:
    def __call__(self, specs):
        return accuracy(specs)


of_these, judge, built_in = functools.partial(_of, 0), Judge(), len
