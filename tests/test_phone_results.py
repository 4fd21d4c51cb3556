"""What a phone writes and how it is read. The lines in latency_lut/ios/Tests/MeasuringTests/Golden were written by the
Swift code (`make check-swift` compares them again); the stand-in used in other tests must write the same ones."""

import json
import random
from pathlib import Path

import phone_stand_in as stand_in
import pytest

from latency_lut.phone.results import merge, parse_results
from supernet import SpecError

GOLDEN = Path(__file__).parents[1] / "latency_lut/ios/Tests/MeasuringTests/Golden"
LINES = (GOLDEN / "results.jsonl").read_bytes()
JOB = json.loads((GOLDEN / "job.json").read_text())
SCRIPT = json.loads((GOLDEN / "script.json").read_text())
PLAIN = {name: SCRIPT[name] for name in ("base_ns", "broken")}


def run(path, script=PLAIN, job=JOB, **keywords):
    return stand_in.App(job, stand_in.FakePhone(script, job["protocol"]["warm_up"]), path, **keywords).run()


def figures(results):
    """All that counts, whatever it took."""
    return {
        id_: (
            sorted((b.round, b.attempt, b.place or 0, b.samples_ms) for b in item.bursts),
            item.sustained,
            item.failed,
        )
        for id_, item in results.items.items()
    }


def test_orders_are_those_of_the_phone():
    generator = stand_in.SplitMix64(1234567)
    assert [generator.next() for _ in range(3)] == [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert stand_in.shuffled(range(10), 0, 0, 0) == [4, 9, 2, 5, 1, 7, 6, 0, 3, 8]
    assert stand_in.shuffled(range(10), 7, 3, 1) == [0, 8, 9, 7, 1, 4, 5, 2, 3, 6]


def test_stand_in_writes_what_swift_wrote(tmp_path):
    assert run(tmp_path / "results.jsonl", SCRIPT) == 0
    ours = (tmp_path / "results.jsonl").read_bytes().splitlines()
    assert [json.loads(line) for line in ours] == [json.loads(line) for line in LINES.splitlines()]


def test_reads_what_swift_wrote():
    results = parse_results(LINES, JOB["job"])
    assert results.is_finished
    assert results.stopped is None
    assert results.skipped == 0
    assert (results.device.model, results.device.os) == ("iPhone14,5", "iOS 17.7")
    assert {round_: (event.attempt, event.drifted) for round_, event in results.rounds.items()} == {
        0: (0, False),
        1: (1, False),  # the first attempt had drifted
    }
    anchor, block = results.items["a1"], results.items["b2"]
    assert [(b.round, b.attempt, b.place) for b in anchor.bursts] == [(0, 0, 0), (0, 0, 1), (1, 1, 0), (1, 1, 1)]
    assert [b.samples_ms for b in block.bursts] == [(0.514, 0.512, 0.513)] * 2  # not those of a warm phone
    assert all(
        b.thermal_after == "nominal" and not b.interrupted for item in results.items.values() for b in item.bursts
    )
    assert block.placement.operations == {"neural_engine": 3, "gpu": 0, "cpu": 1, "unknown": 0}
    assert block.bursts[0].load_ms == 7
    assert results.items["c3"].failed == "it can't be compiled"
    assert not results.items["c3"].bursts
    assert len(results.items["d4"].sustained.samples_ms) == 4


def test_rounds_under_way_do_not_count():
    cut = LINES[: LINES.index(b'"event":"round","round":0')]
    results = parse_results(cut[: cut.rindex(b"\n") + 1])
    assert results.rounds == {}
    assert not any(item.bursts for item in results.items.values())
    assert results.measured == 4
    assert not results.is_finished


def test_a_round_that_drifted_every_time_is_kept_and_marked(tmp_path):
    run(tmp_path / "results.jsonl", PLAIN | {"slow": [[5, 6, 1.5], [10, 11, 1.5]]})
    results = parse_results((tmp_path / "results.jsonl").read_bytes())
    assert {round_: (event.attempt, event.drifted) for round_, event in results.rounds.items()} == {
        0: (1, True),
        1: (0, False),
    }
    assert {b.attempt for b in results.items["b2"].bursts if b.round == 0} == {1}


def test_killed_at_any_line_and_continued(tmp_path):
    run(tmp_path / "whole.jsonl")
    expected = parse_results((tmp_path / "whole.jsonl").read_bytes())
    for lives in range(len((tmp_path / "whole.jsonl").read_bytes().splitlines())):
        path = tmp_path / f"{lives}.jsonl"
        with pytest.raises(stand_in.Killed):
            run(path, lives=lives)
        assert run(path) == 0
        found = parse_results(path.read_bytes(), JOB["job"])
        assert figures(found) == figures(expected)
        assert found.measured == expected.measured


def test_nothing_is_doubled_by_copies_that_overlap(tmp_path):
    lines = LINES.splitlines(keepends=True)
    expected = figures(parse_results(LINES))
    for seed in range(30):
        draw = random.Random(seed)
        first, second = sorted(draw.randrange(len(LINES)) for _ in range(2))
        one, other = LINES[:first], LINES[:second]
        assert figures(parse_results(merge(merge(one, other), LINES))) == expected
        assert merge(other, one) == merge(other, b"")  # an older copy takes nothing away
        torn = b"".join(lines[: draw.randrange(1, len(lines))]) + lines[3][:9] + b"\n" + LINES  # glued and repeated
        found = parse_results(torn)
        assert figures(found) == expected
        assert found.skipped == 1


def test_others_are_refused():
    with pytest.raises(SpecError, match="belongs to another job"):
        parse_results(LINES, "ff" * 32)
    with pytest.raises(SpecError, match=r"holds figures of iPhone14,5 with iOS 17\.7 and of iPhone14,5 with iOS 18\.1"):
        parse_results(LINES + LINES.replace(b"iOS 17.7", b"iOS 18.1"))
    with pytest.raises(SpecError, match="format 2 is not 1"):
        parse_results(LINES.replace(b'"format":1', b'"format":2'))
    for empty in (b"", b"\n\n", b"not json\n", LINES[:50]):
        with pytest.raises(SpecError, match="holds no results of a phone"):
            parse_results(empty)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"samples_ms":[1.002,', b'"samples_ms":[-1,'),
        (b'"samples_ms":[1.002,', b'"samples_ms":["x",'),
        (b'"samples_ms":[1.002,1,1.001]', b'"samples_ms":[]'),
        (b'"samples_ms":[1.002,', b'"samples_ms":[1e999,'),
        (b'"event":"burst"', b'"event":"other"'),
        (b'"round":0', b'"round":"0"'),
        (b'"id":"a1"', b'"id":' + b"[" * 5000),
        (b'"id":"a1"', b'"id":"\xff"'),
    ],
)
def test_a_damaged_line_is_left_out_and_counted(old, new):
    lines = LINES.splitlines(keepends=True)
    assert old in lines[3]
    lines[3] = lines[3].replace(old, new)
    results = parse_results(b"".join(lines))
    assert results.skipped == 1
    assert [(b.round, b.place) for b in results.items["a1"].bursts] == [(0, 1), (1, 0), (1, 1)]
