"""Weights in and out: names, formats, wrappers, other classes and resolutions, and what must not be loaded."""

import argparse
import copy
import functools
import json
import logging
import pickle
import random
from pathlib import Path

import msgspec
import numpy as np
import pytest
import timm
import torch
from filling import filled_state, images
from random_specs import random_spec
from test_reading import TINY
from torch.nn import functional as F

from supernet import WeightsError, fuse, load_spec, load_weights, parse_spec, save_weights
from supernet import build as build_anew
from supernet.layers import PositionBias
from supernet.weights.files import read_state, write_state
from supernet.weights.ties import timm_ties
from supernet.weights.translate import Translation

FAMILIES = ("efficientformer_l1", "efficientformerv2_s0", "iformer_t", "inception_iformer_small", "lowformer_b0")
AUTHORS_NAMES = json.loads((Path(__file__).parent / "data" / "authors_names.json").read_text())
"""For one network a family: the names in the authors' state dictionary, and timm's."""
IN_TIMM = tuple(name for name in FAMILIES if not name.startswith("inception"))


drawn = functools.lru_cache(maxsize=8)(build_anew)


def build(spec):
    """A network of its own. Random numbers, which cost the most, are drawn once a spec: `some_weights` are others."""
    return copy.deepcopy(drawn(spec))


def same(one, other):
    assert one.keys() == other.keys()
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def some_weights(net):
    net.load_state_dict(filled_state(net.state_dict(), 1.0))
    return net


@pytest.mark.parametrize("names", ["timm", "own"])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("name", FAMILIES)
def test_round_trip(name, suffix, names, tmp_path):
    net = some_weights(build(load_spec(name)))
    save_weights(net, tmp_path / f"w{suffix}", names=names)
    again = build(load_spec(name))
    report = load_weights(again, tmp_path / f"w{suffix}")
    assert (report.names, report.changed, report.problems()) == (names, [], [])
    assert same(net.state_dict(), again.state_dict())


def test_equal_weights_are_equal_files(tmp_path):
    """Whatever the order of what is said of them, which the library changes from one process to the next."""
    said = {"format": "pt", "slimformer_spec": 'é "x"\n', **{f"key {number}": "x" for number in range(9)}}
    for name, metadata in (("one", said), ("other", dict(reversed(said.items())))):
        write_state({"w": torch.ones(3)}, tmp_path / f"{name}.safetensors", metadata)
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "other.safetensors").read_bytes()
    state, metadata = read_state(tmp_path / "one.safetensors")
    assert (metadata, state["w"].tolist()) == (said, [1.0] * 3)


@pytest.mark.parametrize("name", IN_TIMM)
def test_timm_loads_what_we_save(name, tmp_path):
    net = build(load_spec(name))
    save_weights(net, tmp_path / "w.safetensors")
    theirs = timm.create_model(name, checkpoint_path=tmp_path / "w.safetensors").eval()  # strict
    x = images(1, 224, 224)
    with torch.no_grad():
        assert (theirs(x) - net.eval()(x)).abs().max() < 1e-4


@pytest.mark.parametrize("seed", range(20))
def test_hybrids_keep_their_own_names(seed, tmp_path):
    net = some_weights(build(random_spec(random.Random(seed))))
    save_weights(net, tmp_path / "w.safetensors", names="own")
    again = build(net.spec)
    load_weights(again, tmp_path / "w.safetensors")
    assert same(net.state_dict(), again.state_dict())
    with pytest.raises(ValueError, match="hybrid networks have no names in timm"):
        save_weights(net, tmp_path / "w2.safetensors")


@pytest.mark.parametrize("name", AUTHORS_NAMES)
def test_authors_checkpoint(name, tmp_path):
    """By the tensor names of the authors' own code, with what their training script keeps beside the weights."""
    net = some_weights(build(load_spec(name)))
    theirs = Translation(timm_ties(net.spec), net.state_dict()).to_theirs()
    authors = AUTHORS_NAMES[name]
    assert {new for new in authors.values() if not new.endswith("attention_bias_idxs")} == set(theirs)
    state = {old: theirs.get(new, torch.zeros(49, 49, dtype=torch.long)) for old, new in authors.items()}
    settings = argparse.Namespace(lr=1e-3, name="x")
    beside = {"epoch": 299, "args": settings, "best": np.float64(80.4), "optimizer": {"state": {}}}
    torch.save({"model": state, **beside}, tmp_path / "w.pth.tar")
    again = build(net.spec)
    report = load_weights(again, tmp_path / "w.pth.tar")
    assert report.names == "official"
    assert same(net.state_dict(), again.state_dict())


