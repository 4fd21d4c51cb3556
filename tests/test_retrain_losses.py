"""What a network learns from in a step, beside labels: computed here by hand."""

import random

import pytest
import timm
import torch
from torch.nn import functional as F

from supernet import load_space, save_spec
from supernet.network import set_drop_path
from training.network_subject import NetworkSubject
from training.processes import Processes
from training.reading import parse_network_config
from training.setting import Training


def started(folder, *overrides, distilled=False):
    spec = load_space("tiny").sample(random.Random(3)).with_(distilled=distilled)
    save_spec(spec, folder / "spec.yaml")
    text = f"""
    spec: {folder / "spec.yaml"}
    data: {{source: digits, batch_size: 16}}
    augment: {{crop: none, flip: 0}}
    optimizer: {{name: sgd, lr: 0.1}}
    schedule: {{epochs: 1, warmup_epochs: 0}}
    """
    config = parse_network_config(text, overrides)
    return Training(config, NetworkSubject(config), folder / "run", Processes())


def first_step(run, progress=0.0):
    """The loss of a step, and its images and targets."""
    images, targets = next(run.batches())
    before = {name: tensor.clone() for name, tensor in run.net.state_dict().items()}
    run.subject.begin_step(0, run.steps_per_epoch, progress)
    torch.manual_seed(0)
    outcome = run.subject.step(run.subject.members(0, 0.0), iter([(images, targets)]), 1, 0)
    assert bool(outcome.finite)
    assert any(not torch.equal(tensor, before[name]) for name, tensor in run.net.state_dict().items())
    run.net.load_state_dict(before)
    return float(outcome.losses[0]), images, targets


@pytest.fixture
def teacher(tmp_path):
    torch.manual_seed(7)
    net = timm.create_model("test_resnet", num_classes=10)
    path = tmp_path / "teacher.pth"
    torch.save(net.state_dict(), path)
    return net.eval(), f"step.teacher={{model: test_resnet, weights: {path}, share: 0.3, loss: KIND, temperature: 2}}"


@pytest.mark.parametrize("distilled", [False, True])
@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_a_teacher(teacher, kind, distilled, tmp_path):
    net, option = teacher
    run = started(tmp_path, option.replace("KIND", kind), distilled=distilled)
    loss, images, targets = first_step(run)
    scores = run.net.train()(images)
    assert isinstance(scores, tuple) == distilled, "one classifier for the labels, one for the teacher"
    labels, taught = scores if distilled else (scores, scores)
    by_teacher = net(images).detach()
    if kind == "hard":
        from_teacher = F.cross_entropy(taught, by_teacher.argmax(1))
    else:
        from_teacher = 4 * F.cross_entropy(taught / 2, (by_teacher / 2).softmax(1))
    expected = 0.7 * F.cross_entropy(labels, targets) + 0.3 * from_teacher
    assert loss == pytest.approx(float(expected), abs=1e-5)


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_its_own_average(kind, tmp_path):
    run = started(tmp_path, f"step.loss={kind}", "step.mesa={start: 0.5, ratio: 2}", "ema=0.9")
    plain, images, targets = first_step(run, progress=0.25)
    with_average, _, _ = first_step(run, progress=0.5)
    scores, average = run.net.train()(images), run.averaged.net.eval()(images).detach()
    if kind == "softmax":
        first, second = F.cross_entropy(scores, targets), F.cross_entropy(scores, average.softmax(1))
    else:
        loss = F.binary_cross_entropy_with_logits
        first, second = loss(scores, targets), loss(scores, average.sigmoid())
    assert plain == pytest.approx(float(first), abs=1e-5)
    assert with_average == pytest.approx(float(first + 2 * second), abs=1e-5)


def test_drop_path_grows(tmp_path):
    run = started(tmp_path, "step.drop_path=0.4", "step.drop_path_grows=true")
    expected = started(tmp_path).net

    def rates(net):
        return [part.drop_prob for part in net.modules() if hasattr(part, "drop_prob")]

    for progress in (0.0, 0.5, 1.0):
        run.subject.begin_step(0, run.steps_per_epoch, progress)
        set_drop_path(expected, 0.4 * progress)
        assert rates(run.net) == rates(expected)
    assert max(rates(run.net)) == 0.4


def test_sizes_of_steps(tmp_path):
    """Each by chance, the same whoever asks; and the network is judged at its own."""
    run = started(tmp_path, "step.resolutions=[16, 24, 32]")
    sizes = [run.subject.size(step) for step in range(60)]
    assert set(sizes) == {(16, 16), (24, 24), (32, 32)}
    assert sizes == [run.subject.size(step) for step in range(60)]
    batches = run.batches()
    assert [next(batches)[0].shape[-2:] for _ in range(5)] == sizes[:5]
    (row,) = run.subject.evaluate(run.net, run.data)
    assert row["top1"] >= 0


def test_tables_of_positions_at_a_larger_size(tmp_path):
    """Fine-tuning at another resolution than the weights are from."""
    from supernet import build, load_spec, save_weights
    from training.network_subject import wanted_spec

    spec = load_spec("inception_iformer_small").with_(num_classes=10, resolution=64)
    save_weights(build(spec), tmp_path / "at_64.safetensors")
    save_spec(spec, tmp_path / "large.yaml")
    init = f"init={tmp_path / 'at_64.safetensors'}"
    config = parse_network_config(
        f"spec: {tmp_path / 'large.yaml'}\ndata: {{source: digits}}", [init, "resolution=96", "precision.device=cpu"]
    )
    assert wanted_spec(config).size == (96, 96)
    run = Training(config, NetworkSubject(config), tmp_path / "run", Processes())
    assert "position" in run.about()
    with torch.no_grad():
        assert run.net(torch.zeros(2, 3, 96, 96)).shape == (2, 10)
