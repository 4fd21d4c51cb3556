"""What things are called in a supernet: its tensors, and the axes along which their channels lie."""

from __future__ import annotations

from dataclasses import dataclass

from ..pieces import BlockPiece, Piece
from ..space import Space


@dataclass(frozen=True)
class Naming:
    share: tuple[tuple[str, ...], ...]
    """For each stage, the branches that all kinds of a slot have in common."""
    streams: tuple[str, ...]
    """For each stage, where its feature map's channels come from: a stage without downsample goes on with others'."""
    norm_per_width: bool

    def prefix(self, piece: Piece, branch: str) -> str:
        """Of the tensors of a branch: kinds of a slot have their own, unless the stage shares the branch."""
        if isinstance(piece, BlockPiece) and branch not in self.share[piece.stage]:
            return f"{piece.path}.{piece.block.kind_name()}"
        return piece.path

    def tensor(self, piece: Piece, parameter: str, norm_width: int | None) -> str:
        """`norm_width` is the number of channels of a batch norm, None for any other layer."""
        suffix = f"@{norm_width}" if self.norm_per_width and norm_width is not None else ""
        return f"{self.prefix(piece, parameter.partition('.')[0])}.{parameter}{suffix}"

    def axis(self, piece: Piece, path: str, label: str) -> str:
        """Of a label that a kind of part gave its submodule at `path`."""
        if label in piece.streams:
            stream = piece.streams[label]
            return self.streams[int(stream.rpartition(".")[2])] if stream != "stem" else "stem"
        branch = path.partition(".")[0] if isinstance(piece, BlockPiece) else ""
        return f"{self.prefix(piece, branch)}{'.' if branch else ''}{branch}|{label}"


def naming(space: Space, norm_per_width: bool) -> Naming:
    streams: list[str] = []
    for index, stage in enumerate(space.stages):
        streams.append(f"stages.{index}" if stage.downsample is not None else (streams[-1] if streams else "stem"))
    return Naming(tuple(stage.share for stage in space.stages), tuple(streams), norm_per_width)
