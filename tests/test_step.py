"""The sandwich: its gradient is the sum of what its members would add alone, and the weights move once."""

import random

import pytest
import timm
import torch
from torch import nn

from supernet import SpecError, Supernet, load_space, sort_channels
from training.averaging import Averaged
from training.calibration import batch_norms, calibrate
from training.compiling import make_runner
from training.config import AugmentConfig, OptimizerConfig, TeacherConfig
from training.evaluation import evaluate, evaluate_members, evaluation_members
from training.losses import soft_cross_entropy, soft_labels
from training.precision import Precision
from training.step import LARGEST, SAMPLED, SMALLEST, Member, Sandwich, resized
from training.supernet_config import StepConfig
from training.teacher import Teacher, colour_change, make_teacher


class NoStep(torch.optim.SGD):
    """Leaves weights and gradients as they are, for looking at them."""

    def step(self, closure=None):
        self.steps = getattr(self, "steps", 0) + 1


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Supernet(load_space("tiny")).double()


@pytest.fixture
def members(net):
    rng = random.Random(0)
    roles = [(LARGEST, net.space.largest()), (SMALLEST, net.space.smallest())]
    return [Member(*one) for one in roles] + [Member(SAMPLED, net.space.sample(rng)) for _ in range(2)]


def batch(images=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    targets = torch.rand(images, 10, generator=generator, dtype=torch.double)
    return torch.randn(images, 3, 16, 16, generator=generator, dtype=torch.double), targets.softmax(1)


def sandwich(net, clip=None, **options):
    return Sandwich(net, NoStep(net.parameters(), lr=0.1), StepConfig(**options), OptimizerConfig(clip=clip))


def added(net, members, images, targets, teach):
    """The gradient of the members, each extracted and run alone."""
    total, losses = torch.zeros_like(net.gradients), []
    by_largest = None
    for member in members:
        net.zero_grad()
        scores = net.subnet(member.spec)(resized(images, member.spec.size))
        loss = soft_cross_entropy(scores, targets) if by_largest is None else soft_labels(scores, by_largest)
        loss.backward()
        by_largest = scores.detach() if teach and member.role == LARGEST else by_largest
        total += net.gradients
        losses.append(float(loss))
    return total, losses


@pytest.mark.parametrize("distill", ["none", "soft"])
def test_all_members_add_to_one_gradient(net, members, distill):
    images, targets = batch()
    expected, losses = added(net, members, images, targets, distill == "soft")
    ours = sandwich(net, distill=distill)
    found = ours.step(members, iter([(images, targets)]), 1, False).losses
    torch.testing.assert_close(net.gradients, expected)
    torch.testing.assert_close(found.double(), torch.tensor(losses, dtype=torch.double), rtol=1e-5, atol=1e-6)
    assert ours.mover.optimizer.steps == 1


def test_parts_of_a_step_are_averaged(net, members):
    first, second = batch(), batch(seed=1)
    total = sum(added(net, members, *one, True)[0] for one in (first, second)) / 2
    rest = iter([first, second, batch(seed=2)])
    sandwich(net).step(members, rest, 2, False)
    torch.testing.assert_close(net.gradients, total)
    assert len(list(rest)) == 1, "took more images than it should"


def test_sampled_members_can_divide_the_images(net, members):
    images, targets = batch(8)
    by_largest = net.subnet(members[0].spec)(images).detach()
    sandwich(net, images="split").step(members[:1] + members[2:], iter([(images, targets)]), 1, False)
    found = net.gradients.clone()
    net.zero_grad()
    soft_cross_entropy(net(images, members[0].spec), targets).backward()
    soft_labels(net(images[:4], members[2].spec), by_largest[:4]).backward()
    soft_labels(net(images[4:], members[3].spec), by_largest[4:]).backward()
    torch.testing.assert_close(found, net.gradients)


def test_unused_slices_have_no_gradient_after_a_step(net, members):
    images, targets = batch()
    ours = sandwich(net)
    ours.step(members, iter([(images, targets)]), 1, False)
    ours.step(members[1:2], iter([(images, targets)]), 1, False)
    for one in net.subnet(members[1].spec).borrowed:
        one.gradient.view.zero_()
    assert not net.gradients.any()


def test_conflicts_are_solved_between_the_groups(net, members):
    images, targets = batch()
    for mode in ("largest", "attention"):
        ours = sandwich(net, conflict=mode, distill="none")
        ours.step(members, iter([(images, targets)]), 1, False)
        plain = net.gradients.clone()
        ours.step(members, iter([(images, targets)]), 1, True)
        assert not torch.equal(plain, net.gradients)
    # Against the largest one's gradient, what is left of it must not point away from the others' sum.
    others = added(net, members[1:], images, targets, False)[0]
    ours = sandwich(net, conflict="largest", distill="none")
    ours.step(members, iter([(images, targets)]), 1, True)
    sizes = [parameter.numel() for parameter in net.parameters()]
    for left, other in zip((net.gradients - others).split(sizes), others.split(sizes), strict=True):
        assert float((left * other).sum()) > -1e-9


def test_drop_path_and_dropout_are_for_the_largest_only(net, members):
    images, targets = batch()
    ours = sandwich(net, drop_path=0.5, dropout=0.5)
    ours.step(members, iter([(images, targets)]), 1, False)
    rates = [max(getattr(m, "drop_prob", 0.0) for m in net.subnet(member.spec).modules()) for member in members]
    assert rates == [0.5, 0.0, 0.0, 0.0]
    assert [net.subnet(member.spec).head.dropout.p for member in members] == [0.5, 0.0, 0.0, 0.0]


def test_clipping(net, members):
    images, targets = batch()
    sandwich(net, clip=1e-3).step(members, iter([(images, targets)]), 1, False)
    assert abs(float(net.gradients.norm()) - 1e-3) < 1e-6


class Fixed(nn.Module):
    def forward(self, images):
        scores = torch.zeros(len(images), 10, dtype=images.dtype)
        scores[:, 3] = 9.0
        return scores


def test_an_external_teacher_is_followed():
    """One that always says 3, against labels that never do: the largest subnet learns to say 3."""
    torch.manual_seed(0)
    space = load_space("tiny")
    net = Supernet(space)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.03)  # the head sees no constant, so its bias must move
    teacher = Teacher(Fixed(), TeacherConfig(model="fixed", share=0.9))
    ours = Sandwich(net, optimizer, StepConfig(), OptimizerConfig(), teacher=teacher)
    members = [Member(LARGEST, space.largest()), Member(SMALLEST, space.smallest())]
    images = torch.randn(16, 3, 16, 16)
    targets = torch.eye(10)[torch.arange(16) % 3]
    for _ in range(60):
        ours.step(members, iter([(images, targets)]), 1, False)
    for member in members:  # the smallest one has it from the largest
        assert (net(images, member.spec).argmax(1) == 3).float().mean() > 0.9


