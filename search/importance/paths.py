"""The network whose paths compete: in each slot all blocks that it may hold, side by side, and the way around them.

EfficientFormer (Li et al. 2022), section 3.3: x -> share of identity * x + sum over blocks of share * block(x).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from supernet import Space, Supernet
from supernet.network import StageModule
from supernet.options import Size
from training.calibration import batch_norms

from .covering import covering_members

IDENTITY = 0
"""The path around a slot's blocks; the kinds of its stage follow."""


class Paths:
    """Blocks are slices of the supernet, the largest there are. `space` is that of the supernet or a part of it.

    Every slot has the path around its blocks, whether or not the space ever leaves the slot empty: that path is what
    the importance of blocks is measured against.
    """

    def __init__(self, net: Supernet, space: Space) -> None:
        self.members = [net.subnet(spec) for spec in covering_members(space)]  # held: they lend the blocks
        self.frame = self.members[0]
        self.size: Size = self.frame.spec.size
        self.kinds = [len(stage.kinds) for stage in space.stages]
        self.slots: list[list[dict[int, nn.Module]]] = [
            [{} for _ in range(max(stage.depths))] for stage in space.stages
        ]
        """Of each stage and slot, the blocks by their kind."""
        for member in self.members:
            for index, (stage, module) in enumerate(zip(member.spec.stages, member.stages, strict=True)):
                assert isinstance(module, StageModule)
                kinds = [kind.part.kind for kind in space.stages[index].kinds]
                for slot, block, own in zip(stage.block_slots, stage.blocks, module.blocks, strict=True):
                    self.slots[index][slot].setdefault(kinds.index(type(block)), own)

    def is_open(self) -> Tensor:
        """Which paths there are: a row for each slot of each stage, in order; columns are IDENTITY, then the kinds."""
        rows = [blocks for slots in self.slots for blocks in slots]
        found = torch.zeros(len(rows), 1 + max((kind + 1 for blocks in rows for kind in blocks), default=0)).bool()
        found[:, IDENTITY] = True
        for row, blocks in enumerate(rows):
            for kind in blocks:
                found[row, 1 + kind] = True
        return found

    def __call__(self, images: Tensor, shares: Tensor) -> Tensor:
        """Scores of classes. `shares` are laid out as `is_open` says."""
        x = self.frame.stem(images)
        rows = iter(shares)
        for module, slots in zip(self.frame.stages, self.slots, strict=True):
            assert isinstance(module, StageModule)
            x = module.position(module.downsample(x))
            for blocks in slots:
                share = next(rows)
                mixed = share[IDENTITY] * x
                for kind, block in blocks.items():
                    mixed = mixed + share[1 + kind] * block(x)
                x = mixed
        return self.frame.forward_head(self.frame.norm(x))

    @contextlib.contextmanager
    def by_batch(self) -> Iterator[None]:
        """Batch norms use the batch's statistics and keep none, nothing is dropped. In the end all is as before."""
        modes = [(module, module.training) for member in self.members for module in member.modules()]
        norms = [norm for member in self.members for norm in batch_norms(member)]
        try:
            for member in self.members:
                member.eval()
            for norm in norms:
                norm.train()
                norm.track_running_stats = False
            yield
        finally:
            for norm in norms:
                norm.track_running_stats = True
            for module, mode in modes:
                module.training = mode
