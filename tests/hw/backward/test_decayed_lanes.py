"""TraceLanes against docs/numerics.md in plain integers: traces, contributions, latency, requests as close as they may be."""

import random

import pytest

from coldspike.hw.backward.trace_lanes import TraceLanes
from coldspike.spec.config import CoreConfig

from ..cycles import play


class Neuron:
    """Trace r and last spike v, as numerics.md words them."""

    def __init__(self, powers, tau):
        self.powers, self.tau, self.r, self.v, self.saturated = powers, tau, 0, 0, False

    def seen(self, step):
        power = self.powers[step - self.v]
        return self.r if power == 2**16 else (self.r * power + 2**15) >> 16

    def spike(self, step):
        grown = self.seen(step) + (1 << self.tau)
        self.r, self.v, self.saturated = min(grown, 2**17 - 1), step, self.saturated or grown >= 2**17


def ones(steps):
    return [2**16] * (steps + 1)


def shrinking(steps):
    return [round(2**16 * 0.9**n) for n in range(steps + 1)]


def anything(steps):
    """Nothing's powers: a wrong n shows at once."""
    rng = random.Random(5)
    return [rng.choice((0, 1, 2**16 - 1, 2**16, rng.randrange(2**16))) for _ in range(steps + 1)]


def requests(config, neurons, powers, rng):
    """Random requests of three sweeps: inputs of each cycle, contributions by cycle, and whether a trace saturated."""
    cycles, expected, last, saturated = [], {}, {}, False
    lanes, blocks, q = config.lanes, -(-neurons // config.lanes), config.error

    def wait(who):
        """Idle until the traces of these neurons may be looked at."""
        while len(cycles) < max(last.get(i, -9) for i in who) + TraceLanes.WRITTEN:
            cycles.append({"block": rng.randrange(blocks), "lane": rng.randrange(lanes)})

    for _ in range(3):
        cycles += [{}] * 7 + [{"clear_en": 1, "block": block} for block in range(blocks)]
        state = [Neuron(powers, config.time_bits) for _ in range(blocks * lanes)]
        for step in range(config.max_steps):
            for i in sorted(rng.sample(range(neurons), rng.choice((0, 1, 1, min(2, neurons), neurons)))):
                wait([i])
                last[i] = len(cycles)
                cycles.append({"spike_en": 1, "block": i // lanes, "lane": i % lanes, "step": step})
                state[i].spike(step)
            for block in rng.choice(([], rng.sample(range(blocks), blocks))) if step else range(blocks):
                row = range(block * lanes, (block + 1) * lanes)
                wait(row)
                c = rng.choice((q.min, q.max, 0, rng.randint(q.min, q.max)))
                expected[len(cycles) + TraceLanes.LATENCY] = [c * state[i].seen(step) for i in row]
                cycles.append({"job_en": 1, "block": block, "step": step, "value": c})
        saturated |= any(neuron.saturated for neuron in state)
    return cycles, expected, saturated


@pytest.mark.parametrize("lanes, neurons, steps, powers, tau, error_bits, saturates", [
    (2, 7, 30, anything, 8, 18, False), (4, 4, 30, anything, 10, 18, False), (8, 21, 16, anything, 8, 10, False),
    (2, 1, 180, ones, 10, 18, True), (4, 6, 1, shrinking, 4, 8, False), (2, 1, 50, shrinking, 8, 18, False),
])
def test_traces_and_contributions(lanes, neurons, steps, powers, tau, error_bits, saturates):
    config = CoreConfig.for_network((neurons, 1), lanes=lanes, rule="sparse-bptt", max_steps=steps, time_bits=tau,
                                    error_bits=error_bits, error_fraction=6)
    table = [{"powers_w_en": 1, "powers_w_addr": n, "powers_w_data": power} for n, power in enumerate(powers(steps))]
    cycles, expected, saturated = requests(config, neurons, powers(steps), random.Random(steps))
    assert saturated == saturates
    dut = TraceLanes(config)
    assert len(dut.contribution[0]) == error_bits + 17
    trace = play(dut, table + cycles, ["contribution"], rest=TraceLanes.LATENCY)[len(table):]
    shown = [0] * lanes
    for n, seen in enumerate(trace):
        shown = expected.get(n, shown)
        assert seen["contribution"] == shown, n
