"""Damage for readers of files: seeded, so that a failure can be had again, and a frame that says what counts as one.

`damaged_bytes` is a broken disk or transfer, `damaged_text` a slip of the hand, `damaged_data` a file that somebody
made to hurt: right in its form, wrong at any place.
"""

from __future__ import annotations

import contextlib
import copy
import json
import random
import resource
import signal
import struct
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MUTATIONS = 1000
LIMIT_S = 2.0
"""Of processor time for one file: a shared computer that is busy makes no test fail."""
LIMIT_BYTES = 300 * 2**20
LONGEST_LINE = 2000

WORDS = (
    *(
        "0",
        "-1",
        "1e9",
        "1e-3",
        ".nan",
        ".inf",
        "true",
        "null",
        "''",
        "[]",
        "{}",
        "[1, 2]",
        "2026-11-20",
        "0x10",
        "1.5",
    ),
    *("kernel", "conv", "inception", "attention", "batch", "repeat: 3", "stride: 2", "1_000", "0o7", "~", "é"),
    *("99999999999999999999", "0x" + 5000 * "f", 5000 * "9", '"a\\nb"', '"\\ud800"', "!!binary aGk=", "!!bool x"),
    *("!!timestamp x", "&a 1", "*a", "<<", "\t", "?", "|", ">", "%", "@", "`", "!!python/object/apply:os.system [id]"),
    *("&b [*b, *b]", "&c {a: &d [x, x], b: [*d, *d]}", 200 * "[", 200 * "{a: ", 20_000 * "x", "../../etc/passwd"),
    *("NaN", "Infinity", "-1e999", "9" * 400 + ".0", "\\u0000", "<script>alert(1)</script>", "'; DROP TABLE items; --"),
)
NUMBERS = (0, -1, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, -(2**63), 2**64, 10**30, 10**400)
JUNK = (
    *(None, True, False, "", "x", "\0", "\ud800", "a\nb", "é" * 300, "9" * 5000, "../../etc/passwd", "/etc/passwd"),
    *(
        0.5,
        -0.0,
        1e308,
        1e-320,
        float("nan"),
        float("inf"),
        *NUMBERS,
        [],
        {},
        [[]],
        [None, 3],
        {"": 1},
        {"_0": {"x": []}},
    ),
)


class TooSlowError(BaseException):
    """No `except Exception` of a reader takes it for a damaged file."""


def damaged_bytes(content: bytes, draw: random.Random) -> bytes:
    """One to four changes; an empty file stays one."""
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(content) + 1)
        length = int(2 ** draw.uniform(0, 12))
        end, other = at + length, draw.randrange(len(content) + 1)
        match draw.randrange(9):
            case 0 if at < len(content):
                content = content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1 :]
            case 1:
                content = content[:at] + draw.randbytes(min(length, 16)) + content[at + min(length, 16) :]
            case 2:
                content = content[:at] if draw.random() < 0.7 else content[at:]
            case 3:
                content = content[:at] + content[end:]
            case 4:
                content = content[:at] + content[other : other + length] + content[at:]
            case 5:
                content = content[:at] + content[other : other + length] + content[end:]
            case 6:
                number = draw.choice(NUMBERS) % 2**64
                packed = struct.pack(draw.choice("<>") + "Q", number)[: draw.choice((2, 4, 8))]
                content = content[:at] + packed + content[at + len(packed) :]
            case 7:
                content = content[:at] + draw.choice(WORDS).encode() + content[at:]
            case _:
                content = content[:at] + bytes(min(length, 512)) + content[at + min(length, 512) :]
    return content


def damaged_text(text: str, draw: random.Random) -> str:
    """One to three changes such as a slip of the hand, a wrong guess or a broken copy make."""
    for _ in range(draw.randint(1, 3)):
        lines = text.splitlines(keepends=True)
        at = draw.randrange(len(text)) if text else 0
        change = draw.randrange(8)
        if change == 0:
            text = text[:at] + text[at + draw.randint(1, 8) :]
        elif change == 1:
            text = text[:at] + draw.choice(WORDS) + text[at:]
        elif change == 2 and lines:
            del lines[draw.randrange(len(lines))]
            text = "".join(lines)
        elif change == 3 and lines:
            lines.insert(draw.randrange(len(lines)), draw.choice(lines))
            text = "".join(lines)
        elif change == 4:
            digits = [i for i, letter in enumerate(text) if letter.isdigit()]
            if digits:
                at = draw.choice(digits)
                text = text[:at] + str(draw.choice((0, 1, 2, 3, 4, 5, 7, 16, 31, 64, 255, 4096))) + text[at + 1 :]
        elif change == 5 and lines:
            draw.shuffle(lines)
            text = "".join(lines)
        elif change == 6:
            text = text[:at] + chr(draw.choice((0, 9, 10, 34, 39, 58, 91, 123, 255, 0x2028, 0x1F600))) + text[at:]
        else:
            words = text.split(" ")
            words[draw.randrange(len(words))] = draw.choice(WORDS)
            text = " ".join(words)
    return text