def test_a_teacher_sees_colours_as_it_knows_them():
    image = torch.rand(2, 3, 4, 4)
    ours, theirs = ((0.4, 0.5, 0.6), (0.2, 0.25, 0.3)), ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

    def normalised(colours):
        mean, std = (torch.tensor(of).view(3, 1, 1) for of in colours)
        return (image - mean) / std

    class Seen(nn.Module):
        def forward(self, images):
            return images

    teacher = Teacher(Seen(), TeacherConfig(model="seen"), colour_change(ours, theirs))
    torch.testing.assert_close(teacher.scores(normalised(ours), Precision()), normalised(theirs))
    assert colour_change(ours, ours) is None


def test_a_teacher_for_images_of_another_size(tmp_path):
    space, weights = load_space("tiny"), tmp_path / "teacher.pth"
    torch.save(timm.create_model("vit_tiny_patch16_224", num_classes=10).state_dict(), weights)
    config = TeacherConfig(model="vit_tiny_patch16_224", weights=str(weights))
    with pytest.raises(
        SpecError, match=r"step\.teacher\.model: 'vit_tiny_patch16_224' can't take images of 16 pixels: Input height"
    ):
        make_teacher(config, "step.teacher", AugmentConfig(), space, [space.largest().resolution], Precision())
    fitting = space.with_(resolutions=(160, 224))  # it sees images of the largest size only
    teacher = make_teacher(
        config, "step.teacher", AugmentConfig(), fitting, [fitting.largest().resolution], Precision()
    )
    scores = teacher.scores(torch.zeros(2, 3, 224, 224), Precision())
    assert scores.shape == (2, 10)
    assert not scores.requires_grad
    with pytest.raises(SpecError, match="160 pixels"):
        make_teacher(config, "step.teacher", AugmentConfig(), fitting, fitting.resolutions, Precision())


