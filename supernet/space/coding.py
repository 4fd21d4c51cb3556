"""From a code to the network it stands for, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..spec import NetSpec
from ..stages import Stage
from ..values import SpecError, show
from .choices import PartSpace
from .genes import Fields
from .placement import EMPTY, Placement

if TYPE_CHECKING:
    from .space import Space, StageSpace

Code = tuple[int, ...]


def checked(space: Space, code: Sequence[int]) -> Sequence[int]:
    """The code in Python's own numbers, or a SpecError that says what is wrong with it."""
    layout = space.layout
    if len(code) != len(layout.choices):
        raise SpecError("code", f"{len(code)} numbers are not {len(layout.choices)}, one for each gene of the space")
    for gene, (value, choices) in enumerate(zip(code, layout.choices, strict=True)):
        if not 0 <= value < choices or int(value) != value:
            name = layout.genes[gene].name
            raise SpecError("code", f"{value} is not a whole number from 0 to {choices - 1}, the choices of {name}")
    code = [int(value) for value in code]
    for index, stage in enumerate(space.stages):
        placement = placement_of(space, code, index)
        if not stage.placements.allows(placement):
            raise SpecError(f"stages[{index}]", _not_allowed(space, index, placement))
    return code


def decode(space: Space, code: Sequence[int]) -> NetSpec:
    """The network of a code that is known to be right."""
    layout = space.layout
    stem = _options(space, ("stem",), space.stem, layout.stem, code, 0)
    width, stages = stem.width, []
    for index, (stage, genes) in enumerate(zip(space.stages, layout.stages, strict=True)):
        width = stage.widths[_at(code, genes.width)] if stage.widths else width
        placement = placement_of(space, code, index)
        filled = [(slot, kind) for slot, kind in enumerate(placement) if kind != EMPTY]
        blocks = tuple(
            _options(space, (index, kind), stage.kinds[kind].part, genes.fields[slot][kind], code, width)
            for slot, kind in filled
        )
        down = None
        if stage.downsample is not None:
            down = _options(space, (index, "downsample"), stage.downsample, genes.downsample, code, width)
        slots = tuple(slot for slot, _ in filled)
        stages.append(
            Stage(width=width, blocks=blocks, downsample=down, position_table=stage.position_table, slots=slots)
        )
    return NetSpec(
        family=space.family,
        stem=stem,
        stages=tuple(stages),
        head=_options(space, ("head",), space.head, layout.head, code, 0),
        resolution=space.resolutions[_at(code, layout.resolution)],
        in_chans=space.in_chans,
        num_classes=space.num_classes,
        distilled=space.distilled,
    )


def _options(
    space: Space, where: tuple[Any, ...], part: PartSpace, fields: Fields, code: Sequence[int], width: int
) -> Any:
    """Made once for each place and choice: equal blocks are then the same object."""
    chosen = tuple([code[gene] for gene in fields.values()])
    key = (where, width, chosen)
    found = space.made.get(key)
    if found is None:
        found = space.made[key] = part.options(dict(zip(fields, chosen, strict=True)), width)
    return found


def encode(space: Space, spec: NetSpec) -> Code:
    """The code of a network; SpecError says where it is not of this space. Genes with nothing to say are 0."""
    layout = space.layout
    code = [0] * len(layout.genes)
    for field in ("family", "in_chans", "num_classes", "distilled"):
        if getattr(spec, field) != getattr(space, field):
            raise SpecError(
                field, f"{show(getattr(spec, field))} is not {show(getattr(space, field))}, as in the space"
            )
    _set(code, layout.resolution, _index("resolution", spec.resolution, space.resolutions))
    _write(code, "stem", space.stem, layout.stem, spec.stem, 0)
    if len(spec.stages) != len(space.stages):
        raise SpecError("stages", f"{len(spec.stages)} stages are not {len(space.stages)}, as in the space")
    for index, stage in enumerate(spec.stages):
        try:
            _encode_stage(space, code, index, stage)
        except SpecError as error:
            raise error.under(f"stages[{index}]") from None
    _write(code, "head", space.head, layout.head, spec.head, 0)
    return tuple(code)


