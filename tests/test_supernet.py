"""A subnet on slices of shared weights is the network that `extract` copies out: outputs bitwise, gradients alike."""

import copy
import gc
import pickle
import random

import pytest
import torch
from torch import nn

import supernet
from supernet import Supernet, load_space, parse_space, space_names
from supernet.elastic.skeletons import skeleton
from supernet.network import Network
from tests.filling import lived_in
from tests.random_specs import random_spec

SMALL = {"tiny": (16,), "efficientformerv2_small": (32, 48), "inception": (64, 96), "lowformer": (64,)}


def small_space(name):
    """The space with small images, several sizes where tables depend on it."""
    return load_space(name).with_(resolutions=SMALL.get(name, (32,)))


@pytest.fixture(scope="module", params=space_names())
def net(request):
    torch.manual_seed(0)
    return lived_in(Supernet(small_space(request.param)))


def test_every_kind_of_space_is_tested():
    assert {"efficientformer", "efficientformerv2", "hybrid", "iformer", "inception", "lowformer"} <= set(space_names())


@pytest.mark.slow
def test_subnets_equal_extracted_networks(net):
    rng, number = random.Random(0), 18 if net.gradients.numel() < 2e6 else 6  # a large one takes half a second
    members = [net.space.sample(rng) for _ in range(number)] + [net.space.largest(), net.space.smallest()]
    for spec in members:
        subnet, plain = net.subnet(spec), net.extract(spec)
        assert plain.spec == spec
        images = torch.randn(2, spec.in_chans, *spec.size)
        net.zero_grad()
        ours, theirs = net(images, spec), plain(images)
        assert torch.equal(ours, theirs)
        pull = torch.randn_like(ours)
        ours.backward(pull)
        theirs.backward(pull)
        _check_gradients(net, subnet, plain)


def _check_gradients(net, subnet, plain):
    names = {id(parameter): name for name, parameter in subnet.named_parameters()}
    expected = dict(plain.named_parameters())
    assert len(names) == len(expected) == len(subnet.borrowed)
    for one in subnet.borrowed:
        wanted = expected[names[id(one.parameter)]].grad
        if one.parameter.shape == wanted.shape:  # tables of larger images are compared where they are tested
            found, wanted = one.gradient.view, one.gradient.like(wanted)
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()) + 1e-12)
    assert net.gradients.any()
    for one in subnet.borrowed:
        one.gradient.view.zero_()
    assert not net.gradients.any(), "a gradient outside the subnet's slices"


def test_evaluation_after_calibration_is_extracted_too(net):
    spec = net.space.sample(random.Random(1))
    subnet = net.subnet(spec)
    images = torch.randn(4, spec.in_chans, *spec.size)
    subnet.train()(images)
    plain = net.extract(spec).eval()
    assert torch.equal(subnet.eval()(images), plain(images))


@pytest.mark.slow
def test_sorting_changes_no_output_of_the_largest(net):
    space = net.space
    other = Supernet(space).double()
    other.load_state_dict(net.state_dict())
    spec = space.largest()
    images = torch.randn(8, spec.in_chans, *spec.size, dtype=torch.double)  # batch norm of two values is chaotic
    before, weights = other(images, spec).detach(), {n: p.clone() for n, p in other.named_parameters()}
    order = supernet.sort_channels(other)
    torch.testing.assert_close(other(images, spec), before, rtol=1e-9, atol=1e-9)
    assert sum(not torch.equal(weights[n], p) for n, p in other.named_parameters()) > len(weights) / 2
    order.apply(weights)
    assert all(torch.equal(weights[n], p) for n, p in other.named_parameters())


def test_prefixes_keep_the_most_important():
    torch.manual_seed(0)
    net = Supernet(load_space("tiny"))
    name = "stages.1.slots.0.conv.ffn.body.expand.conv.weight"  # (hidden, width, 1, 1)
    with torch.no_grad():
        for full in (name, name.replace("expand", "project")):
            weight = net.get_parameter(full)
            scale = torch.linspace(0.1, 3, weight.shape[0 if full == name else 1])[torch.randperm(96)]
            weight *= scale.view(-1, 1, 1, 1) if full == name else scale.view(1, -1, 1, 1)
    supernet.sort_channels(net, axes=["stages.1.slots.0.conv.ffn|hidden"])
    total = sum(
        weight.abs().transpose(0, dim).flatten(1).mean(1) / weight.abs().mean()
        for weight, dim in ((net.get_parameter(name), 0), (net.get_parameter(name.replace("expand", "project")), 1))
    )
    assert torch.corrcoef(torch.stack([total, -torch.arange(96.0)]))[0, 1] > 0.9


