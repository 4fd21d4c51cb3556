"""A Core ML package as a folder that depends on nothing but what is in it: the same module gives the same bytes.

coremltools draws a random identifier for each file, writes the date, and leaves the order of maps to chance.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supernet.values import first_line, printable, show

from .errors import PackageError
from .files import content_hash
from .quiet import coremltools

DATA, AUTHOR = "Data", "com.apple.CoreML"
MODEL, WEIGHTS = f"{AUTHOR}/model.mlmodel", f"{AUTHOR}/weights"
MANIFEST = "Manifest.json"
_DATE = "com.github.apple.coremltools.conversion_date"
_NAMES = uuid.UUID("6f5f4c1e-2a53-4f0e-9d43-0c8f6f1b7a11")


def package_hash(path: str | Path) -> str:
    """SHA-256 of the names and contents in a package: equal for equal modules, in any process."""
    return content_hash(package_folder(path))


def package_folder(path: str | Path) -> Path:
    path = Path(path)
    if not path.exists():
        raise PackageError(f"{printable(str(path))}: there is no such package")
    if not is_package(path):
        raise PackageError(f"{printable(str(path))} is no Core ML package: it has no {MANIFEST}")
    return path


def is_package(path: Path) -> bool:
    return path.is_dir() and (path / MANIFEST).is_file()


def read_model(path: str | Path) -> Any:
    """The model of a package as coremltools' protobuf message. Nothing of it is executed."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    file = model_file(path)
    model = coremltools().proto.Model_pb2.Model()
    try:
        model.ParseFromString(file.read_bytes())
    except DecodeError as error:
        raise PackageError(f"{printable(str(path))}: {file.name} is damaged: {first_line(error)}") from None
    return model


def model_file(path: str | Path) -> Path:
    """What the manifest calls the root, which must lie inside the package."""
    folder = package_folder(path)
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        name = manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise PackageError(f"{printable(str(path))}: its {MANIFEST} is damaged") from None
    file = (folder / DATA / str(name)).resolve()
    if not file.is_relative_to(folder.resolve()) or not file.is_file():
        raise PackageError(f"{printable(str(path))}: the model that its {MANIFEST} names is missing")
    return file


def main_function(model: Any, path: str | Path) -> tuple[Any, Any]:
    """The function that runs when none is asked for, and its block."""
    name = model.description.defaultFunctionName or "main"
    if model.WhichOneof("Type") != "mlProgram" or name not in model.mlProgram.functions:
        raise PackageError(f"{printable(str(path))} holds no ML program with a function {show(name)}")
    function = model.mlProgram.functions[name]
    block = function.block_specializations.get(function.opset)
    if block is None or not block.outputs:
        raise PackageError(f"{printable(str(path))}: its function {show(name)} has no outputs")
    return function, block


@dataclass(frozen=True)
class Credits:
    """What Xcode shows of a package; empty texts are left out."""

    author: str = ""
    licence: str = ""
    description: str = ""


NO_CREDITS = Credits()


def make_stable(package: Path, target: Path, metadata: Mapping[str, str], credits_: Credits = NO_CREDITS) -> None:
    """From a package of coremltools one in the folder `target`, with this metadata added."""
    model, data = read_model(package), target / DATA
    shown = model.description.metadata
    shown.author, shown.license, shown.shortDescription = credits_.author, credits_.licence, credits_.description
    own = shown.userDefined
    own.pop(_DATE, None)
    own.update(metadata)
    (data / AUTHOR).mkdir(parents=True)
    (data / MODEL).write_bytes(model.SerializeToString(deterministic=True))
    items = {MODEL: "CoreML Model Specification"}
    if (package / DATA / WEIGHTS).is_dir():
        items[WEIGHTS] = "CoreML Model Weights"
        shutil.move(package / DATA / WEIGHTS, data / WEIGHTS)
    entries = {
        str(uuid.uuid5(_NAMES, name)): {
            "author": AUTHOR,
            "description": description,
            "name": name.rpartition("/")[2],
            "path": name,
        }
        for name, description in items.items()
    }
    manifest = {
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": entries,
        "rootModelIdentifier": str(uuid.uuid5(_NAMES, MODEL)),
    }
    (target / MANIFEST).write_text(json.dumps(manifest, indent=4) + "\n", encoding="utf-8")