def test_two_classifiers_learn_from_labels_and_teacher():
    torch.manual_seed(0)
    space = load_space("efficientformerv2_small").with_(distilled=True, resolutions=(32,))
    net = Supernet(space)
    teacher = Teacher(Fixed(), TeacherConfig(model="fixed", share=0.5))
    ours = Sandwich(net, torch.optim.Adam(net.parameters(), 3e-3), StepConfig(), OptimizerConfig(), teacher=teacher)
    members = [Member(LARGEST, space.largest()), Member(SMALLEST, space.smallest())]
    images, targets = torch.randn(8, 3, 32, 32), torch.eye(10)[torch.zeros(8, dtype=torch.long)]
    for _ in range(20):
        ours.step(members, iter([(images, targets)]), 1, False)
    largest = net.subnet(space.largest()).train()
    from_labels, from_teacher = largest(images)
    assert (from_labels.argmax(1) == 0).all()
    assert (from_teacher.argmax(1) == 3).all()
    assert isinstance(largest.eval()(images), torch.Tensor)


def test_members_see_images_at_their_own_size():
    net = Supernet(load_space("efficientformerv2_small"))
    images, targets = torch.randn(4, 3, 64, 64), torch.eye(10)[:4]
    members = [Member(SAMPLED, net.space.smallest()), Member(SAMPLED, net.space.largest())]
    assert members[0].spec.size == (32, 32)
    sandwich(net).step(members, iter([(images, targets)]), 1, False)
    assert net.gradients.any()


def test_mixed_precision_on_the_cpu():
    torch.manual_seed(0)
    net = Supernet(load_space("tiny"))
    precision = Precision(amp="bf16", channels_last=True)
    ours = Sandwich(net, NoStep(net.parameters(), lr=0.1), StepConfig(), OptimizerConfig(), precision)
    images, targets = (tensor.float() for tensor in batch(16))
    members = [Member(LARGEST, net.space.largest())]
    rough = ours.step(members, iter([(images, targets)]), 1, False).losses
    gradient = net.gradients.clone()
    exact = sandwich(net).step(members, iter([(images, targets)]), 1, False).losses
    assert not torch.equal(rough, exact)
    torch.testing.assert_close(rough, exact, rtol=0.02, atol=0.02)
    assert torch.cosine_similarity(gradient, net.gradients, dim=0) > 0.98


def test_calibration_is_the_average_over_the_batches(net):
    spec = net.space.largest()
    subnet = net.subnet(spec)
    batches = [(batch(8, seed)[0], torch.zeros(8)) for seed in range(3)]
    calibrate(subnet, batches)
    norm = subnet.stem.conv1.norm
    with torch.no_grad():
        maps = [subnet.stem.conv1.conv(images) for images, _ in batches]
    torch.testing.assert_close(norm.running_mean, torch.stack([m.mean((0, 2, 3)) for m in maps]).mean(0))
    torch.testing.assert_close(
        norm.running_var, torch.stack([m.transpose(0, 1).flatten(1).var(1) for m in maps]).mean(0)
    )
    assert all(norm.momentum == 0.1 and not norm.training for norm in batch_norms(subnet))
    again = [tensor.clone() for tensor in subnet.buffers()]
    calibrate(subnet, batches)  # no memory of before
    assert all(torch.equal(a, b) for a, b in zip(again, subnet.buffers(), strict=True))


@pytest.mark.parametrize(("offset", "tolerance"), [(0, 1e-5), (5, 1e-4), (1000, 1e-4)])
@pytest.mark.parametrize("shape", [(8, 6, 9, 7), (8, 6)])
def test_calibration_far_from_zero(offset, tolerance, shape):
    norm = nn.BatchNorm2d(6) if len(shape) == 4 else nn.BatchNorm1d(6)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * torch.rand(6).add(0.5).view(
        6, *[1] * (len(shape) - 2)
    )
    x += offset
    calibrate(norm, [(x, None)])
    over = [dim for dim in range(x.dim()) if dim != 1]
    torch.testing.assert_close(norm.running_var, x.double().var(over).float(), rtol=tolerance, atol=0)
    torch.testing.assert_close(norm.running_mean, x.double().mean(over).float(), rtol=1e-6, atol=1e-6)