def test_sorting_by_gradients_and_errors():
    net = Supernet(load_space("tiny"))
    spec = net.space.largest()
    net(torch.randn(4, 3, 16, 16), spec).square().sum().backward()
    assert supernet.sort_channels(net, "taylor").indices
    with pytest.raises(ValueError, match="not one of l1, l2, taylor"):
        supernet.sort_channels(net, "l3")
    with pytest.raises(ValueError, match=r"did you mean 'stages\.1'"):
        supernet.sort_channels(net, axes=["stages.11"])
    with pytest.raises(ValueError, match="norm for each width"):
        supernet.sort_channels(Supernet(load_space("tiny"), norm_per_width=True))


def test_axes_of_every_kind_are_declared():
    """Of random networks of all parts: what has a parameter has axes, of as many dimensions."""
    from supernet.elastic.axes import parameter_axes
    from supernet.elastic.naming import Naming

    rng = random.Random(0)
    for _ in range(60):
        spec, pieces = random_spec(rng), []
        Network(spec, lambda piece: (pieces.append(piece), nn.Identity())[1])  # noqa: B023
        names = Naming(((),) * len(spec.stages), tuple(f"stages.{i}" for i in range(len(spec.stages))), False)
        for piece in pieces:
            module = skeleton(piece)
            assert len(parameter_axes(piece, module, names)) == len(list(module.parameters()))


def test_one_subnet_for_one_spec_while_somebody_holds_it():
    net = Supernet(load_space("tiny"))
    spec = net.space.largest()
    subnet = net.subnet(spec)
    for member in net.space.members(random.Random(0), 20):
        net.subnet(member)
    assert net.subnet(spec) is subnet


def test_subnets_alive_at_once_share_weights_but_no_statistics():
    net = Supernet(load_space("tiny"))
    rng = random.Random(0)
    one = net.space.largest()
    other = next(s for s in (net.space.sample(rng) for _ in range(1000)) if s.stem == one.stem and s != one)
    first, second = net.subnet(one), net.subnet(other)
    assert first.stem.conv1.conv.weight.data_ptr() == second.stem.conv1.conv.weight.data_ptr()
    first(torch.randn(4, 3, 16, 16))
    assert first.stem.conv1.norm.running_mean.any()
    assert not second.stem.conv1.norm.running_mean.any()


def test_a_subnet_comes_back_as_new():
    space = load_space("efficientformerv2_small")
    net = Supernet(space)
    spec = space.largest()
    subnet = net.subnet(spec)
    subnet.set_rates(0.3, 0.2)
    subnet.eval()
    net_modules = {id(module) for module in subnet.modules()}
    subnet.train()(torch.randn(2, 3, 64, 64))
    subnet.eval()
    del subnet
    net.forget_subnets()
    gc.collect()
    again = net.subnet(spec)
    assert net_modules & {id(module) for module in again.modules()}, "nothing was kept: this tests nothing"
    assert again.training
    assert all(module.training for module in again.modules())
    for module in again.modules():
        assert getattr(module, "drop_prob", 0.0) == 0.0
        assert not isinstance(module, nn.Dropout) or module.p == 0.0
        if isinstance(module, nn.BatchNorm2d):
            assert not module.running_mean.any()
            assert torch.equal(module.running_var, torch.ones_like(module.running_var))
            assert module.num_batches_tracked == 0


def test_gradients_come_back_after_an_optimisers_zero_grad():
    net = Supernet(load_space("tiny"))
    spec = net.space.largest()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    images = torch.randn(4, 3, 16, 16)
    for forget in (
        lambda: optimizer.zero_grad(set_to_none=True),
        lambda: net.subnet(spec).zero_grad(),
        lambda: net.zero_grad(),
    ):
        forget()
        before = net.get_parameter("stem.conv1.conv.weight").detach().clone()
        net(images, spec).square().sum().backward()
        optimizer.step()
        assert not torch.equal(before, net.get_parameter("stem.conv1.conv.weight"))


