"""Networks as plain data for the page: what stands in each slot of each stage. What several have is listed once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from supernet import NetSpec
from supernet.blocks import Block
from supernet.options import Size, strided, total
from supernet.stages import places
from supernet.strict_reading import to_plain

TIMES = "\N{MULTIPLICATION SIGN}"


class Drawings:
    """`add` returns a network that names its blocks by their place in `blocks`, its words by that in `words`."""

    def __init__(self) -> None:
        self.blocks: list[dict[str, Any]] = []
        self.words: list[str] = []
        self._block_at: dict[Block, int] = {}
        self._known: dict[tuple[str, str], int] = {}
        self._word_at: dict[str, int] = {}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Drawings:
        """To add further networks to what `plain` gave."""
        found = cls()
        found.blocks, found.words = list(plain["blocks"]), list(plain["words"])
        found._known = {(block["kind"], block["options"]): at for at, block in enumerate(found.blocks)}
        found._word_at = {word: at for at, word in enumerate(found.words)}
        return found

    def add(self, spec: NetSpec) -> dict[str, Any]:
        parts = spec.parts()
        params, macs = total(part.cost for part in parts)
        costs = dict(parts)

        def shares(*paths: str) -> list[int]:
            """Thousandths of the network's parameters and MACs, rounded up."""
            cost = total(costs[path] for path in paths if path in costs)
            return [-(-1000 * cost.params // max(1, params)), -(-1000 * cost.macs // max(1, macs))]

        stages = []
        for stage, place in zip(spec.stages, places(spec.stem, spec.stages, spec.size), strict=True):
            blocks = [f"{place.path}.blocks[{index}]" for index in range(len(stage.blocks))]
            stages.append(
                {
                    "width": place.width,
                    "map": self._word(by(place.size)),
                    "down": self._word(stage.downsample.summary()) if stage.downsample is not None else None,
                    "table": stage.position_table,
                    "slots": list(stage.block_slots),
                    "blocks": [self._block(block) for block in stage.blocks],
                    "shares": shares(f"{place.path}.downsample", f"{place.path}.position_table", *blocks),
                }
            )
        stem_map = self._word(by(strided(spec.size, spec.stem.stride)))
        stem = {"width": spec.stem.width, "map": stem_map, "what": self._word(spec.stem.summary())}
        head = {"width": spec.head.feature_width(spec.stages[-1].width), "what": self._word(spec.head.summary())}
        return {
            "image": self._word(by(spec.size)),
            "stem": stem | {"shares": shares("stem")},
            "stages": stages,
            "head": head | {"shares": shares("head")},
        }

    def plain(self) -> dict[str, Any]:
        return {"blocks": self.blocks, "words": self.words}

    def _word(self, words: str) -> int:
        words = re.sub(r"(?<=\d)x(?=\d)", TIMES, words)
        if words not in self._word_at:
            self._word_at[words] = len(self.words)
            self.words.append(words)
        return self._word_at[words]

    def _block(self, block: Block) -> int:
        if block not in self._block_at:
            self._block_at[block] = self._add_block(block)
        return self._block_at[block]

    def _add_block(self, block: Block) -> int:
        options = to_plain(block)
        kind = options.pop("kind").replace("_", " ")
        words = ", ".join(f"{name.replace('_', ' ')} {_word(value)}" for name, value in options.items())
        if (kind, words) in self._known:
            return self._known[kind, words]
        self.blocks.append(
            {
                "kind": kind,
                "attends": block.attends,
                "kernel": options.get("kernel"),
                "expand": options.get("expand", options.get("mlp_expand")),
                "options": words,
            }
        )
        return len(self.blocks) - 1


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower()


def by(size: Size) -> str:
    return f"{size[0]} {TIMES} {size[1]}"