def test_during_calibration_each_batch_is_normalised_by_itself():
    """As in training: a later layer sees what it would see there."""
    first, second = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    generator = torch.Generator().manual_seed(0)
    batches = [(scale * torch.randn(8, 3, 6, 5, generator=generator), None) for scale in (1, 100)]
    calibrate(nn.Sequential(first, second), batches)
    torch.testing.assert_close(second.running_mean, torch.zeros(3), rtol=0, atol=1e-6)
    torch.testing.assert_close(second.running_var, torch.full([3], 240 / 239), rtol=1e-4, atol=0)


def test_calibration_needs_images(net):
    with pytest.raises(ValueError, match="batch norms need 2 images"):
        calibrate(net.subnet(net.space.largest()), [(batch(1)[0], torch.zeros(1))])


def test_scores_are_percentages_of_all_images():
    class Right(nn.Module):
        def forward(self, images):
            return images.flatten(1)[:, :10]

    labels = torch.arange(10).repeat(3)
    images = torch.eye(10)[labels][:, :, None, None] * 4
    images[:6] = images[:6].flip(1)  # wrong, and the right one is ninth or so
    scores = evaluate(Right(), [(images[:17], labels[:17]), (images[17:], labels[17:])])
    assert scores.images == 30
    assert scores.top1 == pytest.approx(80)
    assert 80 <= scores.top5 <= 100


def test_members_that_are_watched():
    space = load_space("iformer")
    names = [name for name, _ in evaluation_members(space, 3, True, 0)]
    assert names == [
        "largest",
        "smallest",
        "iformer_t",
        "iformer_s",
        "iformer_m",
        "iformer_l",
        *(f"random {i}" for i in (1, 2, 3)),
    ]
    few = space.with_(num_classes=7)
    assert {spec.num_classes for _, spec in evaluation_members(few, 2, True, 0)} == {7}


def test_evaluated_members_do_not_depend_on_those_before():
    torch.manual_seed(0)
    net = Supernet(load_space("tiny"))
    images = [(torch.randn(16, 3, 16, 16), torch.randint(10, (16,))) for _ in range(2)]
    members = evaluation_members(net.space, 3, False, 0)
    forward = list(evaluate_members(net, members, lambda _: images, lambda _: images))
    backward = list(evaluate_members(net, members[::-1], lambda _: images, lambda _: images))
    assert forward == backward[::-1]
    assert [row["name"] for row in forward][:2] == ["largest", "smallest"]


def test_averaged_weights_run_wherever_slices_are_copied():
    torch.manual_seed(0)
    space = load_space("efficientformerv2_small").with_(resolutions=(32,))
    net = Supernet(space)
    averaged = Averaged(net, Supernet(net.space, sync_norm=net.sync_norm), 0.9)
    images = torch.randn(4, 3, 32, 32)
    for spec in space.members(random.Random(0), 8):
        assert torch.equal(averaged.net(images, spec), net(images, spec))
        assert not averaged.net(images, spec).requires_grad
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(1.0)
    averaged.update(net)
    first = next(iter(averaged.net.parameters())), next(iter(net.parameters()))
    torch.testing.assert_close(first[0] + 2 / 11, first[1])  # (1 + n) / (10 + n) of the old value stays


def test_compiled_members_are_those_that_the_step_prepares(monkeypatch):
    """After sorting, the largest subnet is a new one: what runs must be that, in training mode."""
    monkeypatch.setattr(torch, "compile", lambda module: module)
    net = Supernet(load_space("tiny"))
    runner = make_runner(net, True)
    member = Member(LARGEST, net.space.largest())
    before = runner(member)
    assert runner(member) is before
    before.eval()
    sort_channels(net)
    assert runner(member) is net.subnet(member.spec)
    assert runner(member).training
