"""RateForwardEngine against model/exact/rate.py and model/timing_rate.py: spikes and factors of all layers, tape, events, sums,
saturations, and every cycle of its work."""

import random
from dataclasses import dataclass, field

import pytest
import torch

from coldspike.hw.forward.rate_engine import RateForwardEngine
from coldspike.hw.forward.trace_pass import TracePass
from coldspike.hw.layouts import SLOTS
from coldspike.hw.memory.transposable import TransposableMemory
from coldspike.model import timing_rate
from coldspike.model.exact import RateNetwork, traces
from coldspike.spec.config import CoreConfig, Schedule, bits_for
from coldspike.spec.pipeline import RATE_SCAN, TRACE_DEPTH
from coldspike.spec.rate import RateSettings

from ..cycles import read_port, set_all
from ..networks import network_of
from ..support import simulate, source, watch

SEEN = ("spike", "spike_layer", "spike_output", "scan_start", "output_start", "tape_en", "tape_address", "tape_data", "event",
        "saturated", "busy", "working", "done")


@dataclass
class Sample:
    """``levels`` {index: ticks}, ``spikes`` [(step, index)], ascending; ``idle`` as in support.source; ``late`` : how many cycles
    an engine that has its words in time waits for the readout; ``look`` : the host reads the sums before the next sample begins.
    ``profile`` and ``ticks`` are those of the settings unless given."""

    settings: RateSettings
    train: int
    levels: dict
    spikes: list = field(default_factory=list)
    idle: float = 0.0
    late: int = 0
    look: bool = False
    profile: list | None = None
    ticks: int | None = None

    @property
    def words(self):
        return [i | a << 16 for i, a in self.levels.items()] + [i | t << 16 | 1 << 31 for t, i in self.spikes]


@dataclass
class Expected:
    """What the golden models say. ``spikes``: of each weight layer the neurons that its scan sends, as fields of the engine's
    ``spike``; ``sums``: of each layer slopes, levels and, of hidden ones, potentials and eligibilities."""

    spikes: list
    sums: list
    events: list
    saturations: int
    before: int
    after: int


def golden(network, sample):
    """Runs a sample on the exact network."""
    config, settings, (n_in, depth) = network.config, sample.settings, (network.layers[0], network.depth)
    network.set_rule(settings, sample.ticks)
    network.profile[:len(sample.profile)] = torch.tensor(sample.profile)
    levels, sent = torch.zeros(1, n_in, dtype=torch.int64), torch.zeros(1, n_in, dtype=torch.bool)
    for i, a in sample.levels.items():
        levels[0, i], sent[0, i] = a, True
    trains = torch.zeros(1, settings.steps, n_in, dtype=torch.bool)
    for t, i in sample.spikes:
        trains[0, t, i] = True
    counted = dict(network.counters)
    given = {"spikes": trains} if settings.coded else {}
    run = network.train(levels, sent, torch.tensor([0]), **given) if sample.train else network.infer(levels, sent, **given)
    logits, _, record = run
    new = {name: value - counted[name] for name, value in network.counters.items()}

    spikes, sums = [], []
    for l in range(1, depth):
        factors = traces.eligibility_factor(config, network.eligibility[l - 1]).tolist()
        rates, fired = network.spike_a[l].tolist(), network.spike_fired[l].tolist()
        spikes.append([{"index": j, "fired": int(fired[j]), "time": rates[j], "active": int(g > 0), "level_factor": g,
                        "slope_factor": g} for j, g in enumerate(factors) if fired[j] or sample.train and g])
        sums.append([each.tolist() for each in (network.slope[l - 1], network.level[l - 1], network.membrane[l - 1],
                                                network.eligibility[l - 1])])
    one = config.factor.one
    spikes.append([{"index": k, "fired": 0, "time": 0, "active": 1, "level_factor": one, "slope_factor": one, "logit": logit}
                   for k, logit in enumerate(logits[0].tolist())])
    sums.append([network.slope[-1].tolist(), network.level[-1].tolist()])
    before, after = (int(part[0]) for part in timing_rate.forward(network, record))
    events = [new[f"EVENTS_{l}"] for l in range(config.max_layers)]
    return Expected(spikes, sums, events, new["MEMBRANE_SATURATIONS"], before, after)


