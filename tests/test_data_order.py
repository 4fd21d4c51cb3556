"""The order of an epoch: every image once (or `repeats` times), and the same for any number of processes."""

import numpy as np
import pytest

from training.data.order import TrainOrder, choice, held_out
from training.randomness import Purpose


def global_batches(order, epoch=0):
    """Images and positions of each micro-step, all processes together."""
    ranks = [
        TrainOrder(order.count, order.seed, order.batch_size, r, order.world, order.repeats) for r in range(order.world)
    ]
    epochs = [rank.epoch(epoch) for rank in ranks]
    for step in range(order.steps):
        parts = [one.part(step) for one in epochs]
        yield np.concatenate([p.images for p in parts]).tolist(), [p for part in parts for p in part.positions]


def test_every_image_stands_once_in_an_epoch():
    batches = list(global_batches(TrainOrder(103, 5, 10)))
    images = [image for batch, _ in batches for image in batch]
    assert len(batches) == 10, "an incomplete batch is left out"
    assert len(set(images)) == len(images) == 100
    assert images != sorted(images)
    assert [p for _, positions in batches for p in positions] == list(range(100))


@pytest.mark.parametrize("repeats", [1, 2, 3])
@pytest.mark.parametrize("world", [2, 3, 4])
def test_processes_share_one_order(world, repeats):
    alone = list(global_batches(TrainOrder(100, 1, 12, repeats=repeats), epoch=3))
    together = list(global_batches(TrainOrder(100, 1, 12 // world, 0, world, repeats), epoch=3))
    assert together == alone


def test_epochs_and_seeds_differ():
    orders = [next(global_batches(TrainOrder(50, seed, 50), epoch))[0] for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(order) for order in orders}) == 4
    assert all(sorted(order) == list(range(50)) for order in orders)


@pytest.mark.parametrize(("count", "batch", "repeats"), [(96, 12, 3), (100, 10, 3), (64, 16, 4), (50, 7, 2)])
def test_repeats(count, batch, repeats):
    order = TrainOrder(count, 0, batch, repeats=repeats)
    batches = [images for images, _ in global_batches(order)]
    assert len(batches) == count // batch, "an epoch has as many steps as without"
    stands = np.bincount([image for images in batches for image in images], minlength=count)
    assert set(stands) <= {0, repeats, stands.sum() % repeats}, "only the last image may stand less often"
    assert np.count_nonzero(stands) == -(-stands.sum() // repeats)
    for images in batches:  # copies of an image share a batch, but for those at its ends
        assert len(set(images)) <= -(-batch // repeats) + 1


def test_copies_fall_on_different_processes():
    for rank in range(3):
        epoch = TrainOrder(90, 0, 6, rank, 3, repeats=3).epoch(0)
        for step in range(5):
            assert len(set(epoch.part(step).images)) == 6


def test_held_out_images_are_the_rest():
    train, aside = held_out(100, 3, 20)
    assert (len(train), len(aside)) == (80, 20)
    assert sorted([*train, *aside]) == list(range(100))
    assert held_out(100, 3, 20)[1].tolist() == aside.tolist() != held_out(100, 4, 20)[1].tolist()
    assert len(held_out(100, 3, 0)[1]) == 0


def test_a_larger_choice_begins_with_the_smaller_one():
    small, large = (choice(100, n, 0, Purpose.CALIBRATION).tolist() for n in (10, 30))
    assert large[:10] == small
    assert len(set(large)) == 30
    assert len(choice(100, 1000, 0, Purpose.CALIBRATION)) == 100
    assert choice(100, 10, 0, Purpose.SUBSET).tolist() != small
