"""Batches follow from seed, epoch, micro-step and place alone: not from workers, processes, or what went before."""

import logging
import multiprocessing
import os
import random
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from making_data import png, write_classes, write_numbered, write_parquet

from supernet import SpecError
from training.config import AugmentConfig, DataConfig
from training.data import DataError, open_data

SIZE = (8, 8)
EVERYTHING = AugmentConfig(
    scale=(0.3, 1), randaugment="rand-m9-mstd0.5-inc1", color_jitter=0.3, erase=0.5, interpolation="random", repeats=2
)
PLAIN = AugmentConfig(crop="none", flip=0, crop_pct=1)


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    return write_numbered(tmp_path_factory.mktemp("numbered"))


def opened(path, augment=PLAIN, batch_size=6, workers=0, rank=0, world=1, seed=0, in_chans=3, **options):
    config = DataConfig(
        source="parquet", path=str(path), batch_size=batch_size, eval_batch_size=4, workers=workers, **options
    )
    return open_data(config, augment, seed=seed, rank=rank, world=world, in_chans=in_chans)


def size_of(step):
    return (8 + 4 * (step % 2), 16)


def numbers(batches):
    return [int(label) for _, labels in batches for label in labels]


def same(one, other):
    assert len(one) == len(other)
    return all(torch.equal(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True))