@pytest.mark.parametrize("wrapper", ["state_dict_ema", "model_ema"])
def test_averaged_weights_first(wrapper, tmp_path):
    net, averaged = build(load_spec("iformer_t")), some_weights(build(load_spec("iformer_t")))
    data = {"state_dict": net.state_dict(), wrapper: {f"module.{k}": v for k, v in averaged.state_dict().items()}}
    torch.save(data, tmp_path / "w.pth")
    again = build(net.spec)
    load_weights(again, tmp_path / "w.pth")
    assert same(averaged.state_dict(), again.state_dict())
    load_weights(again, tmp_path / "w.pth", ema=False)
    assert same(net.state_dict(), again.state_dict())


def test_pytorch_averaged_model(tmp_path):
    averaged = torch.optim.swa_utils.AveragedModel(some_weights(build(load_spec("iformer_t"))))
    torch.save({"model_ema": averaged.state_dict()}, tmp_path / "w.pth")
    again = build(load_spec("iformer_t"))
    load_weights(again, tmp_path / "w.pth")
    assert same(averaged.module.state_dict(), again.state_dict())


@pytest.mark.parametrize("name", FAMILIES)
def test_other_classes(name, tmp_path, caplog):
    net = some_weights(build(load_spec(name)))
    save_weights(net, tmp_path / "w.safetensors")
    ours = build(net.spec.with_(num_classes=7))
    fresh = {key: tensor.clone() for key, tensor in ours.state_dict().items()}
    with caplog.at_level(logging.WARNING, "supernet"):
        report = load_weights(ours, tmp_path / "w.safetensors")
    assert "classifier reset: the file has 1000 classes, the network 7" in report.changed[0]
    assert "classifier reset" in caplog.text
    reset = {name for name, tensor in ours.state_dict().items() if 7 in tensor.shape[:1]}
    for key, tensor in ours.state_dict().items():
        assert torch.equal(tensor, fresh[key] if key in reset else net.state_dict()[key]), key
    assert len(reset) == (4 if net.spec.distilled else 2)
    backbone = build(net.spec.with_(num_classes=0))
    assert load_weights(backbone, tmp_path / "w.safetensors").changed == ["classifier left out: the network has none"]


@pytest.mark.parametrize(
    ("name", "size"),
    [("efficientformer_l1", 256), ("efficientformerv2_s0", 320), ("inception_iformer_small", (256, 192))],
)
def test_other_resolution(name, size, tmp_path):
    net = some_weights(build(load_spec(name))).eval()
    save_weights(net, tmp_path / "w.safetensors")
    ours = build(net.spec.with_(resolution=size)).eval()
    report = load_weights(ours, tmp_path / "w.safetensors")
    assert "position tables interpolated to resolution" in report.changed[0]
    x = F.interpolate(images(1, 224, 224), ours.spec.size, mode="bilinear")
    with torch.no_grad():
        assert ours(x).isfinite().all()
    with pytest.raises(ValueError, match=r"images of 224x224 pixels don't fit"):
        ours(images(1, 224, 224))
    for key, module in ours.named_modules():
        if isinstance(module, PositionBias):  # the same distance keeps its bias: none, and the farthest
            old = net.get_submodule(key)
            for place in ((0, 0), (-1, -1), (0, -1)):
                new_value = module.table.reshape(-1, *module.size)[:, place[0], place[1]]
                assert torch.allclose(new_value, old.table.reshape(-1, *old.size)[:, place[0], place[1]])
    load_weights(build(net.spec), tmp_path / "w.safetensors")


def test_resolution_of_a_file_that_tells_its_spec(tmp_path):
    """A table of 8x7 distances is no square; the spec in the file says what it is."""
    wide = some_weights(build(load_spec("efficientformerv2_s0").with_(resolution=(256, 224))))
    save_weights(wide, tmp_path / "w.safetensors")
    ours = build(load_spec("efficientformerv2_s0"))
    assert "5 position tables interpolated" in load_weights(ours, tmp_path / "w.safetensors").changed[0]
    tall = build(wide.spec.with_(resolution=(224, 256)))  # as many distances, in another order
    assert "5 position tables interpolated" in load_weights(tall, tmp_path / "w.safetensors").changed[0]
    save_weights(wide, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="which is no square"):
        load_weights(ours, tmp_path / "w.pth")


