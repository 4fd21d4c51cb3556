"""Every kind of data on disk gives back its exact pixels and labels, and says clearly what is wrong with it."""

import pickle

import numpy as np
import pyarrow.parquet as pq
import pytest
from making_data import SIDE, pixels_of, png, write_classes, write_numbered, write_parquet, write_shards, write_tar
from PIL import Image
from timm.data.readers.reader_image_in_tar import ReaderImageInTar

from supernet import SpecError
from training.config import AugmentConfig, DataConfig
from training.data import DataError, open_data
from training.data.parquet import Parquet
from training.data.shards import open_class_tars
from training.data.sources import Names

PLAIN = AugmentConfig(crop="none", flip=0, crop_pct=1, mean=(0, 0, 0), std=(1, 1, 1))
NAMES = ["ant", "bee2", "bee10"]
TRAIN = [(name, 10 * c + i) for c, name in enumerate(NAMES) for i in range(4)]
VALIDATION = [(name, 100 + c) for c, name in enumerate(NAMES)]


def opened(source, path, workers=0, **options):
    config = DataConfig(source=source, path=str(path), batch_size=4, eval_batch_size=5, workers=workers, **options)
    return open_data(config, PLAIN, seed=0)


def contents(batches):
    """The pixels of each image and its label, in a fixed order."""
    found = []
    for images, labels in batches:
        pixels = (images * 255).round().byte().permute(0, 2, 3, 1).numpy()
        found += [(image.tobytes(), int(label)) for image, label in zip(pixels, labels, strict=True)]
    return sorted(found)


def expected(numbers_and_labels):
    return sorted((pixels_of(number).tobytes(), label) for number, label in numbers_and_labels)


def check(data, train, validation):
    assert contents(data.calibration_batches((SIDE, SIDE), 10**6)) == expected(train)
    assert contents(data.validation_batches((SIDE, SIDE))) == expected(validation)
    assert contents(data.train_batches(0, 0, lambda step: (SIDE, SIDE))) == expected(train)


@pytest.mark.parametrize("kind", ["folder", "one tar", "tar for each class", "tars in a tar"])
def test_class_folders_and_tars(kind, tmp_path):
    write_classes(kind, tmp_path, "train", TRAIN)
    write_classes(kind, tmp_path, "validation", VALIDATION)
    data = opened("folder" if kind == "folder" else "tar", tmp_path)
    assert data.classes == tuple(NAMES), "counted as people count: bee2 before bee10"
    assert (data.num_classes, data.num_train, data.num_validation) == (3, 12, 3)
    check(data, *([(number, NAMES.index(name)) for name, number in split] for split in (TRAIN, VALIDATION)))


@pytest.mark.parametrize("kind", ["tar for each class", "tars in a tar", "one tar"])
def test_tars_are_labelled_as_timm_does(kind, tmp_path):
    write_classes(kind, tmp_path, "train", TRAIN)
    root = tmp_path / ("train" if kind == "tar for each class" else "train.tar")
    reader = ReaderImageInTar(str(root))
    timms = sorted((reader[i][0].read(), int(reader[i][1])) for i in range(len(reader)))
    ours = open_class_tars(sorted(root.glob("*.tar")) or [root], "data.train")
    assert sorted((ours.read(i), int(ours.labels[i])) for i in range(len(ours.labels))) == timms


@pytest.mark.parametrize("form", ["cls", "json"])
@pytest.mark.parametrize("workers", [0, 2])
def test_webdataset(form, workers, tmp_path):
    train, validation = [0, 1, 2] * 4, [2, 0, 1]
    write_shards(tmp_path, "train", train, form=form, per_shard=5)
    write_shards(tmp_path / "validation", "anything", validation, first=100, form=form)
    data = opened("webdataset", tmp_path, workers)
    assert (data.num_classes, data.classes) == (3, ())
    check(data, list(enumerate(train)), [(100 + i, label) for i, label in enumerate(validation)])


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("in_memory_bytes", [0, 10**9])
@pytest.mark.parametrize("raw", [False, True])
def test_parquet(raw, in_memory_bytes, workers, tmp_path, monkeypatch):
    monkeypatch.setattr("training.data.parquet.IN_MEMORY_BYTES", in_memory_bytes)
    train, validation = [0, 1, 2] * 4, [2, 0, 1]
    write_parquet(tmp_path / "train-0.parquet", train[:7], names=NAMES, raw=raw, row_group_size=3)
    write_parquet(tmp_path / "train-1.parquet", train[7:], first=7, names=NAMES, raw=raw, row_group_size=2)
    write_parquet(tmp_path / "validation.parquet", validation, first=100, names=NAMES, raw=raw)
    data = opened("parquet", tmp_path, workers)
    assert data.classes == tuple(NAMES)
    check(data, list(enumerate(train)), [(100 + i, label) for i, label in enumerate(validation)])


