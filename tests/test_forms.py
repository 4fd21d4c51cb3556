"""A built network is an ordinary module: it traces, scripts, exports, compiles, and runs in other number formats."""

import copy
import pickle
import warnings

import pytest
import torch
from filling import lived_in
from msgspec.structs import replace
from torch._subclasses.fake_tensor import FakeTensorMode

from supernet import build, load_space, load_spec, set_drop_path

# Small images and few blocks keep this quick; every kind of block is in one of the five.
SIZES = {
    "efficientformer_l1": 96,
    "efficientformerv2_s0": 96,
    "iformer_m_distilled": 96,
    "inception_iformer_small": 64,
    "lowformer_b0": 96,
}


def shortened(spec):
    """Without the repetitions of blocks."""
    stages = [replace(stage, blocks=tuple(dict.fromkeys(stage.blocks))) for stage in spec.stages]
    return spec.with_(stages=tuple(stages))


@pytest.fixture(params=SIZES)
def net(request):
    spec = shortened(load_spec(request.param))
    return lived_in(build(spec.with_(resolution=SIZES[request.param], num_classes=10))).eval()


def some_images(net, batch=2):
    return torch.randn(batch, 3, *net.spec.size)


def assert_same(one, other, tolerance=1e-4):
    assert one.shape == other.shape
    assert (one.float() - other.float()).abs().max() <= tolerance * max(1e-3, float(other.float().abs().max()))


@pytest.mark.slow
@torch.no_grad()
def test_traced_scripted_exported(net):
    x = some_images(net)
    expected = net(x)
    assert_same(torch.export.export(net, (x,)).module()(x), expected)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both are deprecated, and still what Core ML tools take
        assert_same(torch.jit.trace(net, x)(x), expected)
        assert_same(torch.jit.script(net)(x), expected)


@pytest.mark.slow
def test_compiled_without_graph_breaks(net):
    """Forward and backward; without code generation, which takes a minute and is PyTorch's business."""
    torch.compiler.reset()  # five networks share one forward, which may only be compiled so often
    x = some_images(net)
    compiled = torch.compile(net.train(), backend="aot_eager", fullgraph=True)
    compiled(x).square().mean().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    with torch.no_grad():
        assert_same(compiled.eval()(x), net.eval()(x))


@pytest.mark.slow
@torch.no_grad()
def test_compiled_to_machine_code():
    net = build(load_space("tiny").smallest()).eval()
    x = some_images(net)
    assert_same(torch.compile(net)(x), net(x), 1e-3)


@torch.no_grad()
def test_channels_last(net):
    x = some_images(net)
    expected = net(x)
    last = copy.deepcopy(net).to(memory_format=torch.channels_last)
    assert_same(last(x.to(memory_format=torch.channels_last)), expected, 1e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(net, dtype):
    x = some_images(net)
    with torch.no_grad():
        expected = net(x)
        with torch.autocast("cpu", dtype):
            assert_same(net(x), expected, 0.2)
    with torch.autocast("cpu", dtype):
        scores = net.train()(x)
        assert scores.dtype == dtype
    scores.float().square().mean().backward()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters())
    with torch.no_grad():
        assert net.eval().to(dtype)(x.to(dtype)).dtype == dtype


def test_copies(net):
    x = some_images(net)
    with torch.no_grad():
        assert torch.equal(copy.deepcopy(net)(x), net(x))
        assert torch.equal(pickle.loads(pickle.dumps(net))(x), net(x))  # noqa: S301


def test_checkpointing_changes_no_gradient(net):
    x = some_images(net)
    net.train()
    other = copy.deepcopy(net)
    other.set_grad_checkpointing()
    for one in (net, other):
        one(x).square().mean().backward()
    for one, two in zip(net.parameters(), other.parameters(), strict=True):
        assert torch.allclose(one.grad, two.grad, rtol=1e-4, atol=1e-6)


def test_weights_may_change_after_eval():
    """Implementations that cache the gathered position bias give stale answers here."""
    net = build(load_spec("efficientformerv2_s0").with_(resolution=64)).eval()
    x = some_images(net)
    with torch.no_grad():
        before = net(x)
        for name, parameter in net.named_parameters():
            if name.endswith("bias.table"):
                parameter.add_(torch.randn_like(parameter))
        assert not torch.allclose(net(x), before)


@pytest.mark.parametrize("name", ["efficientformer_l1", "efficientformerv2_s0", "inception_iformer_small"])
@torch.no_grad()
def test_built_without_memory(name):
    """Made on the meta device and filled later, by assignment or in place, it gives the same answers."""
    spec = load_spec(name).with_(resolution=64)
    net = lived_in(build(spec)).eval()
    x = some_images(net)
    with torch.device("meta"):
        assigned, filled = build(spec).eval(), build(spec).eval()
    assigned.load_state_dict(net.state_dict(), assign=True)
    filled = filled.to_empty(device="cpu")
    filled.load_state_dict(net.state_dict())
    moved = copy.deepcopy(net).to("meta")
    moved.load_state_dict(net.state_dict(), assign=True)
    for one in (assigned, filled, moved):
        assert torch.equal(one(x), net(x))


def test_first_built_in_another_mode():
    """What one network was built in must not reach the next."""
    spec = load_spec("efficientformerv2_s0").with_(resolution=96)
    with torch.inference_mode():
        build(spec)
    with FakeTensorMode():
        build(spec)
    net = build(spec)
    net(some_images(net)).sum().backward()
    assert net.stages[3].blocks[3].mixer.body.bias.table.grad is not None


def test_drop_path():
    net = build(load_spec("iformer_t").with_(resolution=64), drop_path=0.2)
    rates = [m.drop_prob for name, m in net.named_modules() if name.endswith("drop_path") and hasattr(m, "drop_prob")]
    # 2 + 2 + (6 + 3 * 3 + 1) + 2 * 3 steps as the authors count them; position encodings are never dropped
    steps = [0, 1, 2, 3, *range(4, 10), 11, 12, 14, 15, 17, 18, 19, 21, 22, 24, 25]
    assert rates == pytest.approx([0.2 * step / 25 for step in steps])
    set_drop_path(net, 0.0)
    x = some_images(net, 4)
    net.train()
    torch.manual_seed(1)
    again = copy.deepcopy(net)
    assert torch.equal(net(x), again(x))
    with pytest.raises(ValueError, match="drop_path 1 is not from 0 to below 1"):
        set_drop_path(net, 1)
