"""Position tables at another resolution: what is linear in the distance stays linear."""

import pytest
import torch

from supernet.weights.resize import resize_position_bias, resize_position_table, square_of


@pytest.mark.parametrize(("old", "new"), [((7, 7), (8, 8)), ((14, 14), (10, 10)), ((7, 7), (10, 5)), ((4, 6), (1, 12))])
def test_bias_of_distances(old, new):
    """Three heads: the row distance, the column distance, and a constant; each at all new distances."""
    rows, columns = torch.meshgrid(torch.arange(old[0]).double(), torch.arange(old[1]).double(), indexing="ij")
    table = torch.stack((rows, columns, torch.full_like(rows, 2.5))).flatten(1)
    resized = resize_position_bias(table, old, new).reshape(3, *new)
    for row in range(new[0]):
        for column in range(new[1]):
            expected_row = row * (old[0] - 1) / max(1, new[0] - 1)
            expected_column = column * (old[1] - 1) / max(1, new[1] - 1)
            expected = torch.tensor([expected_row, expected_column, 2.5]).double()
            assert torch.allclose(resized[:, row, column], expected)


def test_bias_of_the_same_size_is_the_same():
    table = torch.randn(8, 49)
    assert torch.equal(resize_position_bias(table, (7, 7), (7, 7)), table.double())


def test_table_of_positions():
    """Values belong to pixel centres: a ramp over the image is the same ramp at every size, up to the border."""
    centres = (torch.arange(8).double() + 0.5) / 8
    table = centres.expand(1, 1, 8, 8)
    resized = resize_position_table(table, (4, 16))
    wanted = (torch.arange(16).double() + 0.5) / 16
    assert torch.allclose(resized[0, 0, :, 1:-1], wanted[1:-1].expand(4, 14))


def test_squares():
    assert [square_of(n) for n in (1, 49, 50)] == [(1, 1), (7, 7), None]
