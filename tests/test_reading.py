"""Specs as YAML: the exact way there and back, and errors a person can act on."""

import pickle
import random
import re

import numpy as np
import pytest
import yaml
from random_specs import random_spec

from supernet import SpecError, format_spec, load_spec, parse_spec, published_names, save_spec
from supernet.blocks.ffn import DepthwiseBlock
from supernet.reading import NETWORKS

TINY = """\
family: hybrid
resolution: 32
stem: {kind: convs, width: 8, kernel: 3, act: gelu}
stages:
- width: 8
  blocks:
  - {kind: conv, kernel: 7, expand: 2, repeat: 2}
- width: 16
  downsample: {kind: conv, kernel: 3, bias: true}
  blocks:
  - {kind: conv, kernel: 3, expand: 2}
  - {kind: attention_ffn, heads: 2, key_width: 4, value_width: 8, kernel: 3, expand: 2, stride: 2, repeat: 2}
head: {kind: norm_pool, norm: batch}
num_classes: 5
"""


@pytest.mark.parametrize("name", published_names())
def test_published_files_are_canonical(name):
    """YAML -> spec -> YAML gives the same text, letter by letter."""
    assert format_spec(load_spec(name)) == (NETWORKS / f"{name}.yaml").read_text()


@pytest.mark.parametrize("seed", range(100))
def test_random_specs_come_back(seed, tmp_path):
    spec = random_spec(random.Random(seed))
    save_spec(spec, tmp_path / "net.yaml")
    again = load_spec(tmp_path / "net.yaml")
    assert again == spec
    assert hash(again) == hash(spec)
    assert format_spec(again) == format_spec(spec)


def test_specs_are_values():
    spec = load_spec("iformer_t")
    assert {spec: 1}[load_spec("iformer_t")] == 1
    with pytest.raises(AttributeError):
        spec.resolution = 256
    assert spec.with_(resolution=(256, 256)) == spec.with_(resolution=256)
    assert spec.with_(resolution=256) != spec


def test_repeat_is_only_a_short_form():
    long = TINY.replace(
        "- {kind: conv, kernel: 7, expand: 2, repeat: 2}",
        "\n".join(["- {kind: conv, kernel: 7, expand: 2}"] * 2).replace("\n", "\n  "),
    )
    assert parse_spec(long) == parse_spec(TINY)
    assert format_spec(parse_spec(long)) == TINY


def test_small_numbers_are_numbers():
    text = TINY.replace("kernel: 3, expand: 2}", "kernel: 3, expand: 2, layer_scale: 1e-3}")
    assert parse_spec(text).stages[1].blocks[0].layer_scale == 1e-3
    for number in ("1e-3", "1E-3", "1.0e-3", "0.001", ".001", "1e-03"):
        assert parse_spec(text.replace("1e-3", number)) == parse_spec(text)