def _encode_stage(space: Space, code: list[int], index: int, stage: Stage) -> None:
    ours, genes = space.stages[index], space.layout.stages[index]
    if (stage.downsample is None) != (ours.downsample is None):
        rule = "there is none; the space has one here" if ours.downsample else "the space has none here"
        raise SpecError("downsample", rule)
    if ours.widths:
        _set(code, genes.width, _index("width", stage.width, ours.widths))
    if stage.downsample is not None and ours.downsample is not None:
        _write(code, "downsample", ours.downsample, genes.downsample, stage.downsample, stage.width)
    if stage.position_table != ours.position_table:
        raise SpecError("position_table", f"{stage.position_table} is not {ours.position_table}, as in the space")
    if len(stage.blocks) not in ours.depths:
        raise SpecError("blocks", _wrong_depth(ours, len(stage.blocks)))
    placement = [EMPTY] * len(genes.kinds)
    names = [kind.part.name for kind in ours.kinds]
    for position, (slot, block) in enumerate(zip(stage.block_slots, stage.blocks, strict=True)):
        path = f"blocks[{position}]"
        if slot >= len(placement):
            raise SpecError(path, f"slot {slot} is not one of the {len(placement)} of the space, counted from 0")
        number = placement[slot] = _index(f"{path}.kind", block.kind_name(), names)
        _write(code, path, ours.kinds[number].part, genes.fields[slot][number], block, stage.width)
    if not ours.placements.allows(placement):
        raise SpecError("blocks", _not_allowed(space, index, placement))
    set_placement(space, code, index, placement)


def placement_of(space: Space, code: Sequence[int], index: int) -> Placement:
    """The kind in each slot of a stage."""
    stage, genes = space.stages[index], space.layout.stages[index]
    if stage.drop_anywhere:
        return tuple([_at(code, gene) - 1 for gene in genes.kinds])
    depth = stage.depths[_at(code, genes.depth)]
    return tuple([_at(code, gene) if slot < depth else EMPTY for slot, gene in enumerate(genes.kinds)])


def set_placement(space: Space, code: list[int], index: int, placement: Sequence[int]) -> None:
    stage, genes = space.stages[index], space.layout.stages[index]
    if not stage.drop_anywhere:
        _set(code, genes.depth, stage.depths.index(depth_of(placement)))
    for gene, kind in zip(genes.kinds, placement, strict=True):
        _set(code, gene, kind + 1 if stage.drop_anywhere else max(kind, 0))


def depth_of(placement: Sequence[int]) -> int:
    return len(placement) - placement.count(EMPTY)


def active(space: Space, code: Sequence[int]) -> list[int]:
    """The genes that have something to say in this code."""
    layout = space.layout
    found = [layout.resolution, *layout.stem.values(), *layout.head.values()]
    for index, genes in enumerate(layout.stages):
        found += [genes.width, genes.depth, *genes.downsample.values()]
        for slot, kind in enumerate(placement_of(space, code, index)):
            if kind != EMPTY or space.stages[index].drop_anywhere:
                found.append(genes.kinds[slot])
            if kind != EMPTY:
                found += genes.fields[slot][kind].values()
    return sorted({gene for gene in found if gene is not None})


def canonical(space: Space, code: Sequence[int]) -> Code:
    """The code with 0 for each gene that has nothing to say: equal networks have equal ones."""
    found = [0] * len(code)
    for gene in active(space, code):
        found[gene] = code[gene]
    return tuple(found)


def _not_allowed(space: Space, index: int, placement: Sequence[int]) -> str:
    """Which rule of the stage a placement breaks."""
    stage = space.stages[index]
    held = [slot for slot, kind in enumerate(placement) if kind != EMPTY]
    if len(held) not in stage.depths:
        return _wrong_depth(stage, len(held))
    if not stage.drop_anywhere and held != list(range(len(held))):
        return f"they stand in the slots {held}; in the space, only the last slots are empty"
    for number, kind in enumerate(stage.kinds):
        slots = [slot for slot, held_kind in enumerate(placement) if held_kind == number]
        fewest, most = kind.rule.blocks
        wrong = [slot for slot in slots if slot not in kind.rule.slots]
        if wrong:
            return f"{kind.part.name} can't stand in slot {wrong[0]}, only in {', '.join(map(str, kind.rule.slots))}"
        if not fewest <= len(slots) <= most:
            return f"{len(slots)} blocks of {kind.part.name} are not from {fewest} to {most}, as in the space"
    raise AssertionError(f"{placement} is allowed")


def _wrong_depth(stage: StageSpace, number: int) -> str:
    return f"{number} blocks are not one of {', '.join(map(str, stage.depths))}, as in the space"


def _at(code: Sequence[int], gene: int | None) -> int:
    return 0 if gene is None else code[gene]


def _set(code: list[int], gene: int | None, value: int) -> None:
    if gene is not None:
        code[gene] = value


def _index(path: str, value: Any, values: Sequence[Any]) -> int:
    if value not in values:
        known = f"one of {', '.join(map(str, values))}" if len(values) > 1 else str(*values) or "there"
        raise SpecError(path, f"{show(value)} is not {known}, as in the space")
    return values.index(value)


def _write(code: list[int], path: str, part: PartSpace, fields: Fields, options: Any, width: int) -> None:
    try:
        choices = part.choices(options, width)
    except SpecError as error:
        raise error.under(path) from None
    for field, gene in fields.items():
        code[gene] = choices[field]
