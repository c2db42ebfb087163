"""TracePass against docs/numerics.md, written out in Python integers, and model/exact/traces.py: masks, counts, eligibility,
potentials, saturations, every cycle in which they can be read."""

import math
import random
from dataclasses import dataclass

import pytest
import torch

from coldspike.hw.forward.trace_pass import TracePass
from coldspike.model.exact import traces
from coldspike.spec import pipeline
from coldspike.spec.config import CoreConfig
from coldspike.spec.rate import RateFormats

from ..cycles import play, read_port

MASK, DEPTH, LOOK = 6, 9, 2
LOW, HIGH = -1 << 17, (1 << 17) - 1
ONE = 1 << 16
"""1.0 of a leak and of what a step weighs."""

MOST = 2 * ONE - 1
LEAKS = (0, 13107, 58982, ONE, MOST)


def surrogate(distance):
    s = 1 / (1 + math.exp(-4 * distance))
    return 4 * s * (1 - s)


TABLE = [min(round(256 * surrogate((n + 0.5) / 32)), 255) for n in range(64)]


def step(f, leak, weight, current, neuron):
    """(u, spikes, F) of a neuron after a step, whether it fired and whether u saturated."""
    u, count, total = neuron
    one = 1 << f
    x = u - (one if u > one else 0)
    exact = ((x * leak + (1 << 15)) >> 16) + current
    u = max(LOW, min(HIGH, exact))
    fired, n = u > one, (abs(u - one) << 5) >> f
    return (u, count + fired, total + (TABLE[n] if n < 64 else 0) * weight), fired, u != exact


@dataclass
class Pass:
    """A step of the layer whose blocks begin at ``base``: of each neuron ``currents``; what the rounded levels give if ``direct``.
    The sums that are not used, and all of lanes without a neuron, are anything. It starts ``pause`` cycles after ``idle``."""

    base: int
    currents: list
    leak: int
    weight: int
    first: int
    direct: int = 0
    pause: int = 0


def config_of(f=12, lanes=4, blocks=11, neurons=40, weight_bits=18, **more):
    return CoreConfig(lanes=lanes, neuron_blocks=blocks, max_neurons=neurons, weight_bits=weight_bits, weight_fraction=f,
                      rules="rate", **{"max_steps": 12} | more)


