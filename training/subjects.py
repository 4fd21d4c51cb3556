"""Which subject a config is of."""

from __future__ import annotations

from .config import RunConfig
from .network_config import NetworkConfig
from .network_subject import NetworkSubject
from .subject import Subject
from .supernet_config import SupernetConfig
from .supernet_subject import SupernetSubject


def subject_of(config: RunConfig) -> Subject:
    if isinstance(config, SupernetConfig):
        return SupernetSubject(config)
    assert isinstance(config, NetworkConfig)
    return NetworkSubject(config)