def test_one_channel(tmp_path):
    net = some_weights(build(load_spec("iformer_t")))
    save_weights(net, tmp_path / "w.safetensors")
    grey = build(net.spec.with_(in_chans=1))
    report = load_weights(grey, tmp_path / "w.safetensors")
    assert report.changed == ["first convolution changed from 3 to 1 input channels"]
    assert torch.allclose(grey.stem.conv1.conv.weight, net.stem.conv1.conv.weight.sum(1, keepdim=True), atol=1e-6)


def test_what_does_not_fit_is_listed(tmp_path):
    net = some_weights(build(load_spec("iformer_t")))
    save_weights(net, tmp_path / "w.pth")
    state = torch.load(tmp_path / "w.pth", weights_only=True)
    del state["stem.conv1.bn.weight"]
    state["extra.weight"] = torch.zeros(2)
    state["stem.conv3.c.weight"] = torch.zeros(32, 64, 3, 3)
    torch.save(state, tmp_path / "w.pth")
    ours = build(net.spec)
    before = {key: tensor.clone() for key, tensor in ours.state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        load_weights(ours, tmp_path / "w.pth")
    for words in (
        "1 missing in the file: stem.conv1.norm.weight",
        "1 not in the network: extra.weight",
        "1 of another shape: stem.conv3.conv.weight (32x64x3x3 in the file, 32x64x1x1 here)",
    ):
        assert words in str(caught.value)
    assert same(before, ours.state_dict()), "a refused file must leave the network as it was"
    report = load_weights(ours, tmp_path / "w.pth", strict=False)
    assert report.missing == ["stem.conv1.norm.weight"]
    assert torch.equal(ours.state_dict()["stem.conv2.conv.weight"], net.state_dict()["stem.conv2.conv.weight"])
    with pytest.raises(WeightsError, match=r"none of its .* tensors belongs to this network"):
        load_weights(build(load_spec("lowformer_b0")), _unrelated(tmp_path))
    assert "1 not in the network" in str(report)


def changed_file(net, path, **changes):
    """What `save_weights` writes, with some tensors replaced, or left out where None."""
    save_weights(net, path)
    state = torch.load(path, weights_only=True) | changes
    torch.save({name: tensor for name, tensor in state.items() if tensor is not None}, path)
    return path


def test_joined_tensors_of_another_shape(tmp_path):
    """A third of the rows of a joint query, key and value must not become all three."""
    net = build(load_spec("inception_iformer_small"))
    name = "blocks1.0.attn.low_mixer.qkv.weight"
    path = changed_file(net, tmp_path / "w.pth", **{name: torch.zeros(32, 32), "pos_embed1": torch.zeros(1, 3136, 96)})
    with pytest.raises(WeightsError) as caught:
        load_weights(build(net.spec), path)
    assert (
        f"2 of another shape: pos_embed1 (1x3136x96 in the file, 1x56x56x96 here), {name} (32x32 in the file, 96x32"
        in str(caught.value)
    )
    assert "missing" not in str(caught.value)


def test_another_network_of_the_family(tmp_path):
    save_weights(build(load_spec("iformer_m")), tmp_path / "m.safetensors")
    with pytest.raises(WeightsError, match=r"150 not in the network.* 330 of another shape"):
        load_weights(build(load_spec("iformer_t")), tmp_path / "m.safetensors")
    report = load_weights(build(load_spec("iformer_t")), tmp_path / "m.safetensors", strict=False)
    assert not any("input channels" in line for line in report.changed)
    assert any(text.startswith("stem.conv1.conv.weight (24x3x5x5 in the file, 16x3x5x5") for text in report.misshapen)


def test_other_heads_with_equal_shapes(tmp_path):
    """Two heads of 32 and one of 64 have tensors of equal shape; the spec in the file tells them apart."""
    net = build(load_spec("lowformer_b0"))
    save_weights(net, tmp_path / "w.safetensors", names="own")
    stages = list(net.spec.stages)
    block = msgspec.structs.replace(stages[2].blocks[0], heads=1, head_width=64)
    stages[2] = msgspec.structs.replace(stages[2], blocks=(block, *stages[2].blocks[1:]))
    other = build(net.spec.with_(stages=tuple(stages)))
    with pytest.raises(WeightsError, match=r"written for other attention heads: stages\[2\].blocks\[0\].head"):
        load_weights(other, tmp_path / "w.safetensors")
    assert len(load_weights(other, tmp_path / "w.safetensors", strict=False).other_network) == 2


def test_other_windows_are_told(tmp_path):
    net = build(load_spec("iformer_t"))
    save_weights(net, tmp_path / "w.safetensors")
    stages = list(net.spec.stages)
    blocks = tuple(
        msgspec.structs.replace(block, window=7) if hasattr(block, "window") else block for block in stages[2].blocks
    )
    stages[2] = msgspec.structs.replace(stages[2], blocks=blocks)
    report = load_weights(build(net.spec.with_(stages=tuple(stages))), tmp_path / "w.safetensors")
    assert report.changed[0] == "the file's network differs: stages[2].blocks[6].window is None there, 7 here"


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: {"model": state, "ema": {"decay": 0.99}},
        lambda state: {"model": state, "model_ema": {}},
        lambda state: {"model": state, "ema": {"decay": torch.tensor(0.99)}},
        lambda state: {
            "state_dict": {"model." + name: t for name, t in state.items()} | {"loss.weight": torch.ones(3)}
        },
        lambda state: {"_orig_mod.module." + name: t for name, t in state.items()},
    ],
    ids=["settings of averaging", "no averages", "a tensor for a setting", "lightning", "compiled and parallel"],
)
def test_wrappers(wrapped, tmp_path):
    net = some_weights(build(load_spec("iformer_t")))
    torch.save(wrapped(net.state_dict()), tmp_path / "w.ckpt")
    again = build(net.spec)
    report = load_weights(again, tmp_path / "w.ckpt", strict=False)
    assert report.unexpected in ([], ["loss.weight"])
    assert report.missing == []
    assert same(net.state_dict(), again.state_dict())