class Bench:
    """Lays passes out in cycles, with what can be seen in them."""

    def __init__(self, config, passes, rng):
        self.config, self.rng, self.cycles, self.neurons = config, rng, [], {}
        self.inputs, self.masks, self.saturated, self.idle, self.history, self.passing = [], [], [], [], {}, {}
        for each in passes:
            self.lay_out(each)

    def sums(self, current, direct):
        """Slope and level that give the current; ``direct`` levels are rounded."""
        c, rng, half = self.config, self.rng, 1 << self.config.time_bits - 1
        slope, level = (rng.choice((form.min, form.max, rng.randint(form.min, form.max))) for form in (c.slope, c.level))
        if direct:
            return slope, (current << c.time_bits) + rng.choice((-half, 0, half - 1, rng.randrange(-half, half)))
        return current, level

    def lay_out(self, run):
        lanes, rng, size = self.config.lanes, self.rng, len(run.currents)
        blocks = -(-size // lanes)
        self.cycles += [{}] * run.pause
        start = len(self.cycles)
        taken = {"start": 1, "base": run.base, "blocks": blocks, "size": size, "first": run.first, "direct": run.direct,
                 "weight": run.weight, "leak": run.leak}
        self.cycles.append(taken)
        for _ in range(blocks + DEPTH - 1):
            other = {"base": self.config.neuron_blocks, "blocks": 2, "size": 99, "first": 2, "direct": 2, "weight": MOST}
            self.cycles.append({name: rng.randrange(end) for name, end in other.items()} | {"leak": run.leak})
        self.idle += range(start + 1, start + blocks + DEPTH)
        over = 0
        for n in range(blocks):
            address, walked, mask = run.base + n, start + 1 + n, 0
            here = list(enumerate(run.currents[n * lanes:(n + 1) * lanes]))
            for k, current in here:
                before = (0, 0, 0) if run.first else self.neurons[address, k]
                after, fired, beyond = step(self.config.weight_fraction, run.leak, run.weight, current, before)
                self.neurons[address, k] = after
                mask, over = mask | fired << k, over + beyond
            extreme = rng.choice((self.config.slope.min, self.config.slope.max, 3 << self.config.weight_fraction))
            pairs = [self.sums(run.currents[n * lanes + k] if k < len(here) else self.config.slope.clamp(extreme), run.direct)
                     for k in range(lanes)]
            self.inputs.append((address, [p[0] for p in pairs] + [p[1] for p in pairs]))
            self.masks.append((walked + MASK, address, mask))
            self.passing.setdefault(address, []).append((walked, walked + DEPTH))
            self.history.setdefault(address, []).append((walked + DEPTH, [self.neurons[address, k] for k, _ in here]))
        self.saturated.append((start, over))

    def look(self, address, cycle):
        """The neurons of a block as read in a cycle, None while they change."""
        if any(begin <= cycle < end for begin, end in self.passing.get(address, ())):
            return None
        return next((neurons for ready, neurons in reversed(self.history.get(address, [])) if ready <= cycle), None)

    def run(self):
        """Plays everything. Each block is read as soon as it can be, others in between; then all potentials."""
        lanes, rng = self.config.lanes, self.rng
        cycles = self.cycles + [{} for _ in range(DEPTH + 1)]
        due = {ready: address for address, blocks in self.history.items() for ready, _ in blocks}
        reads = {}
        for n in range(len(cycles)):
            address = due.get(n, rng.randrange(self.config.neuron_blocks))
            neurons = self.look(address, n)
            assert neurons is not None or n not in due
            if neurons is not None and (n in due or rng.random() < 0.5):
                reads[n] = neurons
                cycles[n] = cycles[n] | {"s_en": [1] * lanes, "s_addr": [address] * lanes}
        looks = {}
        for address in self.history:
            looks[len(cycles)] = address
            cycles.append({"look_en": 1, "look_addr": address})
            cycles += [{"look_addr": rng.randrange(self.config.neuron_blocks)} for _ in range(rng.randrange(3))]
        fed = iter(self.inputs)

        def lookup(*addresses):
            address, values = next(fed)
            assert addresses == (address,) * lanes
            return values

        dut = TracePass(self.config)
        names = ["idle", "saturated", "mask_en", "mask_addr", "mask", "counts", "eligibilities", "potentials", "r_addr"]
        trace = play(dut, cycles, names, rest=LOOK, background=[
            read_port(dut.r_en, list(dut.r_addr), [*dut.slopes, *dut.levels], lookup)])
        assert next(fed, None) is None
        assert [n for n, t in enumerate(trace) if not t["idle"]] == self.idle
        assert [(n, t["mask_addr"], t["mask"]) for n, t in enumerate(trace) if t["mask_en"]] == self.masks
        for n, record in enumerate(trace[min(reads) + 1:], start=min(reads)):  # what was read stays
            neurons = reads[n] if n in reads else neurons
            seen = list(zip(record["counts"], record["eligibilities"], strict=True))
            assert seen[:len(neurons)] == [(count, total) for _, count, total in neurons], n
            assert not any(count for count, _ in seen[len(neurons):])
        self.check_saturated(trace)
        self.check_looks(cycles, looks, trace)

    def check_saturated(self, trace):
        bounds = [start for start, _ in self.saturated] + [len(trace)]
        assert [sum(t["saturated"] for t in trace[a:b]) for a, b in zip(bounds, bounds[1:])] == [over for _, over in self.saturated]

    def check_looks(self, cycles, looks, trace):
        """What was looked at stays until the next look; the address goes to the accumulators, too."""
        ends = [*list(looks)[1:], len(cycles)]
        for (n, address), end in zip(looks.items(), ends, strict=True):
            expected = [u for u, _, _ in self.history[address][-1][1]]
            for late in range(n + LOOK, end + LOOK):
                assert trace[late]["potentials"][:len(expected)] == expected
        for n in range(min(looks), len(cycles)):
            assert trace[n + 1]["r_addr"] == [cycles[n]["look_addr"]] * self.config.lanes


def check(config, passes, seed=0):
    """Returns the neurons at the end, by block and lane, and how many potentials saturated."""
    bench = Bench(config, passes, random.Random(seed))
    bench.run()
    return bench.neurons, sum(over for _, over in bench.saturated)


def near_threshold(rng, f, reach):
    """A current that makes something of the next potential."""
    one = 1 << f
    return rng.choice((0, one, one + 1, one - 1, -one, rng.randint(-reach * one, reach * one), rng.randint(one // 2, 2 * one)))


@pytest.mark.parametrize("lanes", [2, 4, 8])
@pytest.mark.parametrize("f", [5, 12])
def test_layers_in_turns(lanes, f):
    """Layers of one block and many, of whole blocks and parts, that step one after the other as they like, or begin anew."""
    rng, config = random.Random(lanes + f), config_of(f, lanes, blocks=15, neurons=60)
    sizes = {0: 1, 1: 4 * lanes - 1, 5: lanes, 6: 2 * lanes + 1, 9: 5 * lanes}
    passes, begun = [], set()
    for n in range(50):
        base = rng.choice(list(sizes)) if n > 5 else rng.choice((0, 6))
        passes.append(Pass(base, [near_threshold(rng, f, 3) for _ in range(sizes[base])], rng.choice(LEAKS),
                           rng.choice((0, 1, ONE, MOST, rng.randrange(MOST))), base not in begun or rng.random() < 0.2,
                           rng.randrange(2), rng.choice((0, 0, 1, 7))))
        begun.add(base)
    longest = config.max_steps
    for base in sizes:  # a layer takes at most so many steps
        run = 0
        for each in (each for each in passes if each.base == base):
            run = 1 if each.first or run == longest else run + 1
            each.first = int(run == 1)
    neurons, _ = check(config, passes)
    counts = [count for _, count, _ in neurons.values()]
    assert max(counts) > 2 and min(counts) == 0


@pytest.mark.parametrize("f, sign", [(2, 1), (2, -1), (5, 1), (5, -1), (12, 1), (12, -1), (16, 1), (16, -1), (17, -1)])
def test_every_distance_from_the_threshold(f, sign):
    """Both ends of each entry of the table, and far beyond it; the potential is the first current."""
    one, config = 1 << f, config_of(f, lanes=8, blocks=60, neurons=480)
    borders = {n * one // 32 + d for n in range(68) for d in (-1, 0, 1)} | {2 * one + one // 2, 4 * one, one - LOW, HIGH - one}
    potentials = sorted({one + sign * d for d in borders if d >= 0 and LOW <= one + sign * d <= HIGH})
    neurons, over = check(config, [Pass(0, potentials, 0, ONE, 1), Pass(0, [0] * len(potentials), 0, 1, 0)])
    entries = {(abs(u - one) << 5) >> f for u in potentials}
    assert over == 0 and (len(entries) > 66 or f < 5 or f > 15)
    assert TABLE[0] == 255 and TABLE[60] == 1 and not any(TABLE[61:])


@pytest.mark.parametrize("leak", LEAKS)
@pytest.mark.parametrize("f", [2, 12, 17])
def test_saturation(leak, f):
    """Sums far beyond a potential, and just at its ends; lanes without a neuron are not counted."""
    rng, config = random.Random(leak), config_of(f, lanes=4, neurons=300)
    extremes = [config.slope.max, config.slope.min, HIGH, HIGH + 1, LOW, LOW - 1]
    passes = [Pass(base, [rng.choice(extremes) for _ in range(size)], leak, MOST, n == 0)
              for n in range(8) for base, size in ((0, 7), (2, 4), (3, 13))]
    neurons, over = check(config, passes)
    ends = {u for u, _, _ in neurons.values()}
    assert over > 60 and {LOW, HIGH} <= ends


def test_products_at_their_limits():
    """The largest and the least potential times any leak, from either side, and what rounds."""
    config, f = config_of(neurons=300), 12
    rests = [HIGH, LOW, 1, -1, 3, -3, (1 << f) + 1, 2 << f, 1 << f]
    for leak in (*LEAKS, 1, ONE >> 1, ONE - 1, ONE + 1):
        check(config, [Pass(0, rests, 0, 5, 1), Pass(0, [0] * len(rests), leak, 9, 0), Pass(0, [-7] * len(rests), leak, MOST, 0)])


@pytest.mark.parametrize("lanes", [2, 8])
def test_rounded_levels(lanes):
    """Currents from levels: halves go up, both signs; the least window and the longest."""
    rng = random.Random(lanes)
    for tau in (4, 10):
        config = config_of(8, lanes, time_bits=tau)
        currents = [near_threshold(rng, 8, 4) for _ in range(3 * lanes + 1)]
        check(config, [Pass(0, currents, ONE // 2, ONE, n == 0, direct=1) for n in range(4)], seed=tau)


@pytest.mark.parametrize("steps", [1, 2, 4, 5, 8])
def test_all_steps_at_most(steps):
    """A spike in each step, the largest derivative and weight: counts and eligibility of the most bits."""
    config = config_of(max_steps=steps, lanes=2)
    one = config.weight.one
    neurons, _ = check(config, [Pass(4, [one + 1, 0, one, HIGH, one + 1], 0, MOST, n == 0) for n in range(steps)])
    form = RateFormats(config)
    assert neurons[4, 0] == (one + 1, steps, 255 * MOST * steps) and neurons[4, 1][1] == 0 and neurons[5, 1][:2] == (HIGH, steps)
    assert steps <= form.count.max and form.eligibility.max >= 255 * MOST * steps


def test_the_smallest_build():
    config = CoreConfig.for_network((1, 1, 1), lanes=2, rules="rate", max_steps=1, weight_bits=4, weight_fraction=2, time_bits=4)
    assert config.neuron_blocks == 2
    check(config, [Pass(base, [current], MOST, MOST, 1, direct)
                   for base in (0, 1) for current in (5, 7, 4, -8) for direct in (0, 1)])


def test_the_golden_model_agrees():
    rng, config = random.Random(3), config_of(12, max_steps=9)
    for leak in LEAKS:
        weights, n = [rng.choice((0, ONE, MOST, rng.randrange(MOST))) for _ in range(9)], 60
        currents = [[near_threshold(rng, 12, 9) for _ in range(n)] for _ in weights]
        run = traces.run(config, leak, torch.tensor(weights), torch.tensor([currents]))
        neurons, saturations = [(0, 0, 0)] * n, 0
        for t, weight in enumerate(weights):
            done = [step(12, leak, weight, *each) for each in zip(currents[t], neurons, strict=True)]
            neurons, saturations = [each[0] for each in done], saturations + sum(each[2] for each in done)
            assert run.fired[0, t].tolist() == [each[1] for each in done]
        assert list(zip(*(part[0].tolist() for part in (run.potential, run.spikes, run.eligibility)), strict=True)) == neurons
        assert run.saturations == saturations


def test_constants():
    assert (TracePass.MASK_LATENCY, TracePass.DEPTH, pipeline.TRACE_DEPTH) == (MASK, DEPTH, DEPTH)