def test_copied_slices_follow_the_shared_weights():
    """Heads of less width are no view of the shared tensor: values come in and gradients go back."""
    space = load_space("efficientformerv2_small")
    torch.manual_seed(0)
    net = Supernet(space)
    rng = random.Random(0)
    spec = next(
        s
        for s in (space.sample(rng) for _ in range(1000))
        if any(getattr(b, "value_width", 0) == 16 and b.heads == 4 for b in s.stages[2].blocks)
    )
    subnet = net.subnet(spec)
    assert any(not one.values.is_view for one in subnet.borrowed)
    images = torch.randn(2, 3, *spec.size)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    for _ in range(3):
        net.zero_grad()
        plain = net.extract(spec)
        first = net(images, spec)
        assert torch.equal(first, plain(images))
        (first.square().sum() + net(images, spec).square().sum()).backward()  # two passes, then one backward
        (2 * plain(images).square().sum()).backward()
        _check_gradients_close(net, subnet, plain)
        net.zero_grad()
        net(images, spec).square().sum().backward()
        optimizer.step()


def _check_gradients_close(net, subnet, plain):
    expected = dict(plain.named_parameters())
    for name, parameter in subnet.named_parameters():
        one = next(one for one in subnet.borrowed if one.parameter is parameter)
        wanted = one.gradient.like(expected[name].grad)
        if one.gradient.view.shape == wanted.shape:
            torch.testing.assert_close(
                one.gradient.view, wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()) + 1e-9
            )


def test_loading_into_a_subnet_is_loading_into_the_supernet(tmp_path):
    space = load_space("efficientformerv2_small")
    torch.manual_seed(0)
    net = Supernet(space)
    rng = random.Random(2)
    for spec in (space.largest(), space.sample(rng), space.sample(rng)):
        trained = lived_in(supernet.build(spec))
        supernet.save_weights(trained, tmp_path / "member.safetensors")
        report = net.load_member(tmp_path / "member.safetensors", spec)
        assert not report.problems()
        images = torch.randn(2, 3, *spec.size)
        assert torch.equal(net.extract(spec).eval()(images), trained.eval()(images))


