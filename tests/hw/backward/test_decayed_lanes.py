"""DecayedLanes against docs/numerics.md in plain integers: sums of both forms, contributions, saturations, latency, requests as
close as they may be."""

import random

import pytest

from coldspike.hw.backward.decayed_lanes import DecayedLanes
from coldspike.spec.config import CoreConfig

from ..cycles import play

LATENCY, WRITTEN = DecayedLanes.LATENCY, DecayedLanes.WRITTEN


class Neuron:
    """Sum x and last growth v, as numerics.md words them; ``low`` and ``high`` limit the sum."""

    def __init__(self, powers, low, high):
        self.powers, self.low, self.high, self.x, self.v = powers, low, high, 0, 0

    def seen(self, step):
        power = self.powers[abs(step - self.v)]
        return self.x if power == 2**16 else (self.x * power + 2**15) >> 16

    def grow(self, step, amount):
        """Whether the sum saturates."""
        grown = self.seen(step) + amount
        self.x, self.v = min(max(grown, self.low), self.high), step
        return self.x != grown


def neuron(config, powers, by_spikes):
    if by_spikes:
        bits = max(config.error_bits + config.time_bits + 1, 18)
        return Neuron(powers, -(1 << bits - 1), (1 << bits - 1) - 1)
    return Neuron(powers, 0, 2**17 - 1)


def ones(steps):
    return [2**16] * (steps + 1)


def shrinking(steps):
    return [round(2**16 * 0.9**n) for n in range(steps + 1)]


def anything(steps):
    """Nothing's powers: a wrong n shows at once."""
    rng = random.Random(5)
    return [rng.choice((0, 1, 2**16 - 1, 2**16, rng.randrange(2**16))) for _ in range(steps + 1)]


