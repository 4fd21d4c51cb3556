import pytest
import torch


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than a few seconds; `make quick` leaves it out")


@pytest.fixture(autouse=True)
def _same_random_numbers():
    torch.manual_seed(0)
