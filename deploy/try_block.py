"""Whether a kind of block, such as a user's own, keeps what is asked of every kind.

    python -m deploy.try_block '{kind: conv, kernel: [3, 7], expand: [2, 4]}'

The entry is that of a space file. Its options are built at some widths and on some maps, counted, fused, cut out of a
supernet and exported; docs/your_block.md says what each line means.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from supernet import NetSpec, Network, Space, SpecError, Subnet, Supernet, fuse_part, parse_space, sort_channels
from supernet.blocks import Block, block_cost
from supernet.command_line import positive, run_safely
from supernet.layers import Branch
from supernet.options import Size
from supernet.own_blocks import said, where
from supernet.plain_yaml import parse_yaml, write_yaml
from supernet.values import UserError, printable

from .errors import PackageError
from .to_coreml import export_coreml
from .to_onnx import export_onnx
from .verify import verify_coreml, verify_onnx

BATCH = 8
MEMBERS = 12
LEAST = 8
TOLERANCE = 1e-6
"""In double precision, relative to the largest number."""


class BlockError(UserError):
    """What a kind of block does not keep."""


@dataclass(frozen=True)
class Case:
    block: Block
    width: int
    size: Size

    def __str__(self) -> str:
        return f"{self.block} at width {self.width} on {self.size[0]}x{self.size[1]}"

    def module(self) -> nn.Module:
        """In evaluation mode, in double precision, with weights as training might leave them."""
        return _stirred(self.block.module(self.width, self.size)).double().eval()

    def maps(self, batch: int = 2) -> Tensor:
        return torch.randn(batch, self.width, *self.size, dtype=torch.double)


@dataclass(frozen=True)
class Trial:
    space: Space
    """Of small networks with one or two blocks of the kind."""
    cases: tuple[Case, ...]

    @property
    def kind(self) -> type[Block]:
        return type(self.cases[0].block)


def trial(entry: str, widths: list[int], sizes: list[int]) -> Trial:
    """Raises SpecError."""
    if min(sizes) < LEAST:
        raise SpecError("--sizes", f"{min(sizes)} is not a number from {LEAST} on")
    head, stem = {"kind": "pool_norm"}, {"kind": "convs", "width": 8, "kernel": 3, "act": "relu", "strides": [1, 1]}
    stage = {
        "width": sorted(set(widths)),
        "downsample": {"kind": "conv", "kernel": 3, "bias": True},
        "depth": [1, 2],
        "blocks": [parse_yaml(entry)],
    }
    network = {"family": "hybrid", "resolution": [2 * side for side in sorted(set(sizes))], "num_classes": 3}
    space = parse_space(write_yaml(network | {"stem": stem, "stages": [stage], "head": head}))
    part = space.stages[0].kinds[0].part
    found = (
        Case(block, width, (side, side))
        for width in space.stages[0].widths
        for block in part.examples(width)
        for side in sorted(set(sizes))
    )
    return Trial(space, tuple(dict.fromkeys(found)))


def built(trial: Trial) -> None:
    """A chain of branches, which keeps the shape of the map, and nothing else."""
    for case in trial.cases:
        chain = case.module()
        if not isinstance(chain, nn.Sequential) or not all(isinstance(part, Branch) for part in chain):
            raise BlockError(f"module() of {case} gives no chain of branches, as supernet.layers.branches makes")
        maps = case.maps()
        found = chain(maps)
        if (shape := tuple(found.shape)) != tuple(maps.shape):
            raise BlockError(f"{case} gives {shape[1]} channels of {shape[2]}x{shape[3]}: a block keeps width and size")
        if not torch.equal(chain(maps), found):
            raise BlockError(f"{case} gives something else for the same map the second time: a module keeps no state")
        if not printable(case.block.summary()):
            raise BlockError(f"summary() of {case} is empty")


def parameters(trial: Trial) -> None:
    for case in trial.cases:
        has = sum(parameter.numel() for parameter in case.module().parameters())
        _equal("parameters", case, block_cost(case.block, case.width, case.size).params, has)


def macs(trial: Trial) -> None:
    for case in trial.cases:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            case.module()(case.maps(batch=1))
        _equal("MACs", case, block_cost(case.block, case.width, case.size).macs, counter.get_total_flops() // 2)


def _equal(what: str, case: Case, told: int, found: int) -> None:
    if told != found:
        raise BlockError(f"cost() of {case} says {told:,} {what}, its module has {found:,}")


@torch.no_grad()
def other_sizes(trial: Trial) -> None:
    """Unless the kind says `fixed_size`, a module takes maps of any size."""
    if trial.kind.fixed_size:
        return
    for case, other in itertools.pairwise(trial.cases):
        if (other.block, other.width) == (case.block, case.width):
            mine, made, maps = case.module(), other.module(), other.maps()
            try:
                made.load_state_dict(mine.state_dict())
                same = _close(mine(maps), made(maps))
            except RuntimeError:
                same = False
            if not same:
                rule = f"does not take maps of {other.size[0]}x{other.size[1]}: say fixed_size = True"
                raise BlockError(f"the module of {case} {rule}")


@torch.no_grad()
def fused(trial: Trial) -> None:
    for case in trial.cases:
        module, maps = case.module(), case.maps()
        if not _close(fuse_part(module)(maps), module(maps)):
            raise BlockError(f"{case} gives something else when its batch norms are folded")


def slices(trial: Trial) -> None:
    """A subnet is what is cut out of the supernet, to the last bit, and its gradients lie where its weights do."""
    net = _supernet(trial)
    for spec in _members(trial.space):
        subnet, plain = net.subnet(spec), net.extract(spec)
        images = _images(spec)
        net.zero_grad()
        ours, theirs = subnet(images), plain(images)
        if not torch.equal(ours, theirs):
            raise BlockError(f"{_words(spec)} in the supernet is not the network cut out of it")
        pull = torch.randn_like(ours)
        ours.backward(pull)
        theirs.backward(pull)
        _check_gradients(net, subnet, plain)


def _check_gradients(net: Supernet, subnet: Subnet, plain: Network) -> None:
    names = {id(parameter): name for name, parameter in subnet.named_parameters()}
    expected = dict(plain.named_parameters())
    for one in subnet.borrowed:
        wanted = expected[names[id(one.parameter)]].grad
        if wanted is None:
            raise BlockError(f"{names[id(one.parameter)]} gets no gradient")
        if one.parameter.shape == wanted.shape:  # a table of larger images has another
            if not _close(one.gradient.view, one.gradient.like(wanted)):
                raise BlockError(f"the gradient of {names[id(one.parameter)]} is another than in the network cut out")
            one.gradient.view.zero_()


def sorting(trial: Trial) -> None:
    """Where channels lie is what `axes` says: in another order, alike in all tensors of an axis, they give the same."""
    net = _supernet(trial)
    spec = trial.space.largest()
    images = _images(spec)
    before = net(images, spec).detach()
    sort_channels(net)
    if not _close(net(images, spec).detach(), before):
        raise BlockError(
            f"{trial.kind.__name__}.axes are not those of the module: channels in another order change the result"
        )


def onnx(trial: Trial) -> str:
    return _exported(trial, "block.onnx", export_onnx, verify_onnx)


def coreml(trial: Trial) -> str:
    return _exported(trial, "block.mlpackage", export_coreml, verify_coreml)


def _exported(trial: Trial, name: str, export: Callable, verify: Callable) -> str:
    """Of the cheapest and the most expensive case."""
    for case in dict.fromkeys((trial.cases[0], trial.cases[-1])):
        module, shape = case.module().float(), (1, case.width, *case.size)
        with tempfile.TemporaryDirectory() as folder:
            export(fuse_part(module), shape, path := Path(folder) / name)
            try:
                difference = verify(path, module, shape)
            except PackageError as error:
                return f"the file is made, and can't be run here: {error}"
        if not difference.ok:
            raise BlockError(f"{case}: {difference}")
    return ""


CHECKS: dict[str, Callable[[Trial], str | None]] = {
    "built": built,
    "parameters": parameters,
    "MACs": macs,
    "other sizes": other_sizes,
    "fused": fused,
    "slices": slices,
    "axes": sorting,
    "ONNX": onnx,
    "Core ML": coreml,
}


def try_block(entry: str, widths: list[int], sizes: list[int]) -> int:
    """Prints a line for each check; 1 if one failed."""
    torch.set_num_threads(1)  # on maps so small, threads only wait for each other
    tried = trial(entry, widths, sizes)
    print(f"{tried.kind.kind_name()}: {len(tried.cases)} cases, such as {tried.cases[0]}")
    wrong = 0
    for name, check in CHECKS.items():
        torch.manual_seed(0)
        try:
            note, mark = check(tried) or "", "ok"
        except Exception as error:  # whatever a user's module may raise
            note, mark = _sentence(tried.kind, error), "WRONG"
        print(f"{name:<12} {mark:<6} {note}".rstrip(), flush=True)
        wrong += mark == "WRONG"
        if name == "built" and wrong:
            break
    return 1 if wrong else 0


def _sentence(kind: type[Block], error: Exception) -> str:
    if isinstance(error, UserError):
        return said(error)
    return f"{where(Path(sys.modules[kind.__module__].__file__ or ''), error)}: {said(error)}"


@torch.no_grad()
def _stirred(module: nn.Module) -> nn.Module:
    """What is constant in fresh modules, such as norms and layer scales, hides mistakes."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point() and tensor.numel() and tensor.min() == tensor.max():
            tensor.uniform_(0.5, 1.5)
    return module