def test_a_published_checkpoint_of_timm_initialises_its_member(tmp_path):
    timm = pytest.importorskip("timm")
    spec = supernet.load_spec("efficientformerv2_s0")
    theirs = lived_in(timm.create_model("efficientformerv2_s0")).eval()
    path = tmp_path / "s0.pth"
    torch.save(theirs.state_dict(), path)
    net = Supernet(load_space("efficientformerv2"))
    net.load_member(path, spec)
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(net.extract(spec).eval()(images), theirs(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("norm_per_width", [False, True])
@pytest.mark.parametrize("name", ["iformer_small", "efficientformerv2_small"])
def test_fresh_weights_are_distributed_as_those_of_the_largest_network(name, norm_per_width):
    space = load_space(name)
    torch.manual_seed(0)
    net, theirs = Supernet(space, norm_per_width=norm_per_width), supernet.build(space.largest())
    subnet = net.subnet(space.largest())
    ours, large = dict(subnet.named_parameters()), 0
    for name, parameter in theirs.named_parameters():
        is_whole = ours[name].untyped_storage().nbytes() == parameter.untyped_storage().nbytes()
        if parameter.numel() > 1 and parameter.std() == 0:
            assert torch.equal(ours[name], parameter), name
        elif parameter.numel() > 500 and is_whole:  # the middle of a larger kernel is distributed as that kernel
            large += 1
            assert abs(float(ours[name].std() / parameter.std()) - 1) < 0.2, name
    assert large > 20


def test_a_norm_for_each_width():
    net = Supernet(load_space("tiny"), norm_per_width=True)
    names = set(dict(net.named_parameters()))
    assert {f"stages.1.downsample.norm.weight@{width}" for width in (16, 24, 32)} <= names
    space = net.space
    wide, narrow = space.largest(), space.smallest()
    net(torch.randn(4, 3, 16, 16), narrow).square().sum().backward()
    assert net.get_parameter("stages.1.downsample.norm.weight@16").grad.any()
    assert not net.get_parameter("stages.1.downsample.norm.weight@32").grad.any()
    assert torch.equal(net(torch.ones(2, 3, 16, 16), wide), net.extract(wide)(torch.ones(2, 3, 16, 16)))
    for spec in space.members(random.Random(0), 20):  # every width has its norm
        assert torch.isfinite(net(torch.randn(2, 3, 16, 16), spec)).all()


def test_what_a_subnet_refuses():
    net = Supernet(load_space("tiny"))
    subnet = net.subnet(net.space.largest())
    with pytest.raises(TypeError, match="extract"):
        subnet.double()
    with pytest.raises(TypeError, match="extract"):
        subnet.reset_classifier(5)
    with pytest.raises(TypeError, match="extract"):
        subnet.prune_intermediate_layers()
    with pytest.raises(ValueError, match="assign"):
        subnet.load_state_dict(subnet.state_dict(), assign=True)
    with pytest.raises(supernet.SpecError, match="resolution: 224 is not"):
        net.subnet(supernet.load_spec("iformer_t").with_(num_classes=10))


def test_moving_the_supernet_makes_new_subnets():
    net = Supernet(load_space("tiny"))
    spec = net.space.largest()
    old = net.subnet(spec)
    net.double()
    assert net.subnet(spec) is not old
    images = torch.randn(2, 3, 16, 16, dtype=torch.double)
    net(images, spec).sum().backward()
    assert net.gradients.dtype == torch.double
    assert net.gradients.any()


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])  # noqa: S301
def test_a_copy_has_weights_of_its_own(duplicate):
    net = Supernet(load_space("tiny"))
    spec = net.space.largest()
    subnet, images = net.subnet(spec), torch.randn(2, 3, 16, 16)
    other = duplicate(net)
    assert torch.equal(other(images, spec), net(images, spec))
    assert other.subnet(spec) is not subnet
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert not other(images, spec).any()
    other(images, spec).sum().backward()
    assert net(images, spec).any()
    assert not net.gradients.any()


def test_tensors_can_not_be_replaced_behind_the_subnets():
    net = Supernet(load_space("tiny"))
    with pytest.raises(ValueError, match="assign"):
        net.load_state_dict(net.state_dict(), assign=True)
    net.requires_grad_(False)
    assert not net(torch.randn(2, 3, 16, 16), net.space.largest()).requires_grad


def test_gradients_lie_as_their_tensors_do():
    net = Supernet(load_space("tiny")).to(memory_format=torch.channels_last)
    spec = net.space.largest()
    net(torch.randn(2, 3, 16, 16), spec).sum().backward()
    assert all(p.grad.stride() == p.stride() for p in net.parameters())
    other = Supernet(load_space("tiny"))
    other.load_state_dict(net.state_dict())
    images = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(net(images, spec), other(images, spec), rtol=1e-4, atol=1e-5)


def test_the_state_of_a_subnet_is_current():
    space = load_space("efficientformerv2_small")
    net = Supernet(space)
    for spec in space.members(random.Random(0), 6):
        state = net.subnet(spec).state_dict()
        for name, tensor in net.extract(spec).state_dict().items():
            assert state[name].shape != tensor.shape or torch.equal(state[name], tensor), name


def test_kinds_of_a_slot_share_what_the_space_says():
    space = load_space("efficientformerv2_small")
    names = set(dict(Supernet(space).named_parameters()))
    assert "stages.2.slots.0.ffn.body.expand.conv.weight" in names
    assert "stages.2.slots.0.attention_ffn.mixer.body.q.conv.weight" in names
    alone = parse_space(supernet.format_space(space).replace("share: [ffn]", "share: []"))
    assert "stages.2.slots.0.conv_ffn.ffn.body.expand.conv.weight" in dict(Supernet(alone).named_parameters())


def test_the_state_has_the_shared_tensors_only():
    net = Supernet(load_space("tiny"))
    net(torch.randn(2, 3, 16, 16), net.space.largest())
    other = Supernet(load_space("tiny"))
    other.load_state_dict(net.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), other.parameters(), strict=True))
    assert set(net.state_dict()) == {name for name, _ in net.named_parameters()}
