"""Space files: what can be written, what comes back, and errors that say where, what and what would be right."""

import random
from pathlib import Path

import pytest
import yaml
from small_spaces import ANY, BY_WIDTH, LAST, SMALL

from supernet import SpecError, count, format_space, load_space, parse_space, save_space, space_names
from supernet.blocks.base import Block
from supernet.reading import KINDS
from supernet.space.choices import DIMENSIONS, Open
from supernet.space.reading import SPACES


@pytest.mark.parametrize("name", space_names())
def test_spaces_come_back(name, tmp_path):
    """Also those with dimensions held, and in the same words."""
    space, rng = load_space(name), random.Random(0)
    for one in (space, space.with_(num_classes=7), *(space.restricted(rng.sample(DIMENSIONS, 3)) for _ in range(5))):
        text = format_space(one)
        assert parse_space(text, one.name) == one
        assert format_space(parse_space(text)) == text
    save_space(space, tmp_path / f"{name}.yaml")
    assert load_space(tmp_path / f"{name}.yaml") == space


@pytest.mark.parametrize("name", SMALL)
def test_small_spaces_come_back(name):
    space, rng = parse_space(SMALL[name]), random.Random(0)
    for one in (space, *(space.restricted(rng.sample(DIMENSIONS, 3)) for _ in range(10))):
        assert parse_space(format_space(one)) == one


def test_files_are_short():
    """Nothing stands in them that is so anyway."""
    for name in space_names():
        text = (SPACES / f"{name}.yaml").read_text()
        assert text.startswith("# ")
        written = format_space(load_space(name))
        assert [written.count(word) for word in ("slots: ", "count: ")] == [
            text.count(word) for word in ("slots: ", "count: ")
        ]


@pytest.mark.parametrize(
    ("ways", "field", "expected"),
    [
        (("[1]", "1", "{from: 1, to: 1}"), "slots", (1,)),
        (("[0, 1]", "{from: 0, to: 1}", "{from: 0, to: 1, step: 1}"), "slots", (0, 1)),
    ],
)
def test_ways_to_write_slots(ways, field, expected):
    spaces = {parse_space(LAST.replace("slots: [1]", f"{field}: {way}")) for way in ways}
    assert len(spaces) == 1
    assert spaces.pop().stages[1].kinds[1].rule.slots == expected


@pytest.mark.parametrize(
    ("ways", "expected"), [(("1", "[1]", "{from: 1, to: 1}"), (1, 1)), (("[1, 2]", "{from: 1, to: 2}"), (1, 2))]
)
def test_ways_to_write_counts(ways, expected):
    spaces = {parse_space(ANY.replace("count: [0, 1]", f"count: {way}")) for way in ways}
    assert len(spaces) == 1
    assert spaces.pop().stages[0].kinds[1].rule.blocks == expected


def test_slots_may_have_gaps():
    text = ANY.replace("slots: {from: 1, to: 2}", "slots: [0, 2]")
    space = parse_space(text)
    assert space.stages[0].kinds[1].rule.slots == (0, 2)
    assert parse_space(format_space(space)) == space
    ranged = ANY.replace("depth: [1, 3]", "depth: 5").replace(
        "slots: {from: 1, to: 2}", "slots: {from: 0, to: 4, step: 2}"
    )
    assert parse_space(ranged).stages[0].kinds[1].rule.slots == (0, 2, 4)


def test_values_that_follow_the_width():
    """With several choices they make a gene, with one they don't."""
    space = parse_space(BY_WIDTH)
    assert [gene.name for gene in space.genes if "heads" in gene.name] == [
        f"stages[1].slots[{s}].heads" for s in (0, 1)
    ]
    one = parse_space(BY_WIDTH.replace("{16: [1, 2], 24: [2, 5], 32: [2, 3]}", "{16: 1, 24: [3], 32: 7}"))
    assert not [gene.name for gene in one.genes if "heads" in gene.name]
    members = one.members(random.Random(0), 100)
    assert {(s.stages[1].width, s.stages[1].blocks[0].heads) for s in members} == {(16, 1), (24, 3), (32, 7)}
    assert all(one.decode(one.encode(spec)) == spec for spec in members)
    assert parse_space(format_space(one)) == one


def test_values_go_from_cheap_to_expensive():
    """A larger reduction, or pool, costs less; files list all of them from small to large."""
    assert Open("reduction", (4, 2)) in parse_space(LAST).stages[1].kinds[1].part.open
    assert Open("pool", (2, 1)) in parse_space(BY_WIDTH).stages[0].kinds[0].part.open
    assert "reduction: [2, 4]" in format_space(parse_space(LAST))


def test_null_is_a_value():
    """Where a field may be null it need not have a default."""
    text = SMALL["counts"]
    assert parse_space(text).largest().stages[0].blocks[-1].mlp_expand is None
    with pytest.raises(SpecError, match=r"blocks\[1\]: the field 'mlp_expand' is missing"):
        parse_space(text.replace("    mlp_expand: null\n", ""))