def test_parquet_names_its_rows_and_travels(tmp_path):
    write_parquet(tmp_path / "a.parquet", [0] * 5, row_group_size=2)
    write_parquet(tmp_path / "b.parquet", [0] * 5, first=5, row_group_size=2)
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for limit in (0, 10**9):
        source = pickle.loads(pickle.dumps(Parquet(files, "data.train", "image", "label", limit)))  # noqa: S301
        assert [source.name(i)[-15:] for i in (3, 5, 9)] == ["a.parquet row 3", "b.parquet row 0", "b.parquet row 4"]
        assert [bytes(source.read(i)) for i in range(10)] == [png(i) for i in range(10)]


def test_parquet_with_names_as_labels(tmp_path):
    write_parquet(tmp_path / "train.parquet", ["b", "a", "b", "c"])
    write_parquet(tmp_path / "validation.parquet", ["c", "b"], first=100)
    data = opened("parquet", tmp_path)
    assert data.classes == ("a", "b", "c")
    check(data, list(zip(range(4), [1, 0, 1, 2], strict=True)), [(100, 2), (101, 1)])


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    data = open_data(DataConfig(source="digits", batch_size=16, workers=0), PLAIN, seed=0)
    assert (data.num_classes, data.num_train + data.num_validation) == (10, 1797)
    digits = load_digits()
    batches = [*data.calibration_batches((8, 8), 10**6), *data.validation_batches((8, 8))]
    found = [
        ((image[0] * 16).round().int().flatten().tolist(), int(label))
        for images, labels in batches
        for image, label in zip(images, labels, strict=True)
    ]
    pixels = digits.images.astype(int).reshape(1797, 64).tolist()
    assert sorted(found) == sorted(zip(pixels, digits.target.tolist(), strict=True))
    _, labels = next(iter(data.validation_batches((8, 8))))
    assert labels.tolist() == digits.target[4::5][: len(labels)].tolist(), "every fifth is for validation"


def test_names_in_one_piece():
    names = ["", "a/ä.png", "x\udcff", "b"]
    packed = Names(names)
    assert list(packed) == names
    assert (packed[-1], packed[1:3], len(packed)) == ("b", names[1:3], 4)
    with pytest.raises(IndexError):
        packed[4]


def test_missing_directories_and_splits(tmp_path):
    with pytest.raises(SpecError, match=r"data.path: is missing"):
        opened("folder", "")
    with pytest.raises(SpecError, match=r"data.path: there is no .*nowhere"):
        opened("tar", tmp_path / "nowhere")
    write_numbered(tmp_path / "set")
    with pytest.raises(SpecError, match=r"data.path: .*train.parquet is a file"):
        opened("parquet", tmp_path / "set" / "train.parquet")
    with pytest.raises(
        SpecError, match=r"data.validation: 'val' is not in .*tried val.parquet, .*there is train.parquet"
    ):
        opened("parquet", tmp_path / "set", validation="val")
    with pytest.raises(SpecError, match=r"data.train: 'train' is not in .*: tried train/; there is train.parquet, "):
        opened("folder", tmp_path / "set")
    (tmp_path / "set" / "train").mkdir()
    with pytest.raises(SpecError, match=r"data.train: no images in the folders of .*looked for .png"):
        opened("folder", tmp_path / "set")
    (tmp_path / "set" / "train" / "1.png").write_bytes(png(1))
    with pytest.raises(SpecError, match=r"data.train: images lie in .* itself"):
        opened("folder", tmp_path / "set")
    with pytest.raises(SpecError, match=r"data.train: 'train' is not in .*tried train.tar, train-\*.tar"):
        opened("tar", tmp_path / "set")


def test_labels_and_classes_that_cant_be(tmp_path):
    write_parquet(tmp_path / "train.parquet", [0, 1, 2, 3, 1])
    write_parquet(tmp_path / "validation.parquet", [0, 4])
    with pytest.raises(
        SpecError, match=r"data.validation: .*validation.parquet row 1 has the label 4, .*4 classes: 0 to 3"
    ):
        opened("parquet", tmp_path)
    assert opened("parquet", tmp_path, num_classes=7).num_classes == 7
    with pytest.raises(SpecError, match=r"data.num_classes: 3 is too few: the training images have 4"):
        opened("parquet", tmp_path, num_classes=3)
    write_parquet(tmp_path / "validation.parquet", [0, -1])
    with pytest.raises(SpecError, match=r"row 1 has the label -1"):
        opened("parquet", tmp_path)
    write_parquet(tmp_path / "train.parquet", [0, 1, 1, 0], names=["cat", "dog"])
    write_parquet(tmp_path / "validation.parquet", [0, -1], names=["dog", "cat"])
    with pytest.raises(SpecError, match=r"data.validation: .*row 1 has the label -1"):
        opened("parquet", tmp_path)
    write_parquet(tmp_path / "validation.parquet", [0, 1], names=["dog", "cow"])
    with pytest.raises(
        SpecError, match=r"data.validation: its classes 'cow' are not among the 2 of the training images"
    ):
        opened("parquet", tmp_path)
    write_parquet(tmp_path / "validation.parquet", [0, 1], names=["dog", "cat"])
    ((_, labels),) = opened("parquet", tmp_path).validation_batches((8, 8))
    assert labels.tolist() == [1, 0], "a class has one number, that of the training images"