async def write_profile(ctx, dut, profile, rng):
    """The leak and what each step weighs, in any order."""
    places = list(enumerate(profile))
    rng.shuffle(places)
    for n, value in places:
        set_all(ctx, dut, {"profile_en": 1, "profile_addr": n, "profile_data": value})
        await ctx.tick()
    set_all(ctx, dut, {"profile_en": 0, "profile_addr": 0, "profile_data": 0})


async def host_looks(ctx, dut, places):
    """Every sum, two cycles after it is asked for; it stays."""
    found = []
    for p in places:
        names, columns = ("slopes", "levels", "potentials", "eligibilities"), ([], [], [], [])
        for block in range(p.out_blocks):
            set_all(ctx, dut, {"sum_en": 1, "sum_addr": p.block_base + block})
            await ctx.tick()
            set_all(ctx, dut, {"sum_en": 0, "sum_addr": 0})
            await ctx.tick()
            shown = [[ctx.get(each) for each in getattr(dut, name)] for name in names]
            await ctx.tick()
            assert shown == [[ctx.get(each) for each in getattr(dut, name)] for name in names]
            for column, values in zip(columns, shown, strict=True):
                column += values
        found.append([column[:p.n_out] for column in columns])
    return found


def run(network, samples, before, unused=0):
    """Runs the samples one after the other, each as soon as the one before is through; ``before`` : of each how long it works until
    it needs the readout. Returns the whole trace, of each sample the cycle of its ``start``, and of those that are looked at all
    layers' sums."""
    config, layers, places, lanes = network.config, network.layers, network.layout, network.config.lanes
    dut, rng, trace, starts, looks = RateForwardEngine(config), random.Random(len(samples)), [], [], {}
    # Neurons past a layer's end get the largest weights: none may be sent or counted.
    rows = [[row + [config.weight.max] * (-len(row) % lanes) for row in weight.T.tolist()] for weight in network.weights]

    def row_of(tile, row):
        p = max((p for p in places if p.tile_base <= tile), key=lambda p: p.tile_base)
        in_block, out_block = divmod(tile - p.tile_base, p.out_blocks)
        i = in_block * lanes + row
        return rows[p.index - 1][i][out_block * lanes:(out_block + 1) * lanes] if i < p.n_in else [1] * lanes

    async def drive(ctx):
        ctx.set(dut.network, network_of(config, layers, unused=unused))
        stored = None
        for n, sample in enumerate(samples):
            if sample.profile != stored:
                await write_profile(ctx, dut, stored := sample.profile, rng)
            starts.append(len(trace))
            set_all(ctx, dut, {"steps": sample.settings.steps, "coded": sample.settings.coded, "ticks": sample.ticks, "start": 1,
                               "slot": n % SLOTS, "train": sample.train, "count": len(sample.words), "readout_ready": 0})
            await ctx.tick()
            set_all(ctx, dut, {"start": 0, "slot": (n + 1) % SLOTS, "train": 1 - sample.train, "count": 77})
            ready, done = starts[n] + 1 + before[n] + sample.late, 0
            while not done:
                ctx.set(dut.readout_ready, len(trace) >= ready or not sample.late)
                _, _, done = await ctx.tick().sample(dut.done)
            if sample.look:
                looks[n] = await host_looks(ctx, dut, places)
        await ctx.tick().repeat(3)

    async def feed(ctx):  # the next sample's words wait
        for sample in samples:
            await source(dut.i_payload, sample.words, idle=sample.idle, rng=rng)(ctx)

    simulate(dut, drive, feed, deadline=12_000, background=[
        read_port(dut.w_en, [dut.w_tile, dut.w_row], dut.w_data, row_of, latency=TransposableMemory.READ_LATENCY),
        watch(trace, **{name: getattr(dut, name) for name in SEEN})])
    return trace, starts, looks


