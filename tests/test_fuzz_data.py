"""1,000 damaged files of each kind that images come in."""

import io
import warnings

import numpy as np
import pytest
from making_data import png, write_classes, write_parquet, write_shards, write_tar
from mutations import damaged_bytes, survives
from PIL import Image

from supernet.values import UserError
from training.config import AugmentConfig, DataConfig
from training.data import open_data

AUGMENT = AugmentConfig(crop="pad", flip=0)


def read_all(path, source, unreadable_limit=50):
    config = DataConfig(
        source=source, path=str(path), batch_size=2, eval_batch_size=8, workers=0, unreadable_limit=unreadable_limit
    )
    data = open_data(config, AUGMENT, seed=0)
    for images, labels in data.validation_batches((8, 8)):
        assert images.isfinite().all()
        assert len(images) == len(labels)


def tar_of_classes(folder):
    for split in ("train", "validation"):
        write_tar(folder / f"{split}.tar", {f"{name}/{i}.png": png(i) for i, name in enumerate("aabb")})


def shards(folder):
    for split in ("train", "validation"):
        write_shards(folder, split, [0, 1, 1], form="json")


def parquet(folder):
    for split in ("train", "validation"):
        write_parquet(folder / f"{split}.parquet", [0, 1, 1], names=["a", "b"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "write"),
    [("tar", tar_of_classes), ("webdataset", shards), ("parquet", parquet)],
)
def test_damaged_data_sets(tmp_path, source, write):
    write(tmp_path)
    (path,) = tmp_path.glob("validation*")
    whole = path.read_bytes()

    def make(draw):
        path.write_bytes(damaged_bytes(whole, draw))
        return tmp_path

    survives(lambda folder: read_all(folder, source), make, UserError).check()


@pytest.mark.slow
def test_damaged_images(tmp_path):
    """Formats that people have; those of nobody are Pillow's."""
    wholes = []
    for kind in ("PNG", "JPEG", "WEBP", "BMP", "TIFF"):
        file = io.BytesIO()
        Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(file, kind)
        wholes.append(file.getvalue())
    for split in ("train", "validation"):
        write_classes("folder", tmp_path, split, [("a", 0), ("b", 1), ("b", 2)])
    damaged = tmp_path / "validation/a/0.png"

    def make(draw):
        damaged.write_bytes(damaged_bytes(draw.choice(wholes), draw))
        return tmp_path

    def read(folder):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of strange metadata
            read_all(folder, "folder", unreadable_limit=0)

    survives(read, make, UserError).check()


def test_an_image_that_is_a_line_is_not_read(tmp_path):
    for split in ("train", "validation"):
        write_classes("folder", tmp_path, split, [("a", 0), ("b", 1), ("b", 2)])
    Image.new("RGB", (100_000, 1)).save(tmp_path / "validation/a/0.png")
    with pytest.raises(UserError, match=r"a/0\.png: OSError: 100000 x 1 pixels"):
        read_all(tmp_path, "folder", unreadable_limit=0)
