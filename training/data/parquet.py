"""Hugging Face parquet files on disk: an image column of structs {bytes, path} or of bytes, and a label column.

Small sets are kept in memory as the compressed images they are. Of larger ones a row group is read for every image,
because parquet has no access to a single row.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from supernet.values import SpecError, did_you_mean, printable, show

from .sources import DataError, class_numbers

IN_MEMORY_BYTES = 2**30
"""Sets up to this size are kept in memory."""

logger = logging.getLogger("training")


class Parquet:
    """One split of one or several files, in the order of their names."""

    def __init__(
        self, files: Sequence[Path], field: str, image_key: str, label_key: str, in_memory_bytes: int = IN_MEMORY_BYTES
    ) -> None:
        self._files = [str(path) for path in files]
        groups: list[tuple[int, int]] = []
        rows, labels, num_bytes = [0], [], 0
        columns: list[str] = []
        names: tuple[str, ...] = ()
        for number, path in enumerate(self._files):
            file = _open(path)
            columns.append(column := _image_column(file, path, image_key))
            _check_column(file, path, "data.label_key", label_key)
            names = names or _class_names(file, label_key)
            labels.append(_read(path, file.read, columns=[label_key], use_threads=False)[label_key])
            for group in range(file.num_row_groups):
                metadata = file.metadata.row_group(group)
                chunks = (metadata.column(i) for i in range(metadata.num_columns))
                num_bytes += sum(c.total_uncompressed_size for c in chunks if c.path_in_schema == column)
                rows.append(rows[-1] + metadata.num_rows)
                groups.append((number, group))
        if not rows[-1]:
            raise SpecError(field, f"no rows in {printable(', '.join(self._files))}")
        self._columns = columns
        self._groups, self._first_rows = groups, np.array(rows)
        self.labels, self.classes = _labels(labels, label_key, names)
        self._kept: list[Any] | None = None
        if num_bytes <= in_memory_bytes:
            self._kept = [_read_group(self._files[number], group, columns[number]) for number, group in groups]
        else:
            per_group = num_bytes / max(1, len(groups)) / 2**20
            logger.warning(
                "the images of %s are %.1f GiB: for each one a row group (%.1f MiB on average) is read; the same "
                "images as source folder or webdataset are read faster",
                printable(self._files[0]),
                num_bytes / 2**30,
                per_group,
            )

    def read(self, index: int) -> memoryview:
        group, row = self._place(index)
        if self._kept is not None:
            images = self._kept[group]
        else:
            number, inside = self._groups[group]
            images = _cached_group(self._files[number], inside, self._columns[number])
        content = images[row].as_buffer()
        if content is None:
            raise OSError("has no bytes")
        return memoryview(content)

    def name(self, index: int) -> str:
        group, row = self._place(index)
        number, inside = self._groups[group]
        row += sum(
            int(self._first_rows[g + 1] - self._first_rows[g])
            for g, (other, earlier) in enumerate(self._groups)
            if other == number and earlier < inside
        )
        return f"{self._files[number]} row {row}"

    def _place(self, index: int) -> tuple[int, int]:
        group = int(np.searchsorted(self._first_rows, index, side="right")) - 1
        return group, int(index - self._first_rows[group])


def _open(path: str) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(f"{printable(path)} can't be read as parquet: {' '.join(str(error).split())[:200]}") from None


def _read(path: str, method: Any, *args: Any, **kwargs: Any) -> Any:
    """What pyarrow reads, its errors as OSError: a damaged page is known only when it is decompressed."""
    import pyarrow as pa

    try:
        return method(*args, **kwargs)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise OSError(f"{printable(path)} is damaged: {' '.join(str(error).split())[:200]}") from None


def _check_column(file: Any, path: str, field: str, name: str) -> Any:
    schema = file.schema_arrow
    if name not in schema.names:
        raise SpecError(field, f"{show(name)} is no column of {printable(path)}, {did_you_mean(name, schema.names)}")
    return schema.field(name).type


def _image_column(file: Any, path: str, image_key: str) -> str:
    """The path of the column with the bytes."""
    import pyarrow.types as types

    kind = _check_column(file, path, "data.image_key", image_key)
    if types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind, image_key = kind.field("bytes").type, f"{image_key}.bytes"
    if not (types.is_binary(kind) or types.is_large_binary(kind)):
        raise SpecError(
            "data.image_key", f"{show(image_key)} of {printable(path)} is {kind}, not the bytes of an image"
        )
    return image_key


def _class_names(file: Any, label_key: str) -> tuple[str, ...]:
    """From the metadata that the Hugging Face library writes; empty if there are none."""
    metadata = (file.schema_arrow.metadata or {}).get(b"huggingface", b"{}")
    try:
        names = json.loads(metadata)["info"]["features"][label_key]["names"]
    except (ValueError, KeyError, TypeError):  # written by another tool: the labels themselves are enough
        return ()
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _labels(columns: Sequence[Any], label_key: str, names: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    import pyarrow as pa
    import pyarrow.types as types

    labels = pa.chunked_array([chunk for column in columns for chunk in column.chunks], type=columns[0].type)
    if labels.null_count:
        raise SpecError(
            "data.label_key", f"{show(label_key)} is missing in {labels.null_count:,} of {len(labels):,} rows"
        )
    if types.is_integer(labels.type):
        return labels.to_numpy().astype(np.int64), names
    if types.is_string(labels.type) or types.is_large_string(labels.type):
        return class_numbers(labels.to_pylist())
    raise SpecError("data.label_key", f"{show(label_key)} is {labels.type}: expected whole numbers or names")


def _read_group(path: str, group: int, column: str) -> Any:
    """The bytes of a row group's images as one array. Threads of Arrow's would not survive in a forked worker."""
    import pyarrow as pa

    file = _open(path)
    table = _read(path, file.read_row_group, group, columns=[column], use_threads=False)
    chunks = [c.flatten()[0] if isinstance(c, pa.StructArray) else c for c in table.column(0).chunks]
    if len(chunks) == 1:
        return chunks[0]
    return pa.concat_arrays([chunk.cast(pa.large_binary()) for chunk in chunks])  # together more than 2 GiB


_cached_group = functools.lru_cache(maxsize=2)(_read_group)
