"""Augmentation is timm's; what is our own is compared with the plain definition."""

import numpy as np
import pytest
import torch
from making_data import pixels_of
from PIL import Image
from timm.data import create_transform

from supernet import SpecError
from training.config import AugmentConfig
from training.data.transforms import Finish, check_augment, evaluation_transform, train_transform
from training.randomness import global_generators_kept, seed_from, seed_global_generators


def image_of(height, width, number=0):
    return Image.fromarray(np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8))


def drawn(transform, image, seed):
    seed_global_generators(seed)
    return np.asarray(transform(image))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "random"])
@pytest.mark.parametrize(
    "randaugment", ["", "rand-m9-mstd0.5-inc1", "rand-m10-n3-p1-mstd101", "rand-m15-mmax30-n2-inc1-tweights"]
)
def test_training_is_timms(randaugment, interpolation):
    ours = train_transform(AugmentConfig(flip=0, randaugment=randaugment, interpolation=interpolation), (24, 20))
    timms = create_transform(
        (24, 20), is_training=True, hflip=0, color_jitter=0, auto_augment=randaugment or None,
        interpolation=interpolation, ratio=(0.75, 1.3333), normalize=False,
    )  # fmt: skip
    compared = 0
    for seed in range(40):
        mine = drawn(ours, image_of(40, 30, seed), seed)
        try:
            wanted = drawn(timms, image_of(40, 30, seed), seed).transpose(1, 2, 0)
        except ValueError as error:
            assert "bits must be" in str(error)  # noqa: PT017  timm's Posterize to no bits, under Pillow 13
            continue
        np.testing.assert_array_equal(mine, wanted)
        compared += 1
    assert compared > 15


@pytest.mark.parametrize("shape", [(40, 30), (24, 20), (9, 50)])
@pytest.mark.parametrize("size", [(24, 24), (24, 20)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_evaluation_is_timms(interpolation, size, shape):
    augment = AugmentConfig(interpolation=interpolation)
    image = image_of(*shape)
    timms = create_transform(size, interpolation=interpolation, crop_pct=0.875, mean=augment.mean, std=augment.std)
    ours = Finish(augment, 3)([evaluation_transform(augment, size)(image)], None)
    torch.testing.assert_close(ours[0], timms(image), atol=1e-5, rtol=0)


def test_posterize_to_no_bits_is_black():
    augment = AugmentConfig(flip=0, crop="none", randaugment="rand-m10-p1-n1-inc1")
    images = [drawn(train_transform(augment, (8, 8)), image_of(8, 8), seed) for seed in range(100)]
    assert any(not image.any() for image in images)


def test_pad_shifts_by_up_to_an_eighth():
    transform = train_transform(AugmentConfig(crop="pad", flip=0), (16, 32))
    image = image_of(16, 32)
    padded = np.pad(np.asarray(image), ((2, 2), (4, 4), (0, 0)))
    crops = {padded[y : y + 16, x : x + 32].tobytes(): (y, x) for y in range(5) for x in range(9)}
    found = {crops[drawn(transform, image, seed).tobytes()] for seed in range(600)}
    assert found == set(crops.values())


def test_pad_and_none_resize_first():
    for crop in ("pad", "none"):
        image = train_transform(AugmentConfig(crop=crop, flip=0), (12, 20))(image_of(7, 9))
        assert image.size == (20, 12)
    wanted = image_of(7, 9).resize((20, 12), Image.Resampling.BICUBIC)
    assert (
        drawn(train_transform(AugmentConfig(crop="none", flip=0), (12, 20)), image_of(7, 9), 0).tobytes()
        == wanted.tobytes()
    )


def test_flip():
    image = image_of(8, 8)
    turned = np.asarray(image)[:, ::-1]
    always = train_transform(AugmentConfig(crop="none", flip=1), (8, 8))
    np.testing.assert_array_equal(always(image), turned)
    often = train_transform(AugmentConfig(crop="none", flip=0.25), (8, 8))
    assert 60 < sum(np.array_equal(drawn(often, image, seed), turned) for seed in range(400)) < 140


def test_colour_jitter_changes_colours_only():
    transform = train_transform(AugmentConfig(crop="none", flip=0, color_jitter=0.4), (8, 8))
    grey = Image.new("RGB", (8, 8), (90, 90, 90))
    values = {tuple(np.unique(drawn(transform, grey, seed))) for seed in range(20)}
    assert len(values) > 10
    assert all(len(value) == 1 for value in values)


@pytest.mark.parametrize("mode", ["const", "rand", "pixel"])
def test_erasing(mode):
    images = [Image.new("RGB", (32, 32), (255, 255, 255))] * 40
    seeds = [(0, i) for i in range(40)]
    finish = Finish(AugmentConfig(erase=0.5, erase_mode=mode, mean=(0.5,) * 3, std=(0.25,) * 3), 3)
    erased = finish(images, seeds) != 2
    share = erased.any(1).float().mean((1, 2))
    assert 8 < (share > 0).sum() < 32
    assert share.max() < 0.4
    assert (finish(images, None) == 2).all(), "not in evaluation"
    assert torch.equal(finish(images[:7], seeds[20:27]) != 2, erased[20:27]), (
        "the seed decides, not the place in the batch"
    )


@pytest.mark.parametrize(
    "notation",
    ["rand", "rand-m9", "rand-m9-mstd0.5-inc1", "rand-n3-p0.5-mmax10", "rand-m9-mstd101-tweights", "rand-p1-t3a"],
)
def test_timms_notation(notation):
    check_augment(AugmentConfig(randaugment=notation))
    train_transform(AugmentConfig(randaugment=notation), (8, 8))(image_of(8, 8))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"randaugment": "augmix-m3"}, r"augment.randaugment: 'augmix-m3' is not in timm's notation: rand, then"),
        ({"randaugment": "rand-m9-foo"}, r"augment.randaugment: 'rand-m9-foo'"),
        ({"randaugment": "rand-m"}, r"augment.randaugment"),
        ({"scale": (0.5, 0.2)}, r"augment.scale: \[0.5, 0.2\] is not a range"),
        ({"scale": (0, 1)}, r"augment.scale: \[0, 1\]"),
        ({"ratio": (2, 1)}, r"augment.ratio"),
        ({"std": (0.5, 0, 0.5)}, r"augment.std: .* 0 can't be"),
    ],
)
def test_augmentation_that_cant_be(options, error):
    with pytest.raises(SpecError, match=error):
        check_augment(AugmentConfig(**options))


def test_seeds():
    assert seed_from(1, 2, 3) == seed_from(1, 2, 3)
    assert len({seed_from(a, b) for a in range(50) for b in range(50)}) == 2500
    assert all(0 <= seed_from(a, -1) < 2**63 for a in range(50))
    before = torch.get_rng_state()
    with global_generators_kept():
        seed_global_generators(3)
        assert not torch.equal(torch.get_rng_state(), before)
    assert torch.equal(torch.get_rng_state(), before)


def test_pixels_of_numbers_differ():
    assert len({pixels_of(number).tobytes() for number in range(50)}) == 50