# What is written, what becomes of it, and what the error must say: path, value, and what is allowed.
WRONG = [
    ("expand: 2, repeat: 2}\n- width", "expand: 1" + 400 * "0" + ", repeat: 2}\n- width", "a number of 1329 bits"),
    ("kernel: 7,", "kernel: 4,", "stages[0].blocks[0].kernel: 4 is not an odd number from 1 to 31"),
    ("kernel: 7,", "kernel: 7.0,", "stages[0].blocks[0].kernel: 7.0 can't stand here: expected a whole number"),
    ("kernel: 7,", "kernel: seven,", "stages[0].blocks[0].kernel: 'seven' can't stand here: expected a whole number"),
    ("kernel: 7,", "kernal: 7,", "stages[0].blocks[0].kernal: there is no such field, did you mean 'kernel'?"),
    ("kernel: 7, ", "", "stages[0].blocks[0]: the field 'kernel' is missing"),
    ("kernel: 7,", "kernel: 7, kernel: 5,", "line 7, column 29: not valid YAML: 'kernel' stands here twice"),
    ("expand: 2, repeat: 2}\n- width", "expand: 0, repeat: 2}\n- width", "expand: 0 is not a number from 0.05 to 16"),
    (
        "expand: 2, repeat: 2}\n- width",
        "expand: .nan, repeat: 2}\n- width",
        "expand: nan can't stand here: expected a number",
    ),
    ("repeat: 2}\n- width", "repeat: 0}\n- width", "stages[0].blocks[0].repeat: 0 is not a number from 1 to 256"),
    ("kind: conv, kernel: 7", "kind: conf, kernel: 7", "blocks[0].kind: 'conf' is unknown, did you mean 'conv'?"),
    ("kind: convs", "kind: 7", "stem.kind: 7 is unknown, known are convs, expand, mbconv"),
    ("{kind: convs, ", "{", "stem: the field 'kind' is missing; it is one of convs, expand, mbconv"),
    ("act: gelu", "act: gleu", "stem.act: 'gleu' is not one of relu, gelu, hardswish"),
    ("family: hybrid", "family: hybird", "family: 'hybird' is unknown, did you mean 'hybrid'?"),
    ("family: hybrid", "family: iformer", "stem.kind: 'convs' is not a part of this family: iformer takes expand"),
    ("num_classes: 5", "num_clases: 5", "num_clases: there is no such field, did you mean 'num_classes'?"),
    ("num_classes: 5", "num_classes: -1", "num_classes: -1 is not a number from 0 to 1,000,000"),
    ("num_classes: 5", "num_classes: true", "num_classes: True can't stand here: expected a whole number"),
    ("resolution: 32", "resolution: 8", "resolution: 8 is not a number from 16 to 4,096"),
    ("resolution: 32", "resolution: [32, 8]", "resolution[1]: 8 is not a number from 16 to 4,096"),
    (
        "resolution: 32",
        "resolution: large",
        "resolution: 'large' can't stand here: expected a whole number or a list of 2",
    ),
    (
        "resolution: 32",
        "resolution: 40",
        "stages[1].blocks[1].stride: 2 needs an even feature map, this one is 5x5 "
        "(resolution 40x40; nearest that work: 32, 48)",
    ),
    (
        "- width: 16\n  downsample: {kind: conv, kernel: 3, bias: true}",
        "- width: 16",
        "stages[1].width: 16 does not fit",
    ),
    ("- width: 8\n", "- width: 9\n", "a stage without downsample keeps the width, which is 8 here"),
    ("width: 8, kernel", "width: 1, kernel", "stem.width: 1 can't be halved"),
    ("blocks:\n  - {kind: conv, kernel: 7", "blocks: {kind: conv, kernel: 7", "can't stand here: expected a list"),
    ("bias: true", "bias: 1", "stages[1].downsample.bias: 1 can't stand here: expected true or false"),
    ("stages:\n", "stages: 5\nrest:\n", "there is no such field"),
    ("width: 16\n", "width: 9000\n", "stages[1].width: 9000 is not a number from 1 to 8,192"),
    ("kernel: 3, bias", "kernel: &a 3, x: *a, bias", "aliases are not allowed"),
]


@pytest.mark.parametrize(("old", "new", "expected"), WRONG)
def test_errors(old, new, expected, tmp_path):
    assert old in TINY
    path = tmp_path / "mine.yaml"
    path.write_text(TINY.replace(old, new, 1))
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert expected in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("{kind: modulation, kernel: 3, reduction: 3, expand: 2}", "reduction: 3 does not divide the width 8"),
        ("{kind: inception, heads: 4, head_width: 2, kernel: 3, expand: 2}", "heads: 4 heads of 2 channels leave 0"),
        ("{kind: inception, heads: 1, head_width: 2, kernel: 3, expand: 2, pool: 3}", "pool: 3 does not divide"),
    ],
)
def test_blocks_that_do_not_fit(block, expected):
    with pytest.raises(SpecError, match=r"stages\[0\]\.blocks\[1\]") as caught:
        parse_spec(TINY.replace("expand: 2, repeat: 2}\n", f"expand: 2, repeat: 2}}\n  - {block}\n", 1))
    assert expected in str(caught.value)


