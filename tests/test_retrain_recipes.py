"""The published recipes: one for each family, every published network reads, variants change what they say."""

import pytest

from supernet import SpecError, load_spec, published_names
from supernet.config_files import names_in
from supernet.families import FAMILIES
from supernet.plain_yaml import parse_yaml
from tests.test_configs import noise
from training.data.transforms import check_augment
from training.network_config import NetworkConfig
from training.network_subject import specs_of_steps, wanted_spec
from training.reading import format_config, parse_network_config
from training.recipes import RECIPES, find_config

NAMES = names_in(RECIPES)


def test_every_family_has_one():
    assert set(FAMILIES) - {"hybrid"} <= set(NAMES)
    assert {"digits", "cifar10"} <= set(NAMES)


@pytest.mark.parametrize("name", published_names())
def test_every_published_network(name):
    config = find_config(name, "", [])
    assert config.spec == name
    assert specs_of_steps(wanted_spec(config), config)
    assert parse_network_config(format_config(config)) == config
    check_augment(config.augment)
    assert load_spec(name).distilled == (config.step.teacher is not None)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_set_that_is_so_anyway(name):
    text = (RECIPES / f"{name}.yaml").read_text()
    data = parse_yaml(text)
    variants = data.pop("variants", {})
    plain = parse_network_config(f"spec: iformer_t\n{text.partition('variants:')[0]}")
    assert noise(NetworkConfig, data, plain) == []
    for network in variants:
        changed = find_config(network, name, [])
        assert format_config(changed) != format_config(find_config("iformer_t", name, [])).replace("iformer_t", network)


def test_what_the_papers_say():
    """Rates for the authors' batches, by the rule that scales them."""
    l1, m, b3 = (find_config(name, "", []) for name in ("efficientformer_l1", "iformer_m", "lowformer_b3"))
    assert (l1.optimizer.lr, l1.optimizer.lr_per_images, l1.optimizer.clip_mode) == (1e-3, 1024, "agc")
    assert (m.optimizer.lr, m.optimizer.lr_per_images, 8 * m.data.batch_size * m.optimizer.accumulate) == (
        4e-3,
        4096,
        4096,
    )
    assert b3.optimizer.lr * 8 * b3.data.batch_size * b3.optimizer.accumulate / b3.optimizer.lr_per_images == (
        pytest.approx(9.4e-5 * 8 * 4)
    )
    assert (b3.step.mesa.start, b3.step.mesa.ratio, b3.step.loss) == (0.25, 2.0, "sigmoid")
    assert find_config("iformer_l", "", []).step.drop_path == 0.1
    assert find_config("iformer_l2_distilled", "", []).schedule.epochs == 450
    small = find_config("inception_iformer_small", "", []).schedule
    assert (small.epochs, small.cooldown_epochs) == (300, 10)


def test_a_recipe_with_a_wrong_variant(tmp_path):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("data: {source: digits}\nvariants: {iformer_x: {seed: 1}}\n")
    with pytest.raises(SpecError, match="variants: 'iformer_x' is no published network"):
        find_config("iformer_t", str(recipe), [])
    recipe.write_text("data: {source: digits}\nvariants: {iformer_t: {seed: 1, optimizer: {lr: 3}}}\n")
    config = find_config("iformer_t", str(recipe), ["optimizer.eps=1e-6"])
    assert (config.seed, config.optimizer.lr, config.optimizer.eps) == (1, 3.0, 1e-6)
    assert find_config("iformer_s", str(recipe), []).seed == 0


def test_headers_say_how_they_are_started():
    for name in NAMES:
        lines = (RECIPES / f"{name}.yaml").read_text().splitlines()
        header = [line for line in lines if line.startswith("#")]
        assert any("retrain.py " in line and "--out " in line for line in header), name
        assert all(len(line) <= 120 for line in lines), name
