"""Damaged spec files that load: each is a network that runs; of the others, the command says one line."""

import random

import pytest
import torch
from mutations import damaged_text
from test_reading import TINY

from supernet import SpecError, build, count, format_spec, load_spec, published_names
from supernet.__main__ import main


@pytest.mark.slow
def test_what_loads_runs(tmp_path, capsys):
    r = random.Random(20261120)
    sources = [TINY] * 6 + [format_spec(load_spec(name)) for name in published_names()]
    loaded = 0
    for number in range(150):
        path = tmp_path / f"{number}.yaml"
        path.write_bytes(damaged_text(r.choice(sources), r).encode("utf-8", "surrogatepass"))
        try:
            spec = load_spec(path)
        except SpecError:
            assert main(["show", str(path)]) == 2
            message = capsys.readouterr().err
            assert message.startswith(f"error: {path}: ")
            assert message.count("\n") == 1
            continue
        loaded += 1
        counted = count(spec)
        with torch.device("meta"):
            net = build(spec).eval()
        assert counted.params == sum(parameter.numel() for parameter in net.parameters())
        scores = net(torch.empty(2, spec.in_chans, *spec.size, device="meta"))
        assert scores.shape[0] == 2
        if counted.macs < 5e7:
            with torch.no_grad():
                assert build(spec).eval()(torch.randn(1, spec.in_chans, *spec.size)).isfinite().all()
    assert 4 < loaded < 120, f"{loaded} of 150 loaded: the mutations are too wild or too tame"
