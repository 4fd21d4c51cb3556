"""1,000 damaged files of each kind that people write: networks, spaces, runs, retraining, searches."""

import json
from pathlib import Path

import pytest
import yaml
from mutations import damaged_data, damaged_text, survives
from small_spaces import ANY, BY_WIDTH, COUNTS, LAST
from test_reading import TINY

import search.reading
import training.reading
from pipeline.reading import load_pipeline
from supernet import SpecError, load_space, load_spec

CONFIGS = Path(__file__).parents[1] / "configs"
RETRAINING = "spec: tiny\n" + (CONFIGS / "retrain/digits.yaml").read_text()
SEARCH = (CONFIGS / "search/digits.yaml").read_text()
PIPELINE = (
    (CONFIGS / "pipelines/digits.yaml").read_text()
    + """\
networks: {front: 2, beside: [iformer_t]}
packages: {formats: [onnx], compress: int8, tolerance: 0.1}
launch: [torchrun, --nproc-per-node, "2"]
"""
)
RUN = """\
space: tiny
data: {source: digits, held_out: 200}
augment: {crop: pad, mean: [0.3, 0.3, 0.3]}
step: {sampled: 2}
optimizer: {lr: 4e-3, clip: 5}
evaluate: {every: 5, random: 2}
"""


def maker(path, texts, *, as_file):
    """Half of them are files, damaged as texts, half what files hold; that as a file, too, where it can't be read
    otherwise."""
    held = {text: yaml.safe_load(text) for text in texts}

    def make(draw):
        text = draw.choice(texts)
        if draw.random() < 0.5:
            path.write_bytes(damaged_text(text, draw).encode("utf-8", "surrogatepass"))
            return path
        data = damaged_data(held[text], draw)
        if as_file:
            path.write_bytes(json.dumps(data).encode("utf-8", "surrogatepass"))
        return path if as_file else data

    return make


@pytest.mark.slow
@pytest.mark.parametrize(
    ("load", "read", "texts"),
    [
        pytest.param(load_spec, None, [TINY], id="spec"),
        pytest.param(load_space, None, [LAST, ANY, COUNTS, BY_WIDTH], id="space"),
        pytest.param(training.reading.load_config, training.reading.read_config, [RUN], id="supernet run"),
        pytest.param(
            training.reading.load_network_config, training.reading.read_network_config, [RETRAINING], id="retraining"
        ),
        pytest.param(load_pipeline, None, [PIPELINE], id="pipeline"),
        pytest.param(search.reading.load_config, search.reading.read_config, [SEARCH], id="search"),
    ],
)
def test_damaged_configs(tmp_path, load, read, texts):
    path = tmp_path / "damaged.yaml"

    def read_either(damaged):
        if isinstance(damaged, Path):
            load(damaged)
        else:
            read(damaged, (), "damaged.yaml")

    outcome = survives(read_either, maker(path, texts, as_file=read is None), SpecError)
    outcome.check()
    assert all("damaged.yaml: " in message for message in outcome.refused)