def test_attention_in_places_timm_does_not_know(tmp_path):
    spec = load_spec("efficientformer_l1").with_(resolution=64)
    last = spec.stages[3]
    shuffled = msgspec.structs.replace(last, blocks=last.blocks[::-1])
    net = some_weights(build(spec.with_(stages=(*spec.stages[:3], shuffled))))
    with pytest.raises(ValueError, match="attention at the end of the last stage only"):
        save_weights(net, tmp_path / "w.safetensors")
    save_weights(net, tmp_path / "w.safetensors", names="own")
    again = build(net.spec)
    load_weights(again, tmp_path / "w.safetensors")
    assert same(net.state_dict(), again.state_dict())


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_damaged_files(suffix, tmp_path):
    """A flipped byte in the structure of a file: a clear error or a whole network, never anything else."""
    spec = parse_spec(TINY)
    save_weights(build(spec), tmp_path / f"whole{suffix}", names="own")
    whole = (tmp_path / f"whole{suffix}").read_bytes()
    r, refused = random.Random(0), 0
    structure = [at for at in range(len(whole)) if suffix == ".pth" or at < 9000]
    for _ in range(100):
        damaged = bytearray(whole)
        for _ in range(r.randint(1, 4)):
            damaged[r.choice(structure)] = r.randrange(256)
        path = tmp_path / f"damaged{suffix}"
        path.write_bytes(damaged)
        try:
            load_weights(build(spec), path)
        except WeightsError as error:
            refused += 1
            message = str(error)
            assert "\n" not in message
            assert message.isprintable()
    assert refused > 15


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("inception_iformer_small", lambda t: t.repeat(2, 1, 1, 1), "1 of another shape: stages.0.position.table"),
        ("inception_iformer_small", lambda t: t[:, :, :0], "has no values"),
        ("efficientformer_l1", lambda t: t[:, :0], "has no values"),
        ("efficientformer_l1", lambda t: t[:3], "1 of another shape: stages.3.blocks.3.mixer.body.bias.table"),
        ("efficientformer_l1", lambda t: t.to("meta"), "has no values"),
    ],
)
def test_tables_that_cannot_be_resized(name, change, expected, tmp_path):
    net = build(load_spec(name))
    table = "pos_embed1" if name.startswith("inception") else "stages.3.blocks.4.token_mixer.attention_biases"
    save_weights(net, tmp_path / "w.pth")
    state = torch.load(tmp_path / "w.pth", weights_only=True)
    torch.save(state | {table: change(state[table])}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=expected):
        load_weights(net, tmp_path / "w.pth")


def test_networks_without_memory(tmp_path):
    save_weights(build(load_spec("iformer_t")), tmp_path / "w.pth")
    with torch.device("meta"):
        net = build_anew(load_spec("iformer_t"))
    with pytest.raises(ValueError, match="is on the meta device"):
        load_weights(net, tmp_path / "w.pth")