@pytest.mark.parametrize("crop", ["random_resized", "pad", "none"])
@pytest.mark.parametrize(("world", "workers"), [(1, 2), (2, 0), (3, 1)])
def test_processes_and_workers_change_nothing(world, workers, crop, numbered):
    augment = AugmentConfig(
        **{name: getattr(EVERYTHING, name) for name in EVERYTHING.__struct_fields__} | {"crop": crop}
    )
    alone = list(opened(numbered, augment).train_batches(2, 0, size_of))
    ranks = [opened(numbered, augment, 6 // world, workers, rank, world) for rank in range(world)]
    assert [data.steps_per_epoch for data in ranks] == [6] * world
    parts = [list(data.train_batches(2, 0, size_of)) for data in ranks]
    together = [tuple(torch.cat(part) for part in zip(*step, strict=True)) for step in zip(*parts, strict=True)]
    assert same(together, alone)
    assert not same(alone, list(opened(numbered, augment).train_batches(3, 0, size_of)))


@pytest.mark.parametrize("workers", [0, 2])
def test_going_on_in_the_middle_of_an_epoch(workers, numbered):
    whole = list(opened(numbered, EVERYTHING).train_batches(1, 0, size_of))
    for start in (1, 4, 6):
        data = opened(numbered, EVERYTHING, workers=workers)
        next(data.train_batches(0, 0, size_of))
        random.random(), np.random.rand(), torch.rand(1)
        assert same(list(data.train_batches(1, start, size_of)), whole[start:])


def test_shapes_and_types(numbered):
    steps = list(opened(numbered).train_batches(0, 0, size_of))
    assert [tuple(images.shape) for images, _ in steps[:2]] == [(6, 3, 8, 16), (6, 3, 12, 16)]
    for images, labels in steps:
        assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
        assert images.is_contiguous()
    assert len(set(numbers(steps))) == 36


def test_global_generators_stay_as_they_are(numbered):
    def states():
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()

    before = states()
    for workers in (0, 2):
        data = opened(numbered, EVERYTHING, workers=workers)
        for batches in (data.train_batches(0, 0, size_of), data.validation_batches(SIZE)):
            next(batches)
            assert states() == before
            list(batches)
    assert states() == before


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("world", [1, 3])
def test_evaluation_sees_every_image_once(world, workers, numbered):
    ranks = [opened(numbered, EVERYTHING, 2, workers, rank, world, held_out=7) for rank in range(world)]
    validation = [number for data in ranks for number in numbers(data.validation_batches(SIZE))]
    assert sorted(validation) == list(range(6))
    aside = [number for data in ranks for number in numbers(data.held_out_batches(SIZE))]
    assert len(set(aside)) == len(aside) == 7 == ranks[0].num_held_out
    calibration = [number for data in ranks for number in numbers(data.calibration_batches(SIZE, 10))]
    assert len(set(calibration)) == len(calibration) == 10
    epochs = 1 if workers else 12  # an epoch has half of the images, each twice
    trained = [n for data in ranks for epoch in range(epochs) for n in numbers(data.train_batches(epoch, 0, size_of))]
    rest = set(range(40)) - set(aside)
    assert set(trained) == rest if epochs > 1 else set(trained) < rest
    assert set(calibration) <= rest
    some = [number for data in ranks for number in numbers(data.validation_batches(SIZE, images=4))]
    assert len(set(some)) == 4


def test_calibration_is_the_same_each_time(numbered):
    data = opened(numbered, EVERYTHING)
    first = list(data.calibration_batches(SIZE, 10))
    list(data.train_batches(0, 0, size_of))
    assert same(list(data.calibration_batches(SIZE, 10)), first)
    assert numbers(data.calibration_batches(SIZE, 5)) == numbers(first)[:5]
    assert not same(list(opened(numbered, EVERYTHING, seed=1).calibration_batches(SIZE, 10)), first)


def test_grey_images(numbered):
    (grey, _), *_ = opened(numbered, in_chans=1).validation_batches(SIZE)
    (colour, _), *_ = opened(numbered).validation_batches(SIZE)
    assert grey.shape == (4, 1, 8, 8)
    mean, std = torch.tensor(PLAIN.mean), torch.tensor(PLAIN.std)
    pixels = (colour * std.view(3, 1, 1) + mean.view(3, 1, 1)) * 255
    luma = (pixels * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True)
    assert ((grey * std.mean() + mean.mean()) * 255 - luma).abs().max() < 1
    with pytest.raises(SpecError, match="take 4 channels"):
        opened(numbered, in_chans=4)


def test_a_batch_larger_than_the_data(numbered):
    with pytest.raises(SpecError, match=r"data.batch_size: 41 is more than the 40 training images"):
        opened(numbered, batch_size=41)
    with pytest.raises(SpecError, match=r"data.batch_size: 21 on each of 2 processes is more than the 40"):
        opened(numbered, batch_size=21, world=2)
    with pytest.raises(SpecError, match=r"data.held_out: 40 of 40 training images leave none"):
        opened(numbered, held_out=40)


@pytest.mark.parametrize("workers", [0, 2])
def test_unreadable_images_are_replaced_and_counted_once(workers, tmp_path, caplog):
    broken = (3, 4, 39)
    write_numbered(tmp_path, broken=broken)
    data = opened(tmp_path, workers=workers, batch_size=8, unreadable_limit=3)
    with caplog.at_level(logging.WARNING, "training"):
        seen = [numbers(data.train_batches(epoch, 0, size_of)) for epoch in range(3)]
    assert data.unreadable == 3
    assert sorted(record.message.split("row ")[1].split(":")[0] for record in caplog.records) == ["3", "39", "4"]
    replaced = sorted([0, 5, 5, *(number for number in range(40) if number not in broken)])
    assert [sorted(epoch) for epoch in seen] == [replaced] * 3, "each by the next readable one"
    assert sorted(numbers(data.calibration_batches(SIZE, 40))) == [n for n in range(40) if n not in broken]
    assert data.unreadable == 3


@pytest.mark.parametrize("workers", [0, 2])
def test_too_many_unreadable_images(workers, tmp_path):
    write_numbered(tmp_path, broken=range(5, 20))
    data = opened(tmp_path, workers=workers, unreadable_limit=4)
    with pytest.raises(
        DataError, match=r"^5 unreadable images, and data.unreadable_limit is 4: the last one is .*row "
    ):
        list(data.train_batches(0, 0, size_of))
    with pytest.raises(DataError, match=r"unreadable_limit is 4"):
        list(opened(tmp_path, workers=workers, unreadable_limit=4).calibration_batches(SIZE, 40))


def test_nothing_can_be_read(tmp_path):
    write_numbered(tmp_path, broken=range(40))
    data = opened(tmp_path, unreadable_limit=1000)
    with pytest.raises(DataError, match=r"no train image can be read: .*row \d+: not an image of any kind"):
        list(data.train_batches(0, 0, size_of))
    assert list(data.calibration_batches(SIZE, 40)) == []


def test_a_lost_or_truncated_file_is_unreadable(tmp_path):
    chosen = [("a", number) for number in range(6)]
    write_classes("folder", tmp_path, "train", chosen)
    write_classes("folder", tmp_path, "validation", chosen)
    config = DataConfig(source="folder", path=str(tmp_path), batch_size=2, workers=0)
    data = open_data(config, PLAIN, seed=0)
    (tmp_path / "validation/a/1.png").unlink()
    (tmp_path / "validation/a/2.png").write_bytes(png(2)[:-60])
    assert sum(len(labels) for _, labels in data.validation_batches(SIZE)) == 4
    assert data.unreadable == 2


def test_a_killed_worker_is_named(numbered):
    batches = opened(numbered, workers=2, batch_size=1).train_batches(0, 0, size_of)
    next(batches)
    with pytest.raises(RuntimeError, match=r"worker.*(killed|exited unexpectedly)"):  # noqa: PT012
        for child in multiprocessing.active_children():
            os.kill(child.pid, signal.SIGKILL)
        list(batches)


def test_workers_leave_signals_to_the_main_process(numbered):
    batches = opened(numbered, workers=2, batch_size=1).train_batches(0, 0, size_of)
    next(batches), next(batches)
    for child in multiprocessing.active_children():
        os.kill(child.pid, signal.SIGINT)
        os.kill(child.pid, signal.SIGTERM)
    assert len(list(batches)) == 38


@pytest.mark.filterwarnings("error:This DataLoader")
def test_more_workers_than_cores(numbered):
    data = opened(numbered, batch_size=8, workers=os.cpu_count() + 1)
    assert next(data.train_batches(0, 0, lambda step: SIZE))[0].shape == (8, 3, *SIZE)


def test_workers_end_with_the_iteration(numbered):
    batches = opened(numbered, workers=2, batch_size=1).train_batches(0, 0, size_of)
    next(batches)
    assert len(multiprocessing.active_children()) == 2
    batches.close()
    assert multiprocessing.active_children() == []


LEAVING = """
import sys
from training.config import AugmentConfig, DataConfig
from training.data import open_data
config = DataConfig(source="parquet", path=sys.argv[1], batch_size=1, workers=2)
batches = open_data(config, AugmentConfig(), seed=0).train_batches(0, 0, lambda step: (8, 8))
next(batches)
print("leaving", flush=True)
if sys.argv[2] == "error":
    raise ValueError("on purpose")
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["end", "error"])
def test_a_program_can_end_in_the_middle_of_an_epoch(way, numbered):
    ended = subprocess.run(
        [sys.executable, "-c", LEAVING, str(numbered), way], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.stdout == "leaving\n"
    assert ended.returncode == (way == "error"), ended.stderr
    assert ("on purpose" in ended.stderr) == (way == "error")
    assert "DataLoader" not in ended.stderr


def test_labels_follow_the_images(tmp_path):
    """Label and pixels belong together, whatever the order."""
    write_parquet(tmp_path / "train.parquet", list(range(12)))
    write_parquet(tmp_path / "validation.parquet", list(range(12)))
    data = opened(tmp_path, batch_size=5, workers=2)
    of_label = {int(n): image for images, labels in data.validation_batches(SIZE) for n, image in zip(labels, images)}  # noqa: B905
    for images, labels in data.train_batches(0, 0, lambda step: SIZE):
        for image, label in zip(images, labels, strict=True):
            assert torch.equal(image, of_label[int(label)])
