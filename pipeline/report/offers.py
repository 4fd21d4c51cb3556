"""The files that an app ships: how large they are, how far they are from the network, and how to know them again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deploy.files import content_bytes, content_hash
from search.costs import show
from search.problem import ACCURACY
from search.results.markup import text
from supernet.values import counted

from .found import Found
from .markup import link, section
from .reader import number

KINDS = {".mlpackage": "Core ML, for iPhones, iPads and Macs", ".onnx": "ONNX, for ONNX Runtime"}


def package_files(folder: Path) -> list[Path]:
    packages = folder / "packages"
    return sorted(one for one in packages.iterdir() if one.suffix in KINDS) if packages.is_dir() else []


def size_in_words(size: int) -> str:
    return f"{size / 1e6:.3g} MB" if size >= 1e6 else f"{size / 1e3:.3g} kB"


def offers(found: Found) -> str:
    files = package_files(found.reader.folder)
    if not files:
        return ""
    cards = "".join(_offer(found, file) for file in files)
    lede = "What an app ships. Each file was run on images and compared with the network that it was made from."
    return section("packages", "Packages", lede, f'<div class="offers">{cards}</div>', _card_of_model(found))


def _offer(found: Found, file: Path) -> str:
    said = found.reader.json(f"packages/{file.name}.json")
    rows = [("size", size_in_words(content_bytes(file)))]
    rows += _compared(said)
    figures = "".join(f'<tr><th scope="row">{text(name)}</th><td>{text(value)}</td></tr>' for name, value in rows)
    return (
        f'<div class="card"><h3>{link(f"packages/{file.name}", file.name)}</h3>{_verdict(said)}'
        f'<p class="note">{text(KINDS[file.suffix])}</p><table class="figures"><tbody>{figures}</tbody></table>'
        f'<p class="note">SHA-256 of what is in it</p><p class="hash">{content_hash(file)}</p></div>'
    )


def _verdict(said: dict[str, Any]) -> str:
    kind, words = ("unknown", "not compared yet")
    if said:
        kind, words = ("kept", "computes the same") if said.get("ok") is True else ("broken", "differs")
    return f'<p class="badges"><span class="badge {kind}">{words}</span></p>'


def _compared(said: dict[str, Any]) -> list[tuple[str, str]]:
    error, tolerance = number(said, "error"), number(said, "tolerance")
    images, same = number(said, "images"), number(said, "same_class")
    source, file = number(said, "source_top1"), number(said, "file_top1")
    rows = []
    if error is not None:
        rows.append(("largest difference", f"{error:.1e}"))
    if tolerance is not None:
        rows.append(("allowed", f"{tolerance:.0e}"))
    if images is not None:
        rows.append(("compared on", counted(int(images), str(said.get("what") or "image"))))
    if images is not None and same is not None:
        rows.append(("the same class", f"{same:,.0f} of {images:,.0f}"))
    if source is not None and file is not None:
        rows.append(("top-1 of these, network", show(ACCURACY, source)))
        rows.append(("top-1 of these, file", show(ACCURACY, file)))
    if said.get("other_class"):
        rows.append(("classes", str(said["other_class"])))
    return rows


def _card_of_model(found: Found) -> str:
    name = "packages/card/README.md"
    if not (found.reader.folder / name).is_file():
        return ""
    return f'<p class="note">{link(name, "The card of the model")}, with its weights and classes for others.</p>'