def _supernet(trial: Trial) -> Supernet:
    net = _stirred(Supernet(trial.space)).double()
    assert isinstance(net, Supernet)
    return net


def _members(space: Space) -> list[NetSpec]:
    return [*space.members(random.Random(0), MEMBERS), space.smallest(), space.largest()]


def _images(spec: NetSpec) -> Tensor:
    return torch.randn(BATCH, spec.in_chans, *spec.size, dtype=torch.double)


def _words(spec: NetSpec) -> str:
    return f"the network of {', '.join(map(str, spec.stages[0].blocks))} at width {spec.stages[0].width}"


def _close(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool((one - other).abs().max() <= TOLERANCE * other.abs().max())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.try_block", description="Whether a kind of block keeps what is asked of every kind."
    )
    parser.add_argument(
        "block", metavar="BLOCK", help="an entry of a space file, such as '{kind: conv, kernel: [3, 7]}'"
    )
    parser.add_argument("--widths", type=positive, nargs="+", default=[16, 24], help="of the stage (16 24)")
    parser.add_argument(
        "--sizes", type=positive, nargs="+", default=[8, 9], help=f"sides of the map, from {LEAST} on (8 9)"
    )
    args = parser.parse_args(arguments)
    return run_safely(lambda: try_block(args.block, args.widths, args.sizes))


if __name__ == "__main__":
    sys.exit(main())