def test_network_of_impossible_size():
    block = "{kind: mbconv, kernel: 31, expand: 16, fused: true, repeat: 200}"
    wide = TINY.replace("width: 16\n", "width: 4000\n").replace("{kind: conv, kernel: 3, expand: 2}", block)
    with pytest.raises(SpecError, match="billion parameters are here; a network can have 1 billion"):
        parse_spec(wide)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\xff\xfe\x00", "is not UTF-8"),
        (b"", "None can't stand here: expected fields"),
        (b"[1, 2]", "can't stand here: expected fields"),
        (b"a: [" * 200, "not valid YAML"),
        (b"- " * 3000 + b"x", "nested too deeply"),
        (b"!!python/object/apply:os.system ['true']", "not valid YAML"),
        (b"x: 2026-99-99", "no such field"),
        (b"family: !!bool x", "tags such as !!int are not allowed"),
        (b"family: !!timestamp x", "tags such as !!int are not allowed"),
        (b'"foo\\nbar": 1', "'foo\\nbar': there is no such field"),
        (b'"\\ud800": 1', "there is no such field"),
        (b"? [1, 2]\n: 3", "not valid YAML"),
    ],
)
def test_files_that_are_no_specs(content, expected, tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_and_paths(tmp_path):
    with pytest.raises(SpecError, match=r"iformer_n: no published network has this name, did you mean 'iformer_\w'\?"):
        load_spec("iformer_n")
    with pytest.raises(SpecError, match="there is no such file"):
        load_spec("configs/networks/nothing.yaml")
    with pytest.raises(SpecError, match="is a directory"):
        load_spec(tmp_path)
    with pytest.raises(SpecError, match="can't have more than"):
        load_spec("/dev/zero")
    large = tmp_path / "large.yaml"
    large.write_bytes(b"x" * 2_000_000)
    with pytest.raises(SpecError, match="a spec can't have more than 1,000,000 bytes"):
        load_spec(large)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"resolution": 8}, "resolution: 8 is not a number from 16 to 4,096"),
        ({"resolution": (224, 224, 224)}, r"resolution: \(224, 224, 224\) can't stand here"),
        ({"num_classes": 10.5}, "num_classes: 10.5 can't stand here: expected a whole number"),
        ({"num_classes": "10"}, "num_classes: '10' can't stand here: expected a whole number"),
        ({"distilled": "no"}, "distilled: 'no' can't stand here: expected true or false"),
        ({"stem": None}, "stem: None can't stand here"),
        ({"stages": ()}, "stages: 0 stages are not from 1 to 8"),
        ({"family": "lowformer"}, "stem.kind: 'expand' is not a part of this family"),
    ],
)
def test_python_and_yaml_follow_the_same_rules(changes, expected):
    with pytest.raises(SpecError, match=expected):
        load_spec("iformer_t").with_(**changes)


def test_equal_values_are_equal_specs():
    spec = load_spec("iformer_t")
    same = spec.with_(stages=list(spec.stages), num_classes=np.int64(1000), resolution=[224, 224])
    assert same == spec
    assert hash(same) == hash(spec)
    assert format_spec(same) == format_spec(spec)
    odd = DepthwiseBlock(kernel=np.int32(3), expand=np.float64(2), layer_scale=np.float32(0.5))
    assert odd == DepthwiseBlock(kernel=3, expand=2, layer_scale=0.5)
    assert {type(value) for value in (odd.kernel, odd.expand, odd.layer_scale)} == {int, float}
    named = spec.with_(family=np.str_("iformer"), distilled=np.bool_(True))
    assert format_spec(named) == format_spec(spec.with_(distilled=True))
    with pytest.raises(SpecError, match="has no second classifier"):
        load_spec("lowformer_b0").with_(distilled=True)


