"""What was found about one model, as values that files, pictures and tables are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from supernet.values import printable

from ..evaluation import Scores
from .models import Model
from .scores import Confused, Confusion
from .throughput import Throughput


class ClassRow(NamedTuple):
    """How one class did; `top1` and `share` in percent of its images. Without a mistake there is no `mistaken_for`."""

    number: int
    name: str
    images: int
    top1: float | None
    mistaken_for: str
    share: float | None


@dataclass(frozen=True)
class Report:
    model: Model
    scores: Scores
    confusion: Confusion
    throughput: Throughput
    names: tuple[str, ...]
    """Of the classes, fit for a line of text."""
    settings: dict[str, Any]
    """Which images, how they were cut, in which numbers the network ran."""

    def classes(self) -> list[ClassRow]:
        """By number."""
        worst: dict[int, Confused] = {}
        for pair in self.confusion.mistakes():
            worst.setdefault(pair.label, pair)
        rows = []
        images, right = self.confusion.images(), self.confusion.right()
        for number, name in enumerate(self.names):
            count = int(images[number])
            mistake = worst.get(number)
            rows.append(
                ClassRow(
                    number,
                    name,
                    count,
                    100 * int(right[number]) / count if count else None,
                    self.names[mistake.answer] if mistake else "",
                    100 * mistake.images / count if mistake else None,
                )
            )
        return rows

    def row(self) -> dict[str, Any]:
        """As a line of the table of all models."""
        model, (height, width) = self.model, self.model.size
        return {
            "model": printable(model.name),
            "top-1 %": round(self.scores.top1, 3),
            "top-5 %": round(self.scores.top5, 3),
            "loss": round(self.scores.loss, 5),
            "params M": round(model.params / 1e6, 4),
            "MACs M": None if model.macs is None else round(model.macs / 1e6, 3),
            "size px": height if height == width else f"{height}x{width}",
            "images/s": round(self.throughput.images_per_second, 1),
        }

    def figures(self) -> dict[str, Any]:
        """All of it but the classes, plain."""
        model, speed = self.model, self.throughput
        return {
            "model": printable(model.name),
            "weights": printable(model.weights),
            "top1": round(self.scores.top1, 4),
            "top5": round(self.scores.top5, 4),
            "loss": round(self.scores.loss, 6),
            "images": self.scores.images,
            "classes": model.num_classes,
            "mean_class_top1": self._mean_class_top1(),
            "params_m": round(model.params / 1e6, 6),
            "macs_m": None if model.macs is None else round(model.macs / 1e6, 6),
            "size": list(model.size),
            "throughput": {
                "images_per_second": round(speed.images_per_second, 2),
                "spread": round(speed.spread, 4),
                "batch_size": speed.batch_size,
                "rounds": [round(one, 2) for one in speed.rounds],
            },
            "mean": list(model.mean),
            "std": list(model.std),
            "interpolation": model.interpolation,
        } | self.settings

    def _mean_class_top1(self) -> float:
        """Each class counts the same, however many images it has."""
        known = [row.top1 for row in self.classes() if row.top1 is not None]
        return round(sum(known) / len(known), 4)