def test_every_elastic_field_has_a_dimension():
    for kinds in KINDS.values():
        for kind in kinds.values():
            for field in kind.elastic:
                assert field in kind.__struct_fields__
                assert Open(field, (1, 2)).dimension in DIMENSIONS


def written_errors():
    """Cases of four lines each: the space, what is replaced by what, and how the error begins."""
    text = Path(__file__).with_name("space_errors.txt").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    values = [line[9:].replace("\\n", "\n") for line in lines]
    return [tuple(values[index : index + 4]) for index in range(0, len(values), 4)]


@pytest.mark.parametrize(("name", "old", "new", "message"), written_errors())
def test_errors(name, old, new, message):
    assert SMALL[name].count(old) > 0
    with pytest.raises(SpecError) as error:
        parse_space(SMALL[name].replace(old, new, 1))
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_odd_map_at_one_resolution():
    """Half-size attention needs an even map at every resolution of the space; the smallest one alone would do."""
    widths = "heads: 2, key_width: 4, value_width: 4"
    attention = f"{{kind: attention_ffn, {widths}, kernel: 3, expand: [1, 2], stride: 2, slots: [1]}}"
    text = LAST.replace("{kind: modulation, kernel: 3, reduction: [2, 4], expand: [1, 2], slots: [1]}", attention)
    assert parse_space(text.replace("[16, 24]", "[16, 32]")).size > 1
    with pytest.raises(SpecError) as error:
        parse_space(text)
    assert error.value.path == "stages[1].blocks[1].stride"
    expected = "2 needs an even feature map, this one is 3x3 (with width 8 and images of 24x24 pixels)"
    assert error.value.message == expected


def test_every_width_is_tried_where_no_downsample_stands():
    """What follows a stage of several widths without a downsample has all of these."""
    second = "- depth: 1\n  blocks:\n  - {kind: modulation, kernel: 3, reduction: 8, expand: 1}\nhead"
    text = LAST.replace("head", second)
    with pytest.raises(SpecError, match=r"stages\[2\]\.blocks\[0\]\.reduction: 8 does not divide the width 12"):
        parse_space(text)
    assert parse_space(text.replace("[8, 12]", "[8, 16]")).size > 1


def test_too_many_choices():
    values = list(range(1, 30))
    text = LAST.replace("kernel: [3, 5], expand: 1", f"kernel: [3, 5], expand: {values}")
    with pytest.raises(SpecError, match=r"expand: 17 is not a number from 0.05 to 16"):
        parse_space(text)
    fields = ", ".join(f"{name}: {{from: 1, to: 20}}" for name in ("heads", "key_width", "value_width"))
    block = f"{{kind: token_attention, {fields}, expand: [1, 2]}}"
    with pytest.raises(SpecError, match=r"blocks\[0\]: its open fields have 16,000 combinations, more than 10,000"):
        parse_space(LAST.replace("{kind: conv, kernel: [3, 5], expand: 1}", block))


def test_names(tmp_path):
    with pytest.raises(SpecError, match=r"^iformr: no space has this name, did you mean 'iformer'\?"):
        load_space("iformr")
    with pytest.raises(SpecError, match=r"^no/such\.yaml: there is no such file"):
        load_space("no/such.yaml")
    path = tmp_path / "mine.yaml"
    path.write_text(LAST.replace("depth: [1, 2]", "depth: [3, 1]"))
    with pytest.raises(SpecError) as error:
        load_space(path)
    assert str(error.value) == f"{path}: stages[1].depth: [3, 1] must grow from value to value"
    path.write_text(LAST)
    assert load_space(path).name == "mine"
    assert load_space(path) == parse_space(LAST, "mine")


def test_a_space_holds_kinds_of_blocks():
    for name in space_names():
        assert all(issubclass(kind.part.kind, Block) for stage in load_space(name).stages for kind in stage.kinds)


ODD = (
    None,
    [],
    {},
    -1,
    0,
    2,
    7,
    10**40,
    True,
    3.5,
    "x",
    [1, 2],
    [[16, 24]],
    {"from": 1, "to": 3},
    {8: 1, 12: 2},
    [None],
    float("nan"),
)


def places_in(data, found=()):
    yield found
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in list(items):
        yield from places_in(value, (*found, key))


@pytest.mark.parametrize("name", SMALL)
def test_whatever_stands_there(name):
    """One value replaced by an odd one: a SpecError in one line, or a space whose members exist."""
    rng = random.Random(name)
    places = list(places_in(yaml.safe_load(SMALL[name])))[1:]
    spaces, errors = [], []
    for _ in range(80):
        data = yaml.safe_load(SMALL[name])
        *path, last = rng.choice(places)
        holder = data
        for key in path:
            holder = holder[key]
        holder[last] = rng.choice(ODD)
        try:
            spaces.append(parse_space(yaml.safe_dump(data)))
        except SpecError as error:
            errors.append(str(error))
    assert not any("\n" in error for error in errors)
    assert len(errors) > 20
    assert spaces
    for space in spaces:
        for member in (space.largest(), space.smallest(), *(space.sample(rng) for _ in range(5))):
            assert member in space
            assert count(member).macs >= 0
        assert parse_space(format_space(space)) == space
