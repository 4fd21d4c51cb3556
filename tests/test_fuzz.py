"""500 mutated spec files: each loads into a network that runs, or ends in one line."""

import random

import pytest
import torch
from test_reading import TINY

from supernet import SpecError, build, count, format_spec, load_spec, published_names
from supernet.__main__ import main

WORDS = (
    *(
        "0",
        "-1",
        "1e9",
        "1e-3",
        ".nan",
        ".inf",
        "true",
        "null",
        "''",
        "[]",
        "{}",
        "[1, 2]",
        "2026-11-20",
        "0x10",
        "1.5",
    ),
    *("kernel", "conv", "inception", "attention", "batch", "repeat: 3", "stride: 2", "1_000", "0o7", "~", "é"),
    *("99999999999999999999", "0x" + 5000 * "f", 5000 * "9", '"a\\nb"', '"\\ud800"', "!!binary aGk=", "!!bool x"),
    *("!!timestamp x", "&a 1", "*a", "<<", "\t", "?", "|", ">", "%", "@", "`"),
)


def mutated(text, r):
    """One to three changes such as a slip of the hand, a wrong guess or a broken copy make."""
    for _ in range(r.randint(1, 3)):
        lines = text.splitlines(keepends=True)
        at = r.randrange(len(text)) if text else 0
        change = r.randrange(8)
        if change == 0:
            text = text[:at] + text[at + r.randint(1, 8) :]
        elif change == 1:
            text = text[:at] + r.choice(WORDS) + text[at:]
        elif change == 2 and lines:
            del lines[r.randrange(len(lines))]
            text = "".join(lines)
        elif change == 3 and lines:
            lines.insert(r.randrange(len(lines)), r.choice(lines))
            text = "".join(lines)
        elif change == 4:
            digits = [i for i, letter in enumerate(text) if letter.isdigit()]
            if digits:
                at = r.choice(digits)
                text = text[:at] + str(r.choice((0, 1, 2, 3, 4, 5, 7, 16, 31, 64, 255, 4096))) + text[at + 1 :]
        elif change == 5 and lines:
            r.shuffle(lines)
            text = "".join(lines)
        elif change == 6:
            text = text[:at] + chr(r.choice((0, 9, 10, 34, 39, 58, 91, 123, 255, 0x2028, 0x1F600))) + text[at:]
        else:
            words = text.split(" ")
            words[r.randrange(len(words))] = r.choice(WORDS)
            text = " ".join(words)
    return text


@pytest.mark.slow
def test_500_mutations(tmp_path, capsys):
    r = random.Random(20261120)
    sources = [TINY] * 6 + [format_spec(load_spec(name)) for name in published_names()]
    loaded = 0
    for number in range(500):
        path = tmp_path / f"{number}.yaml"
        path.write_text(mutated(r.choice(sources), r), encoding="utf-8")
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
    assert 20 < loaded < 400, f"{loaded} of 500 loaded: the mutations are too wild or too tame"
