"""Retraining gives what an independent loop of timm's parts gives: same batches, same optimiser, same losses."""

import json
import random

import pytest
import timm
import torch
from timm.loss import BinaryCrossEntropy, SoftTargetCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler import CosineLRScheduler
from timm.utils import ModelEmaV3, dispatch_clip_grad

import supernet.timm_model  # noqa: F401
from supernet import load_space, save_spec
from training.loop import train
from training.network_folder import load_network
from training.network_subject import NetworkSubject
from training.processes import Processes
from training.reading import parse_network_config
from training.setting import Training

STEPS = 20
CASES = {
    "adamw": {"lr": 2e-3, "weight_decay": 0.05},
    "clipped by units": {"lr": 4e-3, "weight_decay": 0.02, "clip": 0.01, "clip_mode": "agc"},
    "accumulated": {"lr": 2e-3, "weight_decay": 0.05, "clip": 1.0, "accumulate": 3},
    "sgd": {"name": "sgd", "lr": 0.05, "weight_decay": 1e-4, "clip": 2.0, "clip_mode": "value"},
}


def config(folder, optimizer, *overrides, epochs=1):
    save_spec(load_space("tiny").sample(random.Random(3)), folder / "spec.yaml")
    text = f"""
    spec: {folder / "spec.yaml"}
    data: {{source: digits, batch_size: {60 // optimizer.get("accumulate", 1)}}}
    augment: {{crop: pad, flip: 0, mean: [0.3, 0.3, 0.3], std: [0.35, 0.35, 0.35], mixup: 0.2, cutmix: 0.5}}
    step: {{label_smoothing: 0.1}}
    optimizer: {json.dumps(optimizer)}
    schedule: {{epochs: {epochs}, warmup_epochs: 0.2, warmup_lr: 1.0e-5, min_lr: 1.0e-5}}
    evaluate: {{images: 64}}
    log: {{every: 1, tensorboard: false}}
    precision: {{threads: 1}}
    """
    return parse_network_config(text, overrides)


def start(settings, folder):
    """The weights a run starts from, and its batches."""
    run = Training(settings, NetworkSubject(settings), folder, Processes())
    return run.net.state_dict(), run.batches(), run.total_steps


def theirs(settings, folder, kind):
    """The losses of timm's training script, in its order of things."""
    weights, batches, total = start(settings, folder)
    options = CASES[kind]
    model = timm.create_model("slimformer", spec=settings.spec, num_classes=10)
    model.load_state_dict(weights)
    optimizer = create_optimizer_v2(
        model, opt=options.get("name", "adamw"), lr=options["lr"], weight_decay=options["weight_decay"], momentum=0.9
    )
    scheduler = CosineLRScheduler(
        optimizer,
        t_initial=total,
        lr_min=1e-5,
        warmup_t=round(0.2 * total),
        warmup_lr_init=1e-5,
        t_in_epochs=False,
    )
    loss_fn = BinaryCrossEntropy(smoothing=0) if settings.step.loss == "sigmoid" else SoftTargetCrossEntropy()
    ema = ModelEmaV3(model, decay=0.9) if settings.ema else None
    parts, losses = options.get("accumulate", 1), []
    model.train()
    scheduler.step_update(0)
    for update in range(1, STEPS + 1):
        optimizer.zero_grad()
        seen = 0.0
        for _ in range(parts):
            images, targets = next(batches)
            loss = loss_fn(model(images), targets) / parts
            loss.backward()
            seen += float(loss)
        if "clip" in options:
            dispatch_clip_grad(model.parameters(), options["clip"], mode=options.get("clip_mode", "norm"))
        optimizer.step()
        if ema is not None:
            ema.decay = min(0.9, (1 + update) / (10 + update))
            ema.update(model)
        scheduler.step_update(num_updates=update)
        losses.append(seen)
    return losses, model, ema


def ours(settings, folder):
    train(settings, folder)
    lines = [json.loads(line) for line in (folder / "log.jsonl").open()]
    return [line["losses"]["network"] for line in lines if line["kind"] == "step"][:STEPS]


@pytest.mark.parametrize("kind", CASES)
def test_the_losses_of_timms_script(kind, tmp_path):
    settings = config(tmp_path, CASES[kind])
    expected, _, _ = theirs(settings, tmp_path / "theirs", kind)
    assert ours(settings, tmp_path / "ours") == pytest.approx(expected, abs=1e-5)
    assert len(expected) == STEPS
    assert expected[-1] < expected[0]


def test_each_class_for_itself(tmp_path):
    settings = config(tmp_path, CASES["adamw"], "step.loss=sigmoid")
    expected, _, _ = theirs(settings, tmp_path / "theirs", "adamw")
    assert ours(settings, tmp_path / "ours") == pytest.approx(expected, abs=1e-5)
    assert expected[-1] < expected[0]


def test_the_average_is_timms(tmp_path):
    """Statistics of batch norms included; of a run that ends where the other loop does."""
    settings = config(tmp_path, CASES["adamw"], "ema=0.9", "data.held_out=238")
    run = Training(settings, NetworkSubject(settings), tmp_path / "none", Processes())
    assert run.total_steps == STEPS
    _, _, ema = theirs(settings, tmp_path / "theirs", "adamw")
    train(settings, tmp_path / "ours")
    expected = ema.module.state_dict()
    for name, tensor in load_network(tmp_path / "ours").state_dict().items():
        torch.testing.assert_close(tensor, expected[name], atol=1e-5, rtol=1e-4, msg=name)


def test_the_rate_of_each_block(tmp_path):
    """Layer decay: the head has the whole rate, each block below it so much less."""
    settings = config(tmp_path, CASES["adamw"], "layer_decay=0.5")
    run = Training(settings, NetworkSubject(settings), tmp_path / "none", Processes())
    by_name = {id(parameter): name for name, parameter in run.net.named_parameters()}
    groups = run.optimizer.param_groups
    scales = {by_name[id(parameter)]: group["lr_scale"] for group in groups for parameter in group["params"]}
    assert scales.keys() == dict(run.net.named_parameters()).keys()
    head = [scale for name, scale in scales.items() if name.startswith("head")]
    stem = [scale for name, scale in scales.items() if name.startswith("stem")]
    assert set(head) == {1.0}
    blocks = sum(len(stage.blocks) + (stage.downsample is not None) for stage in run.subject.spec.stages)
    assert max(stem) <= 0.5 ** (blocks - 1)
    assert sorted(set(scales.values()))[-2:] == [0.5, 1.0], "the last block has the head's, once decayed"
    rates = {round(group["lr"] / group["lr_scale"], 12) for group in groups}
    assert len(rates) == 1, "the schedule keeps the proportions"
