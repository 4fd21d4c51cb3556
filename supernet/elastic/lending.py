"""Modules on loan: pieces of subnets whose parameters are slices of the supernet's, kept for the next one that fits.

Making modules costs more than running a small network, and a training step asks for new subnets all the time. A piece
belongs to one living subnet at a time, so that batch-norm statistics and drop rates never pass from one to another;
when that subnet is gone, its pieces are reset and wait here.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ..heads import Classifier
from ..layers import DropPath
from ..pieces import Piece
from .subnet import Borrowed

MAX_WAITING = 4096


@dataclass
class Loan:
    """A module and what of it must be as new before it is lent again."""

    module: nn.Module
    borrowed: list[Borrowed]
    zeros: list[Tensor] = field(default_factory=list)
    ones: list[Tensor] = field(default_factory=list)
    drops: list[nn.Module] = field(default_factory=list)
    classifiers: list[Classifier] = field(default_factory=list)

    def __post_init__(self) -> None:
        for part in self.module.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                assert part.running_mean is not None
                assert part.running_var is not None
                assert part.num_batches_tracked is not None
                self.zeros += [part.running_mean, part.num_batches_tracked]
                self.ones.append(part.running_var)
            elif isinstance(part, DropPath | nn.Dropout):
                self.drops.append(part)
            elif isinstance(part, Classifier):
                self.classifiers.append(part)

    @torch.no_grad()
    def renew(self) -> None:
        for tensor in self.zeros:
            tensor.zero_()
        for tensor in self.ones:
            tensor.fill_(1)
        for drop in self.drops:
            if isinstance(drop, DropPath):
                drop.drop_prob = 0.0
            else:
                assert isinstance(drop, nn.Dropout)
                drop.p = 0.0
        for classifier in self.classifiers:
            classifier.distilled_training = False


class Library:
    """`make` gives a new module for a piece, with slices of the shared weights as its parameters."""

    def __init__(self, make: Callable[[Piece], Loan]) -> None:
        self.make = make
        self.waiting: OrderedDict[Piece, list[Loan]] = OrderedDict()
        self.num_waiting = 0

    def borrow(self, piece: Piece) -> Loan:
        loans = self.waiting.pop(piece, None)  # at once: pieces come back whenever the garbage collector likes
        if loans is None:
            return self.make(piece)
        loan = loans.pop()
        self.num_waiting -= 1
        if loans:
            self.waiting.setdefault(piece, []).extend(loans)
        loan.renew()
        return loan

    def lend(self, borrower: nn.Module, loans: list[tuple[Piece, Loan]]) -> None:
        """When the borrower is gone, its pieces come back."""
        weakref.finalize(borrower, _give_back, weakref.ref(self), loans).atexit = False

    def take_back(self, loans: list[tuple[Piece, Loan]]) -> None:
        for piece, loan in loans:
            self.waiting.setdefault(piece, []).append(loan)
            self.waiting.move_to_end(piece)
        self.num_waiting += len(loans)
        while self.num_waiting > MAX_WAITING:
            _, oldest = self.waiting.popitem(last=False)
            self.num_waiting -= len(oldest)


def _give_back(library: weakref.ref[Library], loans: list[tuple[Piece, Loan]]) -> None:
    found = library()
    if found is not None:
        found.take_back(loans)