def requests(config, neurons, powers, forms, rng, often=1):
    """Random requests, a sweep of each of ``forms`` (whether by spikes); neurons grow in few steps, in many, or in all: ``often`` 0
    to 2. Inputs of each cycle, contributions by cycle, cycles of ``saturated``, limits at which sums of either form saturated."""
    cycles, expected, saturated, ends, last = [], {}, set(), (set(), set()), {}
    lanes, blocks, q = config.lanes, -(-neurons // config.lanes), config.error
    counts = ([0] * 9 + [1], (0, 1, 1, min(2, neurons), neurons), (neurons,))

    def cycle(**inputs):
        """What a request does not look at is noise."""
        noise = {"block": rng.randrange(blocks), "lane": rng.randrange(lanes), "step": rng.randrange(config.max_steps),
                 "value": rng.randint(q.min, q.max)}
        cycles.append(noise | {"by_spikes": form} | inputs)

    def wait(who):
        """Idle until the sums of these neurons may be looked at."""
        while len(cycles) < max(last.get(i, -9) for i in who) + WRITTEN:
            cycle()

    def clear(blocks):
        for block in blocks:
            cycle(clear_en=1, block=block)
            state.update({i: neuron(config, powers, form) for i in range(block * lanes, (block + 1) * lanes)})

    def grow(i, step):
        wait([i])
        last[i] = len(cycles)
        value = rng.choice((q.min, q.max, 0, rng.randint(q.min, q.max)))
        cycle(grow_en=1, block=i // lanes, lane=i % lanes, step=step, **({"value": value} if form else {}))
        if state[i].grow(step, value << config.time_bits if form else 1 << config.time_bits):
            ends[form].add(state[i].x)
            if form:
                saturated.add(len(cycles) - 1 + LATENCY)

    def read(block, step):
        row = range(block * lanes, (block + 1) * lanes)
        wait(row)
        c = rng.choice((q.min, q.max, 0, rng.randint(q.min, q.max)))
        expected[len(cycles) + LATENCY] = [state[i].seen(step) * (1 if form else c) for i in row]
        cycle(read_en=1, block=block, step=step, **({} if form else {"value": c}))

    for form in forms:
        state = {}
        clear(range(blocks))
        for step in sorted(range(config.max_steps), reverse=form):
            work = [(grow, i) for i in rng.sample(range(neurons), rng.choice(counts[often]))]
            work += [(read, block) for block in rng.choice(([], rng.sample(range(blocks), blocks)))]
            rng.shuffle(work)
            for request, where in work:
                request(where, step)
            if often == 1 and rng.random() < 0.1:
                for _ in range(LATENCY - 1):
                    cycle()
                clear([rng.randrange(blocks)])
        for _ in range(LATENCY - 1):
            cycle()
    return cycles, expected, saturated, ends


def run(config, powers, cycles, expected, saturated):
    """Plays the requests; contributions and ``saturated`` in every cycle."""
    table = [{"powers_w_en": 1, "powers_w_addr": n, "powers_w_data": power} for n, power in enumerate(powers)]
    dut = DecayedLanes(config)
    assert len(dut.contribution[0]) == config.error_bits + 17
    trace = play(dut, table + cycles, ["contribution", "saturated"], rest=LATENCY)[len(table):]
    shown = [0] * config.lanes
    for n, seen in enumerate(trace):
        shown = expected.get(n, shown)
        assert seen["contribution"] == shown, n
        assert seen["saturated"] == (n in saturated), n


@pytest.mark.parametrize("forms", [(False, True, True), (True, False, False)])
@pytest.mark.parametrize("lanes, neurons, steps, powers, tau, error_bits", [
    (2, 7, 30, anything, 8, 18), (4, 4, 30, anything, 10, 18), (8, 21, 16, anything, 8, 10), (4, 6, 1, shrinking, 4, 8),
    (2, 1, 50, shrinking, 8, 18),
])
def test_sums_and_contributions(lanes, neurons, steps, powers, tau, error_bits, forms):
    config = CoreConfig.for_network((neurons, 1), lanes=lanes, rules="sparse-bptt", max_steps=steps, time_bits=tau,
                                    error_bits=error_bits, error_fraction=6)
    run(config, powers(steps), *requests(config, neurons, powers(steps), forms, random.Random(steps))[:3])


def test_long_ago():
    """Growths many steps apart: all bits of a difference of steps."""
    for steps in (32, 33, 63):
        config = CoreConfig.for_network((3, 1), lanes=2, rules="sparse-bptt", max_steps=steps)
        powers, rng = [1000 + 2000 * n for n in range(steps + 1)], random.Random(steps)
        run(config, powers, *requests(config, 3, powers, (True, False, False, True), rng, often=0)[:3])


@pytest.mark.parametrize("error_bits, tau", [(18, 10), (8, 10), (10, 8)])
def test_saturating_sums(error_bits, tau):
    """Traces saturate without a pulse; errors at both ends, each with one LATENCY cycles after the growth. The next sweep of either
    form finds nothing of that."""
    steps = 134
    config = CoreConfig.for_network((2, 1), lanes=2, rules="sparse-bptt", max_steps=steps, time_bits=tau, error_bits=error_bits,
                                    error_fraction=6)
    *stimulus, (traces, errors) = requests(config, 2, ones(steps), (True, False, True), random.Random(tau), often=2)
    limit = 1 << error_bits + tau
    assert errors == {-limit, limit - 1} and (traces == {2**17 - 1} or tau < 10)
    run(config, ones(steps), *stimulus)


@pytest.mark.parametrize("error_bits, tau, room", [(18, 10, 2), (9, 8, 2), (8, 4, 64)])
def test_room_of_an_error(error_bits, tau, room):
    """So many of the most negative errors just fit; then each one saturates, also in cycles that follow each other."""
    lanes, steps = 4, 2
    config = CoreConfig.for_network((lanes, 1), lanes=lanes, rules="sparse-bptt", max_steps=steps, time_bits=tau,
                                    error_bits=error_bits, error_fraction=6)
    cycles, late = [{"by_spikes": 1, "clear_en": 1}], WRITTEN - lanes
    for _ in range(room + 2):
        cycles += [{"by_spikes": 1, "grow_en": 1, "lane": k, "step": 1, "value": config.error.min} for k in range(lanes)]
        cycles += [{"by_spikes": 1}] * late
    saturated = {1 + n * WRITTEN + k + LATENCY for n in (room, room + 1) for k in range(lanes)}
    read = len(cycles) - late + WRITTEN - 1
    cycles += [{"by_spikes": 1}] * (read - len(cycles)) + [{"by_spikes": 1, "read_en": 1, "step": 1}] + [{"by_spikes": 1}] * LATENCY
    run(config, ones(steps), cycles, {read + LATENCY: [room * config.error.min << tau] * lanes}, saturated)


def test_traces_saturate_without_a_pulse():
    """Beyond the largest error, too, where that is no larger than the largest trace."""
    config = CoreConfig.for_network((2, 1), lanes=2, rules="sparse-bptt", max_steps=2, time_bits=9, error_bits=8, error_fraction=5)
    cycles = [{"clear_en": 1}]
    for n in range(2**17 // 2**9 + 2):
        cycles += [{"grow_en": 1, "lane": k, "step": n > 0} for k in range(2)] + [{}] * (WRITTEN - 2)
    cycles += [{"read_en": 1, "step": 1, "value": -3}] + [{}] * LATENCY
    run(config, ones(2), cycles, {len(cycles) - 1: [-3 * (2**17 - 1)] * 2}, set())