def tape_words(network, number, expected):
    """(address, lanes) in the order of the writes."""
    config, lanes, out = network.config, network.config.lanes, []
    for p, spikes in zip(network.layout, expected.spikes, strict=True):
        flat = [(0, 0)] * (p.out_blocks * lanes)
        for s in spikes:
            flat[s["index"]] = (s["fired"], s["time"]) if s["fired"] else (0, 0)
        out += [(number % SLOTS << bits_for(config.neuron_blocks) | p.block_base + block, flat[block * lanes:(block + 1) * lanes])
                for block in range(p.out_blocks)]
    return out


def check_sample(network, sample, expected, span):
    """Counts and cycles of a sample's span, which begins with ``start``."""
    depth, lanes = network.depth, network.config.lanes
    assert [sum(t["event"] >> l & 1 for t in span) for l in range(network.config.max_layers)] == expected.events
    assert sum(t["saturated"] for t in span) == expected.saturations
    scans = [n for n, t in enumerate(span) if t["scan_start"]]
    assert [span[n]["spike_layer"] for n in scans] == list(range(depth))
    slots = [n for n, t in enumerate(span) if t["spike"].item or t["spike"].block_last]
    for n, spikes, size in zip(scans, expected.spikes, network.layers[1:], strict=True):
        first = n + RATE_SCAN - 1  # without a gap until the layer is through
        here = [n for n in slots if first <= n][:sum(max(1, sum(s["index"] // lanes == block for s in spikes))
                                                     for block in range(-(-size // lanes)))]
        assert here == list(range(first, first + len(here))) and span[here[-1]]["spike"].layer_last
        assert sum(int(span[k]["spike"].block_last) for k in here) == -(-size // lanes)
    assert len([t for t in span if t["spike"].layer_last]) == depth

    busy, working = ([n for n, t in enumerate(span) if t[name]] for name in ("busy", "working"))
    begun, = (n for n, t in enumerate(span) if t["output_start"])
    assert begun == scans[-1] - 1 and busy == list(range(1, begun + expected.after))
    assert [n for n, t in enumerate(span) if t["done"]] == busy[-1:]
    if not sample.idle:
        assert begun == 1 + expected.before + sample.late
        assert working == [*range(1, 1 + expected.before), *range(begun, begun + expected.after)]


def check(network, samples, unused=0):
    """Runs the samples and compares everything; returns what was expected of each."""
    for sample in samples:
        sample.profile = sample.settings.profile if sample.profile is None else sample.profile
        sample.ticks = sample.settings.ticks(network.config) if sample.ticks is None else sample.ticks
    samples[-1].look = True
    expected = [golden(network, sample) for sample in samples]
    trace, starts, looks = run(network, samples, [each.before for each in expected], unused)
    for n, (sample, each) in enumerate(zip(samples, expected, strict=True)):
        span = trace[starts[n]:starts[n + 1] if n + 1 < len(samples) else None]
        check_sample(network, sample, each, span)
        last = len(each.spikes) - 1
        wanted = [(l, l == last, s) for l, spikes in enumerate(each.spikes) for s in spikes]
        seen = [t for t in span if t["spike"].item]
        for t, (l, output, s) in zip(seen, wanted, strict=True):
            shown = {name: int(t["spike"][name]) for name in s}
            assert (t["spike_layer"], t["spike_output"], shown) == (l, output, s)
            assert not t["spike"].level_clipped and not t["spike"].slope_clipped
        assert not any(t["spike"].fired or t["spike"].active for t in span if not t["spike"].item)
        if sample.look:
            for found, right in zip(looks[n], each.sums, strict=True):
                assert found[:len(right)] == right
    written = [(t["tape_address"], [(int(lane.fired), int(lane.time)) for lane in t["tape_data"]]) for t in trace if t["tape_en"]]
    assert written == [word for n, each in enumerate(expected) for word in tape_words(network, n, each)]
    return expected


def network_with(config, layers, weight):
    """An exact network of the weights ``weight(l, j, i)``."""
    network = RateNetwork(config, layers)
    for l, matrix in enumerate(network.weights, start=1):
        matrix[:] = torch.tensor([[weight(l, j, i) for i in range(layers[l - 1])] for j in range(layers[l])])
    return network


def config_of(layers, lanes, schedule, **more):
    return CoreConfig.for_network(layers, rules="rate", lanes=lanes, schedule=schedule,
                                  **{"weight_bits": 8, "weight_fraction": 5, "max_steps": 7} | more)


def inputs_of(rng, config, settings, inputs, sent, spiking):
    """Levels of a share of the inputs; of coded inputs spikes in a share of the steps, whatever the levels."""
    levels = {i: rng.choice((0, config.window, rng.randint(0, config.window))) for i in range(inputs) if rng.random() < sent}
    places = [(t, i) for t in range(settings.steps) for i in range(inputs)] * settings.coded
    return levels, [place for place in places if rng.random() < spiking]


NETWORKS = {"no hidden layer": ((9, 6), 4), "one": ((6, 9, 3), 4), "two": ((5, 9, 4, 3), 2), "three": ((7, 5, 9, 2, 4), 4),
            "two of one block": ((3, 4, 2, 4), 4), "single neurons": ((1, 1, 1), 2)}


@pytest.mark.parametrize("schedule", Schedule, ids=str)
@pytest.mark.parametrize("coded", [False, True], ids=["currents", "coded"])
@pytest.mark.parametrize("name", NETWORKS)
def test_samples(name, coded, schedule):
    """Of 1, 2, 3 and 7 steps, empty and full, in training and not, as close as may be, with pauses and without."""
    (layers, lanes), rng = NETWORKS[name], random.Random(f"{name}, {coded}")
    config = config_of(layers, lanes, schedule)
    network, samples = network_with(config, layers, lambda l, j, i: rng.randint(-18, 45)), []
    for steps, leak, train, sent, spiking, more in (
            (7, 0.2, 1, 0.7, 0.4, {}), (2, 0.9, 0, 0.0, 0.0, {}), (1, 0.0, 1, 1.0, 1.0, {"look": True}),
            (2, 0.2, 1, 0.5, 0.6, {"idle": 0.4, "late": 30}), (7, 0.9, 0, 0.5, 0.3, {"late": 250}), (1, 0.2, 0, 0.0, 0.6, {}),
            (2, 0.5, 1, 0.6, 0.0, {}), (3, 0.2, 0, 0.8, 0.2, {"idle": 0.3, "look": True}), (2, 0.2, 1, 0.0, 0.0, {})):
        settings = RateSettings(steps=steps, leak=leak, coded=coded)
        samples.append(Sample(settings, train, *inputs_of(rng, config, settings, layers[0], sent, spiking), **more))
    expected = check(network, samples)
    hidden = [spike for each in expected for spikes in each.spikes[:-1] for spike in spikes]
    if max(layers[1:-1], default=0) > 1:
        assert {(s["fired"], s["active"]) for s in hidden} >= {(0, 1), (1, 1)}
        assert any(s["fired"] for each in expected for s in each.spikes[-2])


@pytest.mark.parametrize("schedule", Schedule, ids=str)
@pytest.mark.parametrize("coded", [False, True], ids=["currents", "coded"])
@pytest.mark.parametrize("sign", [1, -1])
def test_everybody_fires_and_nobody(sign, coded, schedule):
    """All neurons in all steps, far beyond the threshold: nobody passes gradient, the queue is full; and no event at all."""
    layers, steps = (4, 9, 8, 3), 4
    config, settings = config_of(layers, 4, schedule), RateSettings(steps=steps, coded=coded)
    network = network_with(config, layers, lambda l, j, i: 127 * sign)
    levels, spikes = dict.fromkeys(range(4), config.window), [(t, i) for t in range(steps) for i in range(4)] * coded
    samples = [Sample(settings, train, levels, spikes) for train in (1, 0, 1)]
    for sample, each in zip(samples, check(network, samples), strict=True):
        numbers = [len(spikes) for spikes in each.spikes[:2]]
        if sign > 0:
            assert (each.events[1:], numbers) == ([9 * steps, 8], [9, 8])
            assert all(s["time"] == config.window and not s["active"] for spikes in each.spikes[:2] for s in spikes)
        else:  # who hears nothing is at rest, not far from the threshold
            assert (each.events[1:], numbers) == ([0, 0], [0, 8 * sample.train])


@pytest.mark.parametrize("schedule", Schedule, ids=str)
@pytest.mark.parametrize("coded", [False, True], ids=["currents", "coded"])
def test_the_scan_of_a_large_silent_layer(coded, schedule):
    """Of whom all pass gradient: the next layer's last pass, or the output layer, is due before the scan is through."""
    rng = random.Random(7)
    for layers in ((2, 60, 3, 2), (2, 60, 2)):
        config = config_of(layers, 4, schedule)
        network = network_with(config, layers, lambda l, j, i: -j % 3 if l == 1 else 9)
        samples = [Sample(settings, train, *inputs_of(rng, config, settings, 2, 1.0, 0.5)) for steps in (1, 2) for train in (1, 0)
                   for settings in [RateSettings(steps=steps, coded=coded)]]
        for sample, each in zip(samples, check(network, samples), strict=True):
            assert each.events[1] == 0 and len(each.spikes[0]) == 60 * sample.train


@pytest.mark.parametrize("coded", [False, True], ids=["currents", "coded"])
def test_a_small_network_in_a_large_build(coded):
    """Entries of the network past its layers hold anything; there are more steps to a build than to a sample."""
    rng, layers = random.Random(5), (6, 5, 3)
    config = CoreConfig.for_network((13, 9, 8, 6), rules="rate", lanes=4, schedule="multi-step", max_steps=20, spike_entries=300)
    network = network_with(config, layers, lambda l, j, i: rng.randint(-1500, 4500))
    samples = [Sample(settings, train, *inputs_of(rng, config, settings, 6, 0.6, 0.4)) for train in (0, 1) for settings in (
        RateSettings(steps=5, coded=coded), RateSettings(steps=20, leak=0.7, coded=coded))]
    check(network, samples, unused=3)


@pytest.mark.parametrize("schedule", Schedule, ids=str)
@pytest.mark.parametrize("coded", [False, True], ids=["currents", "coded"])
def test_whatever_the_host_writes(coded, schedule):
    """A leak beyond 1, any weights of the steps, any ticks; the largest weights, which saturate potentials at both ends."""
    rng, layers = random.Random(6), (6, 5, 7, 3)
    config = config_of(layers, 4, schedule, weight_bits=18, weight_fraction=12)
    q, samples = config.weight, []
    network = network_with(config, layers, lambda l, j, i: rng.choice((q.min, q.max, rng.randint(-9000, 9000))))
    for ticks, most in ((0, 1 << 17), ((1 << 19) - 1, 1 << 17), (300, 5), (9000, 1 << 17)):
        settings = RateSettings(steps=7, coded=coded)
        profile = [rng.randrange(most) | (1 << 16 if most > 5 else 0) for _ in range(8)]
        samples.append(Sample(settings, 1, *inputs_of(rng, config, settings, 6, 0.8, 0.5), profile=profile, ticks=ticks))
    expected = check(network, samples)
    assert all(each.saturations for each in expected)
    assert any(s["fired"] and not s["time"] for s in expected[0].spikes[1])


def test_who_passes_hardly_any_gradient():
    """Neurons at the threshold, whose eligibility is just less than half the factor's last bit, or more."""
    layers = (1, 3, 2)
    config, settings = config_of(layers, 2, Schedule.SINGLE_STEP), RateSettings(steps=1)
    network = network_with(config, layers, lambda l, j, i: config.weight.one)
    samples = [Sample(settings, 1, {0: config.window}, profile=[0, weight]) for weight in (8, 9, 16, 17, 24)]
    found = [[s["level_factor"] for s in each.spikes[0]] for each in check(network, samples)]
    assert found == [[], [1] * 3, [1] * 3, [1] * 3, [1] * 3]


def test_constants():
    assert RateForwardEngine.LEAD == TracePass.DEPTH == TRACE_DEPTH == 9
