"""Xcode's performance reports (`.mlperf`): latencies that somebody measured by hand. What tells a person's phone from
another of its kind (serial number, identifier, name) is not read.

Two versions are known: that of Xcode 14 and 15, and that of Xcode 16 and newer, which also has every operation with its
device and its share of the cost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec

from supernet.values import SpecError, first_line, printable

LARGEST_BYTES = 2**28
LARGEST_WEIGHT = 1e9  # they are shares of 1
COMPUTE_UNITS = ("cpu_only", "cpu_and_gpu", "all", "cpu_and_ne")
"""By Core ML's number."""
_DEVICES = {"neuralEngine": "neural_engine", "gpu": "gpu", "cpu": "cpu"}

Seconds = Annotated[float, msgspec.Meta(gt=0, le=1e5)]


@dataclass(frozen=True)
class MlperfReport:
    model: str
    """The file's name, without folders. A report's own name is not taken for it: Xcode puts the phone's name there."""
    device_model: str
    os: str
    compute_units: str
    predict_ms: tuple[float, ...]
    load_ms: tuple[float, ...]
    compile_ms: tuple[float, ...]
    num_operations: int | None
    operations: dict[str, int] | None
    """Numbers by device (neural_engine, gpu, cpu, unknown), constants left out. None where the report has no list."""
    cost: dict[str, float] | None
    """Shares of the estimated time by device."""


class _Samples(msgspec.Struct):
    samples: tuple[Seconds, ...] = ()
    numOperations: int | None = None  # noqa: N815  Xcode's name


class _Results(msgspec.Struct):
    predict: _Samples
    load: _Samples = msgspec.field(default_factory=_Samples)
    compile: _Samples = msgspec.field(default_factory=_Samples)
    modelStructure: Any = None  # noqa: N815


class _DeviceInfo(msgspec.Struct):
    modelName: str  # noqa: N815
    osNameAndVersionWithoutBuildNumber: str  # noqa: N815


class _Metadata(msgspec.Struct):
    fileName: str = ""  # noqa: N815


class _Report(msgspec.Struct):
    deviceInfo: _DeviceInfo  # noqa: N815
    deviceResults: _Results  # noqa: N815
    computeUnit: Annotated[int, msgspec.Meta(ge=0, lt=len(COMPUTE_UNITS))]  # noqa: N815
    modelMetadata: _Metadata = msgspec.field(default_factory=_Metadata)  # noqa: N815
    modelStructure: Any = None  # noqa: N815


def read_mlperf(path: Path) -> MlperfReport:
    """Of a `.mlperf` folder, or of the report.json in it. SpecError where it is none."""
    file = path / "report.json" if path.is_dir() else path
    where = printable(str(path))
    try:
        if file.stat().st_size > LARGEST_BYTES:
            raise SpecError(where, f"has more than {LARGEST_BYTES:,} bytes")
        report = msgspec.json.decode(file.read_bytes(), type=_Report)
    except OSError as error:
        raise SpecError(where, f"is no performance report of Xcode: {file.name}: {error.strerror}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise SpecError(where, f"is no performance report of Xcode: {first_line(error)}") from None
    results = report.deviceResults
    if not results.predict.samples:
        raise SpecError(where, "has no predictions: the report was not finished")
    operations, cost = _by_device(results.modelStructure or report.modelStructure)
    return MlperfReport(
        model=printable((report.modelMetadata.fileName or "unknown").replace("\\", "/").rpartition("/")[2]),
        device_model=printable(report.deviceInfo.modelName),
        os=printable(report.deviceInfo.osNameAndVersionWithoutBuildNumber),
        compute_units=COMPUTE_UNITS[report.computeUnit],
        predict_ms=_ms(results.predict),
        load_ms=_ms(results.load),
        compile_ms=_ms(results.compile),
        num_operations=results.predict.numOperations,
        operations=operations,
        cost=cost,
    )


def _ms(part: _Samples) -> tuple[float, ...]:
    return tuple(1e3 * seconds for seconds in part.samples)


def _by_device(structure: Any) -> tuple[dict[str, int] | None, dict[str, float] | None]:
    count = dict.fromkeys((*_DEVICES.values(), "unknown"), 0)
    cost: dict[str, float] = {}
    for operation in _operations(structure):
        preferred = _dict(_dict(operation.get("deviceUsage")).get("preferred"))
        device = next((name for key, name in _DEVICES.items() if key in _dict(preferred.get("deviceType"))), "unknown")
        weight = _dict(operation.get("cost")).get("weight")
        count[device] += 1
        if isinstance(weight, int | float) and abs(weight) <= LARGEST_WEIGHT:
            cost[device] = cost.get(device, 0.0) + weight
    return (count, cost) if any(count.values()) else (None, None)


def _operations(structure: Any) -> Iterator[dict[str, Any]]:
    """Of all functions, also those in branches."""
    program = _dict(_dict(structure).get("program"))
    functions = _dict(_dict(program.get("_0", program)).get("functions"))
    waiting = [_dict(_dict(function).get("block")) for function in functions.values()]
    while waiting:
        entries = waiting.pop().get("operations")
        for operation in entries if isinstance(entries, list) else []:
            operation = _dict(operation)
            if operation and not str(operation.get("operatorName")).endswith("const"):
                yield operation
            inner = operation.get("blocks")
            waiting += [_dict(block) for block in inner] if isinstance(inner, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
