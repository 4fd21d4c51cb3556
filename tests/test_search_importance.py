"""The latency-driven slimming of EfficientFormer: what importances are, how they are learnt, and the way down."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from latency_lut.fitting import Fit
from search.config import ImportanceConfig
from search.costs import Costs
from search.importance import Importances, Worth, learning_on, slim
from search.importance.covering import covering_members, covering_placements
from search.importance.learning import learn
from search.importance.paths import Paths
from search.importance.trajectory import spread
from search.methods.importance import Importance
from search.problem import Problem, parse_constraint
from supernet import SpecError, Supernet, count, load_space, parse_space
from supernet.space.placement import EMPTY
from tests.small_spaces import SMALL, placements, values
from training.loop import DivergedError, train
from training.reading import load_config

DIGITS = Path(__file__).parents[1] / "configs" / "digits.yaml"
SPACES = {name: parse_space(text) for name, text in SMALL.items()} | {"tiny": load_space("tiny")}
TINY = SPACES["tiny"]
FEW = ImportanceConfig(learning_steps=3, batch_size=16)


@pytest.fixture(params=SPACES)
def space(request):
    return SPACES[request.param]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A supernet that was trained for three steps."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    few = ("data.held_out=1200", "data.batch_size=64", "schedule.epochs=1", "schedule.warmup_epochs=0", "ema=null")
    quick = ("evaluate.images=32", "evaluate.calibration_images=32", "evaluate.random=0", "log.tensorboard=false")
    train(load_config(DIGITS, [*few, *quick, "precision.device=cpu"]), folder)
    return folder


def random_importances(space, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    return Importances(
        tuple(np.exp(rng.normal(0, scale, (max(stage.depths), len(stage.kinds)))) for stage in space.stages)
    )


def problem(space, *constraints, tables=None):
    return Problem(Costs(space, tables), constraints=[parse_constraint(text) for text in constraints])


def images(paths, number=8, dtype=torch.float32):
    batch = torch.randn(number, paths.frame.spec.in_chans, *paths.size, dtype=dtype)
    return batch, torch.arange(number) % paths.frame.num_classes


# the paths


@pytest.mark.parametrize("name", SMALL)
def test_members_have_every_kind_in_every_slot_that_may_hold_it(name):
    space, data = SPACES[name], yaml.safe_load(SMALL[name])
    for stage, entry in zip(space.stages, data["stages"], strict=True):
        allowed = {pair for one in placements(entry) for pair in enumerate(one) if pair[1] is not None}
        found = covering_placements(stage.placements)
        assert {pair for one in found for pair in enumerate(one) if pair[1] != EMPTY} == allowed
        assert all(stage.placements.allows(one) for one in found)
        assert max(len(one) - one.count(EMPTY) for one in found) == max(values(entry["depth"]))


@pytest.mark.parametrize(
    "name", ["efficientformer", "efficientformerv2", "hybrid", "iformer", "inception", "lowformer"]
)
def test_members_of_published_spaces_are_as_large_as_can_be(name):
    space = load_space(name)
    members, largest = covering_members(space), space.largest()
    held = [set() for _ in space.stages]
    for member in members:
        space.encode(member)
        assert (member.resolution, member.stem, member.head) == (largest.resolution, largest.stem, largest.head)
        for pairs, stage, big in zip(held, member.stages, largest.stages, strict=True):
            assert (stage.width, stage.downsample) == (big.width, big.downsample)
            pairs.update(zip(stage.block_slots, map(type, stage.blocks), strict=True))
            assert len(set(stage.blocks)) == len({type(block) for block in stage.blocks})
            assert {block for block in stage.blocks if type(block) in map(type, big.blocks)} <= set(big.blocks)
    for pairs, stage in zip(held, space.stages, strict=True):
        assert pairs == {
            (slot, kind.part.kind) for kind in stage.kinds if kind.rule.blocks[1] for slot in kind.rule.slots
        }


def test_one_path_in_each_slot_is_that_network(space):
    net = Supernet(space).double()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    paths = Paths(net, space)
    batch, _ = images(paths, dtype=torch.float64)
    for member in (*paths.members, net.subnet(largest_with_smallest_depths(space))):
        shares = torch.zeros(paths.is_open().shape, dtype=torch.float64)
        row = 0
        for stage, own in zip(space.stages, member.spec.stages, strict=True):
            kinds = [kind.part.kind for kind in stage.kinds]
            held = dict(zip(own.block_slots, own.blocks, strict=True))
            for slot in range(max(stage.depths)):
                shares[row, 1 + kinds.index(type(held[slot])) if slot in held else 0] = 1
                row += 1
        with torch.no_grad(), paths.by_batch():
            found = paths(batch, shares)
        with torch.no_grad():
            wanted = member.train()(batch)
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


def largest_with_smallest_depths(space):
    """Only blocks go."""
    found = space.largest()
    while True:
        shallower = [member for action, member in space.smaller(found) if " without " in action]
        if not shallower:
            return found
        found = shallower[0]


# learning


def test_learning_leaves_the_supernet_as_it_was():
    net = Supernet(TINY)
    held = net.subnet(covering_members(TINY)[0])
    held(torch.randn(4, 3, 16, 16)).sum().backward()
    held.stem.eval()
    modes = [module.training for module in held.modules()]
    before = [tensor.clone() for tensor in (*net.state_dict().values(), net.gradients, *held.buffers())]
    paths = Paths(net, TINY)
    assert paths.frame is held
    learn(paths, [images(paths)] * 3, FEW, seed=0)
    after = [*net.state_dict().values(), net.gradients, *held.buffers()]
    assert net.gradients.any()
    assert held.head.classifier.first.norm.num_batches_tracked == 1
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))
    assert modes == [module.training for module in held.modules()]


@pytest.mark.parametrize("temperature", [0.3, 1.0])
def test_a_step_goes_as_far_as_the_rate_says(temperature):
    """In the mean over the paths; those of a slot move against each other, so that their logits stay zero in sum."""
    torch.manual_seed(1)
    paths = Paths(Supernet(TINY), TINY)
    config = ImportanceConfig(learning_steps=1, lr=0.01, temperature=temperature)
    found = learn(paths, [images(paths)], config, seed=0)
    moved = []
    for stage in found.blocks:
        over = np.log(stage)
        identity = -over.sum(1, keepdims=True) / (over.shape[1] + 1)
        moved += [identity.ravel(), (over + identity).ravel()]
    assert np.sqrt(np.square(np.concatenate(moved)).mean()) == pytest.approx(0.01, rel=1e-4)


def test_a_useless_block_is_less_important_than_a_useful_one():
    """Labels are what the network with attention in each slot says: it needs its own blocks, but those in one slot give
    what they get, and those of the other kind are not its."""
    net = Supernet(TINY)
    torch.manual_seed(2)
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if tensor.ndim > 1:
                tensor.normal_(0, tensor[0].numel() ** -0.5)
            last = "project" in name or "modulation.position" in name
            if last and ".norm." in name:
                tensor.mul_(0 if name.startswith("stages.1.slots.1.") else 2)
    paths = Paths(net, TINY)
    shares = torch.zeros(paths.is_open().shape)
    shares[[0, 1], 1], shares[[2, 3, 4], 2] = 1, 1
    with torch.no_grad(), paths.by_batch():
        batches = [(batch, paths(batch, shares).argmax(1)) for batch, _ in (images(paths, 32) for _ in range(8))]
    first, second = learn(paths, itertools.cycle(batches), ImportanceConfig(learning_steps=40), seed=0).blocks
    assert second[1] == pytest.approx([1, 1], abs=1e-3)
    assert min(*first[:, 0], second[0, 1]) > 1.2
    assert second[0, 1] > 1.5 * second[0, 0]


def test_an_image_that_is_not_finite_stops_learning():
    paths = Paths(Supernet(TINY), TINY)
    batch, labels = images(paths)
    batch[0, 0, 0, 0] = math.nan
    with pytest.raises(DivergedError, match=r"^importances can't be learnt: the loss is nan .* at step 2; [^\n]*$"):
        learn(paths, [images(paths), (batch, labels)], FEW, seed=0)


def test_the_same_seed_learns_the_same_and_once(run):
    told = []
    learning = [learning_on(str(run), TINY, FEW, seed, lambda *one: told.append(one)) for seed in (5, 5, 6)]
    found = [one().blocks for one in learning]
    assert all((one == other).all() for one, other in zip(found[0], found[1], strict=True))
    assert not any((one == other).all() for one, other in zip(found[0], found[2], strict=True))
    assert [one[:2] for one in told] == [(1, 3), (2, 3), (3, 3)] * 3
    assert all(one[2].startswith("loss ") for one in told)
    assert learning[0]().blocks is found[0]
    assert len(told) == 9


def test_what_can_not_be_learnt_on_is_said(run):
    with pytest.raises(SpecError, match="method: importance learns on the weights of a supernet: set `supernet` to"):
        learning_on("", TINY, FEW, 0)
    with pytest.raises(SpecError, match=r"method\.batch_size: 5,000 is more than the 238 training images"):
        learning_on(str(run), TINY, ImportanceConfig(batch_size=5000), 0)()


# what networks are worth


def test_worth_is_that_of_the_blocks():
    found = random_importances(TINY)
    worth, largest = Worth(TINY, found), TINY.largest()
    (first, second), others = found.blocks, 3  # stem, downsample, head
    conv, modulation = 0, 1
    held = [*first[:, conv], *second[:, modulation]]
    assert worth(largest) == pytest.approx(sum(held) + others * np.mean(held))
    lost = {action: worth(largest) - worth(member) for action, member in TINY.smaller(largest)}
    assert lost["stages[0] without conv in slot 1"] == pytest.approx(first[1, conv])
    assert lost["stages[1] without modulation in slot 2"] == pytest.approx(second[2, modulation])

    def macs(width, kernel, expand):
        return width * kernel**2 + 2 * expand * width**2  # at each position

    left = second[1, conv] * macs(32, 3, 3) / macs(32, 5, 3)  # the convolution comes with its cheapest kernel
    assert lost["stages[1] slot 1 modulation to conv"] == pytest.approx(second[1, modulation] - left)
    for action, after in {"kernel 5 to 3": macs(16, 3, 3), "expand 3 to 2": macs(16, 5, 2)}.items():
        share = 1 - after / macs(16, 5, 3)
        assert lost[f"stages[0].slots[0].{action}"] == pytest.approx(share * first[0, conv])


def test_narrower_stages_lose_of_all_their_blocks():
    found = random_importances(TINY)
    worth, largest = Worth(TINY, found), TINY.largest()
    narrow = dict(TINY.smaller(largest))["stages[1].width 32 to 24"]
    macs = [{part.path: part.cost.macs for part in count(spec).parts} for spec in (largest, narrow)]
    shares = {path: macs[1][path] / macs[0][path] for path in macs[0]}
    wanted = sum((1 - shares[f"stages[1].blocks[{slot}]"]) * found.blocks[1][slot, 1] for slot in range(3))
    other = np.mean([*found.blocks[0][:, 0], *found.blocks[1][:, 1]])
    wanted += other * sum(1 - shares[path] for path in ("stages[1].downsample", "head"))
    assert worth(largest) - worth(narrow) == pytest.approx(wanted)


# the way down


def test_the_way_leads_from_the_largest_network_down(space):
    found = slim(problem(space), random_importances(space))
    networks = [space.decode(code.tolist()) for code in found.codes]
    assert networks[0] == space.largest()
    assert [space.encode(spec) for spec in networks] == [tuple(code.tolist()) for code in found.codes]
    costs = [(count(spec).macs, count(spec).params) for spec in networks]
    assert all(after < before for before, after in itertools.pairwise(costs))
    assert found.cost == pytest.approx([macs / costs[0][0] for macs, _ in costs])
    for before, action, after in zip(networks, found.actions, networks[1:], strict=False):
        assert (action, after) in space.smaller(before)
    assert not space.smaller(networks[-1])


def test_it_ends_at_the_smallest_network_where_actions_lead_there():
    found = slim(problem(TINY), random_importances(TINY))
    assert TINY.decode(found.codes[-1].tolist()) == TINY.smallest()


@pytest.mark.parametrize("name", ["tiny", "any", "last"])
@pytest.mark.parametrize("seed", range(3))
def test_each_action_loses_the_least_importance_for_what_it_gains(name, seed):
    """With large differences between kinds: a convolution in the place of attention may even be worth more."""
    space = SPACES[name]
    importances = random_importances(space, seed, scale=3.0)
    found, worth = slim(problem(space), importances), Worth(space, importances)
    for code, after in itertools.pairwise(found.codes):
        now, then = space.decode(code.tolist()), space.decode(after.tolist())

        def price(spec, now=now):
            lost, gained = worth(now) - worth(spec), count(now).macs - count(spec).macs
            if gained == 0:
                return math.inf
            return lost / gained if lost > 0 else -gained

        assert price(then) == pytest.approx(min(price(spec) for _, spec in space.smaller(now)))


def test_of_actions_that_lose_nothing_the_largest_is_first():
    useless = Importances(tuple(np.zeros((max(stage.depths), len(stage.kinds))) for stage in TINY.stages))
    found = slim(problem(TINY), useless)
    for code, after in itertools.pairwise(found.codes):
        now, then = TINY.decode(code.tolist()), TINY.decode(after.tolist())
        assert count(then).macs == min(count(spec).macs for _, spec in TINY.smaller(now))


class Device:
    """A latency table whose units take what a function says."""

    fit = Fit()

    def __init__(self, unit_ms):
        self.unit_ms = unit_ms


def slow(kind):
    return Device(lambda unit: 10.0 if unit.kind == f"block {kind}" else 0.1 + unit.width * 1e-3)


def test_another_device_wants_other_actions_first():
    """All blocks are as important: those go first that the device is slow at."""
    equal = Importances(tuple(np.ones((max(stage.depths), len(stage.kinds))) for stage in TINY.stages))
    tables = {"one": slow("modulation"), "two": slow("conv")}
    attends, convolves = (slim(problem(TINY, tables={name: table}), equal) for name, table in tables.items())
    assert all("modulation" in action for action in attends.actions[:3])
    assert convolves.actions[0] == "stages[0] without conv in slot 1"
    assert not any("modulation to conv" in action for action in convolves.actions)
    assert "stages[1] slot 0 modulation to conv" in attends.actions
    both = problem(TINY, tables=tables)
    found = slim(both, equal)
    latencies = [both.columns(found.codes)[f"latency {name}"] for name in tables]
    assert found.cost == pytest.approx(sum(ms / ms[0] for ms in latencies) / 2)
    for one in (attends, convolves, found):
        assert (np.diff(one.cost) <= 0).all()


def test_an_action_that_gains_no_time_is_left_until_nothing_else_gains_any():
    """Only the width of the last stage takes time."""
    device = Device(lambda unit: float(unit.width == 32 and unit.part == "head") + 1.0)
    found = slim(problem(TINY, tables={"phone": device}), random_importances(TINY))
    gains = -np.diff(found.cost) > 0
    assert gains.any()
    assert not gains[np.argmin(gains) :].any()
    assert (np.diff(found.cost) <= 0).all()


# what is asked for


def asked(constraints=(), most=100, **options):
    ours = problem(TINY, *constraints)
    method = Importance(ours, 0, ImportanceConfig(**options), lambda: random_importances(TINY))
    found = [method.ask(most)]
    while len(method.left):
        method.tell(found[-1], np.zeros(len(found[-1])))
        found.append(method.ask(most))
    assert max(map(len, found)) <= most
    return ours, method.trajectory, np.concatenate(found)


def test_networks_within_the_constraints_are_asked_for_first():
    ours, way, found = asked(["macs <= 0.6 M", "params <= 0.03 M"], evaluated=8)
    excess = ours.excess(ours.columns(way.codes))
    assert (excess > 0).any()
    first = way.codes[np.flatnonzero(excess == 0)[0]]
    assert (found[0] == first).all()
    assert (ours.excess(ours.columns(found)) == 0).sum() == min(8, (excess == 0).sum())
    assert len(np.unique(found, axis=0)) == len(found) == 8
    _, _, again = asked(["macs <= 0.6 M", "params <= 0.03 M"], most=3, evaluated=8)
    assert (again == found).all()


def test_where_few_keep_the_constraints_the_nearest_follow():
    ours, way, found = asked(["macs <= 0.14 M"], evaluated=6)
    excess = ours.excess(ours.columns(found))
    number = (ours.excess(ours.columns(way.codes)) == 0).sum()
    assert 0 < number < 6
    assert (excess[:number] == 0).all()
    assert (np.diff(excess[number:]) > 0).all()
    _, way, found = asked(["macs <= 0.001 M"], evaluated=5)
    assert (found == way.codes[::-1][:5]).all()


def test_networks_are_spread_by_their_cost():
    cost = np.array([1.0, 0.9, 0.89, 0.88, 0.87, 0.86, 0.5, 0.3, 0.1])
    assert spread(cost, np.zeros(9), 4).tolist() == [0, 8, 6, 7]
    assert spread(cost, np.array([0.2] + [0.0] * 8), 9).tolist()[-1] == 0
    assert sorted(spread(cost, np.zeros(9), 20).tolist()) == list(range(9))