def test_errors_travel_between_processes():
    error = SpecError("stages[0]", "is wrong")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (str(again), again.path, again.message) == (str(error), error.path, error.message)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("{kind: convs, width: 8, kernel: 3, act: gelu}", "{kind: mbconv, width: 8192, kernel: 31, depth: 16}", "stem"),
        ("num_classes: 5", "num_classes: 1000000", "head"),
        ("resolution: 32", "resolution: 4096", "stages[0].position_table"),
    ],
)
def test_every_part_counts_towards_the_limit(old, new, expected):
    text = TINY.replace(old, new).replace(
        "{kind: norm_pool, norm: batch}", "{kind: conv_pool, map_width: 8, vector_width: 8192}"
    )
    text = text.replace("- width: 8\n", f"- width: {8192 if 'stem' in expected else 2048}\n  position_table: true\n", 1)
    text = text.replace("stem: {kind: convs, width: 8,", "stem: {kind: convs, width: 2048,")
    text = "".join(line for line in text.splitlines(keepends=True) if "attention_ffn" not in line)
    with pytest.raises(SpecError, match=re.escape(expected) + ": .* billion parameters are here"):
        parse_spec(text)


def test_attention_that_would_take_all_memory():
    text = TINY.replace("resolution: 32", "resolution: 1024").replace("heads: 2,", "heads: 128,")
    with pytest.raises(SpecError, match="attention of 64x64 to 64x64 positions with 128 heads makes 16,777,216 pairs"):
        parse_spec(text)
    detection = load_spec("efficientformerv2_s0").with_(resolution=(800, 1344))
    assert detection.size == (800, 1344)


def test_group_norm_of_one_value():
    text = TINY.replace("- width: 16", "- width: 1").replace("resolution: 32", "resolution: 16")
    block = "{kind: conv_attention, heads: 1, head_width: 1, kernel: 3, stride: 1, mlp_expand: 1, local_kernel: 3, "
    text = text.replace("{kind: conv, kernel: 3, expand: 2}", block + "local_expand: 1, local_fused: true}")
    text = text.split("  - {kind: attention_ffn")[0] + "head: {kind: norm_pool, norm: batch}\n"
    parse_spec(text)
    with pytest.raises(SpecError, match="group norm over a single value"):
        parse_spec(
            text.replace("act: gelu}", "act: gelu, strides: [2, 2]}")
            .replace("resolution: 16", "resolution: 16")
            .replace(
                "head:",
                "- width: 1\n  downsample: {kind: conv, kernel: 3, bias: true}\n  blocks:\n  - "
                + block
                + "local_expand: 1, local_fused: true}\nhead:",
            )
        )


def test_yaml_of_today():
    """What YAML 1.1 reads as eight, ninety and yes is none of these."""
    for number in ("010", "1:30", "0x10", "1_0"):
        with pytest.raises(SpecError, match=f"num_classes: '{number}' can't stand here"):
            parse_spec(TINY.replace("num_classes: 5", f"num_classes: {number}"))
    with pytest.raises(SpecError, match="distilled: 'yes' can't stand here"):
        parse_spec(TINY + "distilled: yes\n")


def test_files_beside_names(tmp_path, monkeypatch):
    """A slash or a suffix makes a file; a bare word is a published name first."""
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "UP.YAML", "iformer_t"):
        (tmp_path / name).write_text(TINY)
        assert load_spec(f"./{name}") == load_spec(tmp_path / name) == parse_spec(TINY)
    assert load_spec("mine") == parse_spec(TINY)
    assert load_spec("iformer_t") != parse_spec(TINY)
    for name, expected in (
        ("x" * 300, "File name too long"),
        ("a\0b", "no published network"),
        ("a\nb", "no published network"),
        ("", "no"),
    ):
        with pytest.raises(SpecError, match=expected) as caught:
            load_spec(name)
        assert "\n" not in str(caught.value)


def test_plain_yaml_readers_agree():
    """What we write, any YAML reader understands."""
    assert yaml.safe_load(format_spec(load_spec("efficientformerv2_s0")))["stages"][2]["blocks"][1]["repeat"] == 3


def test_a_kind_by_its_name_alone():
    """Of options that are all alternatives and have no field of their own."""
    from search.reading import parse_config

    for text, example in (("evolution", "{kind: evolution}"), ("evoluton", "{kind: ...}"), ("3", "{kind: ...}")):
        with pytest.raises(SpecError, match=f"method: .* expected fields and their values, {example}"):
            parse_config(f"method: {text}")
    with pytest.raises(SpecError, match=r"accuracy: 3 can't stand here: .* {split: ...}"):
        parse_config("accuracy: 3")
