"""What is to be measured so that every network of some spaces can be predicted: a folder with a list of items.

Every distinct unit of the spaces is there once, whatever stage, slot and space it stands in, as chains of two lengths;
so are whole networks for the fit, drawn so that their MACs spread evenly.
"""

from __future__ import annotations

import errno
import fcntl
import json
import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from supernet import NetSpec, Space, SpecError, count
from supernet.space.published import published_members
from supernet.values import printable, show
from supernet.whole_files import write_whole

from .items import Item, chain, network
from .protocol import Protocol
from .units import space_units, unit_cost

FORMAT = 1
COPIES = (1, 4)
NETWORKS = 30


@dataclass(frozen=True)
class Plan:
    spaces: tuple[str, ...]
    items: tuple[Item, ...]
    anchor: Item

    @property
    def chains(self) -> list[Item]:
        return [item for item in self.items if item.copies]

    @property
    def networks(self) -> list[Item]:
        return [item for item in self.items if not item.copies]

    def merged(self, other: Plan) -> Plan:
        """Of both, each item once; the anchor stays."""
        items = tuple(dict.fromkeys((*self.items, *other.items)))
        return Plan(tuple(dict.fromkeys((*self.spaces, *other.spaces))), items, self.anchor)


def make_plan(
    spaces: Sequence[Space], networks: int = NETWORKS, unseen: int = 0, seed: int = 0, copies: Sequence[int] = COPIES
) -> Plan:
    """`unseen` networks of each space are drawn at random, as a search would draw them, and stand at the end: for
    judging a fit that has not seen them."""
    items: dict[Item, None] = {}
    for space in spaces:
        for unit in space_units(space):
            items |= dict.fromkeys(chain(unit, number) for number in copies)
    anchor = network(_anchor(spaces[0]))
    items |= {anchor: None}
    for space in spaces:
        items |= dict.fromkeys(map(network, spread_members(space, networks, random.Random(f"{seed} plan"))))
    for space in spaces:
        items |= dict.fromkeys(map(network, space.members(random.Random(f"{seed} unseen"), unseen)))
    return Plan(tuple(space.name for space in spaces), tuple(items), anchor)


def spread_members(space: Space, number: int, rng: random.Random) -> list[NetSpec]:
    """Random networks whose MACs lie evenly, by logarithm, between those of the cheap and the expensive ones."""
    drawn = sorted(space.members(rng, 20 * number), key=lambda spec: count(spec).macs)
    if len(drawn) <= number:
        return drawn
    ends = count(drawn[0]).macs, count(drawn[-1]).macs
    found: list[NetSpec] = []
    for step in range(number):
        wanted = ends[0] * (ends[1] / ends[0]) ** (step / max(number - 1, 1))
        left = [spec for spec in drawn if spec not in found]
        found.append(min(left, key=lambda spec: abs(count(spec).macs - wanted)))
    return found


def _anchor(space: Space) -> NetSpec:
    """The smallest published network of the space, or its smallest member: something real that does not take long."""
    return next(iter(published_members(space).values()), space.smallest())


def naive_number(spaces: Sequence[Space], copies: int = len(COPIES)) -> int:
    """Items of a plan that measures every option in every slot, as if places mattered."""
    total = 0
    for space in spaces:
        widths = space.stem.count
        per_size = space.stem.count
        for stage in space.stages:
            ours = len(stage.widths) or widths
            per_size += widths * ours * stage.downsample.count if stage.downsample is not None else 0
            per_size += ours * max(stage.depths) * sum(kind.part.count for kind in stage.kinds)
            widths = ours
        total += copies * len(space.resolutions) * (per_size + widths * space.head.count)
    return total


def estimated_hours(plan: Plan, protocol: Protocol, macs_per_second: float, load_s: float) -> float:
    """Roughly: runs at that speed, and loading in each round."""
    seconds = 0.0
    for item in plan.items:
        macs = count(item.spec).macs if not item.copies else item.copies * unit_cost(item.unit).macs
        run_s = max(macs / macs_per_second, 5e-5)
        runs = protocol.warm_up + max(protocol.burst_runs, protocol.burst_ms / 1e3 / run_s)
        seconds += protocol.rounds * (load_s + runs * run_s + protocol.idle_ms / 1e3)
    return seconds / 3600


def add_to_plan(plan: Plan, folder: Path) -> Plan:
    """With what is planned there already. Of two that add at the same time, one waits for the other."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "is a file; a plan is a folder" if folder.is_file() else f"can't be made: {error.strerror}"
        raise SpecError("--out", f"{printable(str(folder))} {reason}") from None
    with claimed(folder / ".lock", waits=True):
        if (folder / "plan.json").exists():
            plan = load_plan(folder).merged(plan)
        save_plan(plan, folder)
    return plan


def save_plan(plan: Plan, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    data = {
        "format": FORMAT,
        "spaces": plan.spaces,
        "anchor": plan.anchor.id,
        "items": [{"id": item.id, "copies": item.copies, "text": item.text} for item in plan.items],
    }
    write_whole(folder / "plan.json", json.dumps(data, indent=1))


def load_plan(folder: Path) -> Plan:
    path = folder / "plan.json"
    shown = printable(str(path))
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            raise SpecError(shown, f"format {show(data['format'])} is not {FORMAT}: make the plan again")
        items = tuple(map(_checked_item, data["items"]))
        (anchor,) = (item for item in items if item.id == data["anchor"] and not item.copies)
        spaces = data["spaces"]
        if len(set(items)) < len(items) or not isinstance(spaces, list) or set(map(type, spaces)) != {str}:
            raise ValueError
        return Plan(tuple(spaces), items, anchor)
    except OSError as error:
        raise SpecError(shown, f"can't be read: {error.strerror}; `python -m latency_lut plan` makes it") from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(
            shown, "is no plan, or damaged; `python -m latency_lut plan` makes one in another folder"
        ) from None


def _checked_item(row: Any) -> Item:
    """Its id is the hash of the rest."""
    text, copies = row["text"], row["copies"]
    if not isinstance(text, str) or type(copies) is not int:
        raise TypeError
    item = Item(text, copies)
    if item.id != row["id"]:
        raise ValueError
    return item


@contextmanager
def claimed(file: Path, *, waits: bool = False) -> Iterator[IO[str]]:
    """Opened to add to it, and no other process's until the end. The system frees it where a process is killed."""
    with file.open("a", encoding="utf-8") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise SpecError(
                    printable(str(file.parent)), "another process is at work there; wait for its end"
                ) from None
            print(f"a second process would not be noticed, as {printable(str(file))} can't be locked", file=sys.stderr)
        yield opened