def damaged_data(value: Any, draw: random.Random) -> Any:
    """Of parsed JSON or YAML: one to four places become something else, go, or are there twice. A copy."""
    value = copy.deepcopy(value)
    for _ in range(draw.randint(1, 4)):
        value = _damaged_somewhere(value, draw)
    return value


def _damaged_somewhere(value: Any, draw: random.Random) -> Any:
    if not isinstance(value, dict | list) or not value or draw.random() < 0.1:
        return nested(value, draw) if draw.random() < 0.1 else copy.deepcopy(draw.choice(JUNK))
    key = draw.choice(list(value)) if isinstance(value, dict) else draw.randrange(len(value))
    match draw.randrange(12):
        case 0:
            del value[key]
        case 1 if isinstance(value, dict):
            value[draw.choice(("x", "kind", "__class__", "", "\0", 10_000 * "x"))] = value.pop(key)
        case 1:
            value.insert(draw.randrange(len(value)), copy.deepcopy(value[key]))
        case 2 if isinstance(value, list):
            draw.shuffle(value)
        case 3 if isinstance(value, list):
            value *= draw.choice((2, 3, 30))
        case _:
            value[key] = _damaged_somewhere(value[key], draw)
    return value


def nested(value: Any, draw: random.Random) -> Any:
    for _ in range(draw.choice((3, 40, 400))):
        value = [value] if draw.random() < 0.5 else {"x": value}
    return value


def damaged_json(value: Any, draw: random.Random) -> bytes:
    """Every fourth one is broken as text, too, and some are nested deeper than Python's stack."""
    content = json.dumps(damaged_data(value, draw), ensure_ascii=draw.random() < 0.5).encode("utf-8", "surrogatepass")
    if draw.random() < 0.02:
        content = content.replace(b":", b":" + b"[" * 100_000, 1)
    return damaged_bytes(content, draw) if draw.random() < 0.25 else content


@dataclass
class Outcome:
    """How many were read, and what was said of the others."""

    read: int = 0
    refused: list[str] = field(default_factory=list)

    def check(self, least: int = MUTATIONS // 100) -> None:
        """That the damage was neither too wild nor too tame to say anything."""
        assert self.read >= least, f"all but {self.read} were refused, as: {self.refused[:3]}"
        assert len(self.refused) >= least, f"only {len(self.refused)} were refused"


def survives(
    read: Callable[[Any], object],
    make: Callable[[random.Random], Any],
    allowed: type[Exception] | tuple[type[Exception], ...],
    mutations: int = MUTATIONS,
    seed: int = 0,
) -> Outcome:
    """`read` of each file that `make` damages returns, or raises one of `allowed` with one line; within LIMIT_S, and
    with LIMIT_BYTES at most."""
    outcome, failures = Outcome(), dict[str, str]()
    _forget_peak()
    before = _peak_bytes()
    for number in range(mutations):
        damaged = make(random.Random(f"{seed} {number}"))
        try:
            with _limited():
                read(damaged)
        except allowed as error:
            message = str(error)
            outcome.refused.append(message)
            if not message.strip() or "\n" in message or len(message) > LONGEST_LINE:
                failures.setdefault("messages", f"mutation {number} is refused by {message[:300]!r}")
        except (Exception, TooSlowError) as error:
            frames = traceback.extract_tb(error.__traceback__)[-8:]
            where = "".join(f"\n    {frame.filename}:{frame.lineno} {frame.line}" for frame in frames)
            failures.setdefault(f"{type(error)}{frames[-1]}", f"mutation {number}: {error!r:.300}{where}")
        else:
            outcome.read += 1
    assert not failures, "\n".join(failures.values())
    grown = _peak_bytes() - before
    assert grown < LIMIT_BYTES, f"{grown / 2**20:,.0f} MiB were taken"
    return outcome


@contextmanager
def _limited() -> Iterator[None]:
    def stop(number: int, frame: object) -> None:
        raise TooSlowError(f"more than {LIMIT_S:g} s")

    previous = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, LIMIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)


def _forget_peak() -> None:
    with contextlib.suppress(OSError):  # of Linux alone; elsewhere the peak of the whole test run counts
        Path("/proc/self/clear_refs").write_text("5")


def _peak_bytes() -> int:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