def test_columns_that_cant_be(tmp_path):
    write_numbered(tmp_path)
    with pytest.raises(SpecError, match=r"data.image_key: 'img' is no column of .*train.parquet, did you mean 'image'"):
        opened("parquet", tmp_path, image_key="img")
    with pytest.raises(SpecError, match=r"data.image_key: 'label' of .* is int64, not the bytes"):
        opened("parquet", tmp_path, image_key="label")
    with pytest.raises(SpecError, match=r"data.label_key: 'image' is struct"):
        opened("parquet", tmp_path, label_key="image")
    write_parquet(tmp_path / "train.parquet", [0, None, 1])
    with pytest.raises(SpecError, match=r"data.label_key: 'label' is missing in 1 of 3 rows"):
        opened("parquet", tmp_path)
    pq.write_table(pq.read_table(tmp_path / "validation.parquet").slice(0, 0), tmp_path / "train.parquet")
    with pytest.raises(SpecError, match=r"data.train: no rows in .*train.parquet"):
        opened("parquet", tmp_path)


def test_broken_containers(tmp_path):
    write_numbered(tmp_path)
    whole = (tmp_path / "train.parquet").read_bytes()
    (tmp_path / "train.parquet").write_bytes(whole[:-20])
    with pytest.raises(DataError, match=r"train.parquet can't be read as parquet"):
        opened("parquet", tmp_path)
    (tmp_path / "train.parquet").write_bytes(whole[:20] + bytes(len(whole) // 2) + whole[20 + len(whole) // 2 :])
    with pytest.raises(DataError, match=r"data.train: 'train' can't be read: .*train.parquet is damaged: "):
        opened("parquet", tmp_path)
    write_tar(tmp_path / "train.tar", {"a/1.png": png(1), "a/2.png": png(2)})
    whole = (tmp_path / "train.tar").read_bytes()
    (tmp_path / "train.tar").write_bytes(whole[:600])
    with pytest.raises(DataError, match=r"train.tar is damaged, or no plain tar"):
        opened("tar", tmp_path)


@pytest.mark.parametrize(
    ("files", "options", "error"),
    [
        ({"1.png": png(1), "1.txt": b"3"}, {}, r"data.label_key: .*sample '1' has no label: it has png, txt"),
        ({"1.cls": b"3"}, {}, r"data.image_key: .*sample '1' has no image: it has cls, not image or jpg"),
        ({"1.png": png(1), "1.cls": b"cat"}, {}, r"data.label_key: .*'cat' is neither a whole number nor JSON"),
        ({"1.png": png(1), "1.cls": b"1.5"}, {}, r"data.label_key: .*the label 1.5 is not a whole number"),
        ({"1.png": png(1), "1.json": b'{"a": 1}'}, {}, r"data.label_key: .*its JSON has no field 'label'"),
        (
            {"1.png": png(1), "1.cls": b"1"},
            {"label_key": "fine"},
            r"sample '1' has no label: it has cls, png, not fine",
        ),
        ({}, {}, r"data.train: no samples in"),
    ],
)
def test_samples_that_cant_be(files, options, error, tmp_path):
    write_tar(tmp_path / "train.tar", files)
    with pytest.raises(SpecError, match=error):
        opened("webdataset", tmp_path, **options)


def test_webdataset_takes_the_label_that_is_asked_for(tmp_path):
    files = {
        "1.png": png(1),
        "1.cls": b"1",
        "1.json": b'{"coarse": 5}',
        "2.png": png(2),
        "2.coarse": b"4",
        "2.cls": b"0",
    }
    for split in ("train", "validation"):
        write_tar(tmp_path / f"{split}.tar", files)
    config = DataConfig(source="webdataset", path=str(tmp_path), batch_size=1, workers=0, label_key="coarse")
    ((_, labels),) = open_data(config, PLAIN, seed=0).validation_batches((8, 8))
    assert labels.tolist() == [5, 4]


def test_images_become_rgb(tmp_path):
    """Grey, with a palette, with transparency, 16 bits, JPEG: what Pillow makes of them, as timm does."""
    made = {"L": np.uint8, "LA": np.uint8, "RGBA": np.uint8, "P": np.uint8, "CMYK": np.uint8}
    for split in ("train", "validation"):
        folder = tmp_path / split / "all"
        folder.mkdir(parents=True)
        for mode in made:
            image = Image.fromarray(pixels_of(3)).convert(mode)
            image.save(folder / (f"{mode}.jpg" if mode == "CMYK" else f"{mode}.png"))
    data = opened("folder", tmp_path)
    wanted = sorted(
        np.asarray(Image.open(path).convert("RGB")).tobytes() for path in (tmp_path / "train" / "all").iterdir()
    )
    assert [pixels for pixels, _ in contents(data.validation_batches((SIDE, SIDE)))] == wanted
