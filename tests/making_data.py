"""Small data sets of every kind on disk, of random pixels that PNG keeps exactly."""

import io
import json
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

SIDE = 8


def pixels_of(number):
    return np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def png(number):
    file = io.BytesIO()
    Image.fromarray(pixels_of(number)).save(file, "PNG")
    return file.getvalue()


def write_parquet(path, labels, first=0, broken=(), names=None, raw=False, row_group_size=None):
    """Image `first + i` has labels[i]; those in `broken` are no images."""
    images = [b"no image" if i in broken else png(first + i) for i in range(len(labels))]
    if not raw:
        images = [{"bytes": image, "path": None} for image in images]
    table = pa.table({"image": images, "label": labels})
    if names:
        features = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
    pq.write_table(table, path, row_group_size=row_group_size)


def write_numbered(directory, train=40, validation=6, broken=()):
    """Every image is a class of its own, so that a label says which image it is."""
    directory.mkdir(exist_ok=True)
    write_parquet(directory / "train.parquet", list(range(train)), broken=broken)
    write_parquet(directory / "validation.parquet", list(range(validation)), first=1000)
    return directory


def write_tar(path, files):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def write_classes(kind, root, split, chosen):
    """`chosen` are pairs of a class name and a number of an image."""
    files = {f"{name}/{number}.png": png(number) for name, number in chosen}
    if kind == "folder":
        for name, content in files.items():
            path = root / split / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    elif kind == "one tar":
        write_tar(root / f"{split}.tar", files)
    elif kind == "tar for each class":
        for name in {name for name, _ in chosen}:
            own = {f"{number}.png": png(number) for other, number in chosen if other == name}
            write_tar(root / split / f"{name}.tar", own)
    elif kind == "tars in a tar":
        inside = {}
        for name in sorted({name for name, _ in chosen}):
            path = root / "made" / f"{name}.tar"
            write_tar(path, {f"{number}.png": png(number) for other, number in chosen if other == name})
            inside[path.name] = path.read_bytes()
        write_tar(root / f"{split}.tar", inside)
    else:
        raise AssertionError(kind)


def write_shards(root, split, labels, first=0, per_shard=4, form="cls"):
    for start in range(0, len(labels), per_shard):
        files = {"__notes__.json": b"{}"}
        for i in range(start, min(start + per_shard, len(labels))):
            files[f"deep/{i:04}.png"] = png(first + i)
            if form == "cls":
                files[f"deep/{i:04}.cls"] = b"%d\n" % labels[i]
            files[f"deep/{i:04}.json"] = json.dumps({"label": labels[i], "other": -7}).encode()
        write_tar(root / f"{split}-{start // per_shard:03}.tar", files)
