"""The files that come with the project: networks, spaces, runs. A name finds one of them, a path any file."""

from __future__ import annotations

from pathlib import Path

from .values import SpecError, did_you_mean, show


def _configs() -> Path:
    """`configs/` beside the package in a checkout, or inside an installed package."""
    package = Path(__file__).parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


CONFIGS = _configs()


def names_in(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.yaml"))


def find_file(name_or_path: str | Path, folder: Path, what: str) -> Path:
    """The file of a name in `folder`, or any file. What has a slash or ends in .yaml or .yml is a file."""
    if not isinstance(name_or_path, str | Path):
        raise TypeError(f"expected a name or a path of a {what}, not {show(name_or_path)}")
    path, names = Path(name_or_path), names_in(folder)
    is_path = isinstance(name_or_path, Path) or any(mark in name_or_path for mark in "/\\")
    if not is_path and name_or_path in names:
        return folder / f"{name_or_path}.yaml"
    try:
        exists = path.exists() and bool(str(name_or_path))
    except (OSError, ValueError) as error:
        raise SpecError("", f"can't be a file: {getattr(error, 'strerror', None) or error}") from None
    if exists and (is_path or not path.is_dir()):
        return path
    if is_path or path.suffix.lower() in (".yaml", ".yml"):
        raise SpecError("", "there is no such file")
    if not names:
        raise SpecError("", f"no {what}s are installed: {folder} is missing")
    raise SpecError("", f"no {what} has this name, {did_you_mean(path, names)}")