def test_another_size_is_no_other_network(tmp_path):
    net = build(load_spec("efficientformerv2_s0").with_(resolution=(64, 96)))
    save_weights(net, tmp_path / "w.safetensors")
    report = load_weights(build(net.spec.with_(resolution=(96, 128))), tmp_path / "w.safetensors")
    assert report.changed == ["5 position tables interpolated to resolution 96x128"]


def test_tensors_that_copying_would_cut(tmp_path):
    net = build(load_spec("iformer_t"))
    for odd in (torch.zeros(16, dtype=torch.complex64), torch.zeros(16).to_sparse()):
        path = changed_file(net, tmp_path / "w.pth", **{"stem.conv1.bn.weight": odd})
        with pytest.raises(WeightsError, match=r"stem.conv1.bn.weight is a torch\.\w+ tensor of torch\.\w+"):
            load_weights(net, path)


def _unrelated(folder):
    torch.save({"a.weight": torch.zeros(1), "b.weight": torch.zeros(1)}, folder / "other.pth")
    return folder / "other.pth"


def test_distilled_or_not(tmp_path):
    save_weights(build(load_spec("iformer_m_distilled")), tmp_path / "two.safetensors")
    save_weights(build(load_spec("iformer_m")), tmp_path / "one.safetensors")
    with pytest.raises(WeightsError, match="set `distilled: true` in the spec"):
        load_weights(build(load_spec("iformer_m")), tmp_path / "two.safetensors")
    with pytest.raises(WeightsError, match="set `distilled: false` in the spec"):
        load_weights(build(load_spec("iformer_m_distilled")), tmp_path / "one.safetensors")


class Trap:
    def __reduce__(self):
        return (print, ("code ran while reading weights",))


@pytest.mark.parametrize("protocol", [2, 4])
def test_nothing_is_unpickled(protocol, tmp_path, capsys):
    torch.save({"model": {"w": torch.zeros(1)}, "trap": Trap()}, tmp_path / "zip.pth", pickle_protocol=protocol)
    (tmp_path / "plain.pth").write_bytes(pickle.dumps({"w": Trap()}, protocol=protocol))
    for name in ("zip.pth", "plain.pth"):
        with pytest.raises(WeightsError) as caught:
            load_weights(build(load_spec("iformer_t")), tmp_path / name)
        assert "\n" not in str(caught.value)
    assert "code ran" not in capsys.readouterr().out


def test_files_that_are_no_weights(tmp_path):
    net = build(load_spec("iformer_t"))
    save_weights(net, tmp_path / "whole.safetensors")
    whole = (tmp_path / "whole.safetensors").read_bytes()
    for name, content in {
        "empty.pth": b"",
        "text.pth": b"hello",
        "empty.safetensors": b"",
        "cut.safetensors": whole[: len(whole) // 2],
        "noise.pth": np.random.default_rng(0).bytes(1000),
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WeightsError) as caught:
            load_weights(net, tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)
    torch.save({"epoch": 3}, tmp_path / "none.pth")
    with pytest.raises(WeightsError, match="holds no tensors by name"):
        load_weights(net, tmp_path / "none.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(WeightsError, match="holds no tensors by name"):
        load_weights(net, tmp_path / "list.pth")
    with pytest.raises(WeightsError, match="there is no such file"):
        load_weights(net, tmp_path / "nothing.pth")
    with pytest.raises(WeightsError, match=r"suffix '.bin' is not one of"):
        save_weights(net, tmp_path / "w.bin")
    with pytest.raises(WeightsError, match="can't be written"):
        save_weights(net, tmp_path / "no" / "such" / "w.safetensors")
    with pytest.raises(WeightsError, match="is no file"):
        load_weights(net, tmp_path)
    with pytest.raises(ValueError, match="names 'tim' is not one of"):
        save_weights(net, tmp_path / "w.pth", names="tim")


def test_safetensors_without_suffix(tmp_path):
    net = some_weights(build(load_spec("iformer_t")))
    save_weights(net, tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors").rename(tmp_path / "weights")
    again = build(net.spec)
    load_weights(again, tmp_path / "weights")
    assert same(net.state_dict(), again.state_dict())


def test_fused_networks(tmp_path):
    fused = fuse(some_weights(build(load_spec("iformer_t"))))
    with pytest.raises(ValueError, match="fused network can only be saved with names='own'"):
        save_weights(fused, tmp_path / "w.safetensors")
    save_weights(fused, tmp_path / "w.safetensors", names="own")
    again = fuse(build(fused.spec))
    load_weights(again, tmp_path / "w.safetensors")
    assert same(fused.state_dict(), again.state_dict())
