"""NeuronScan against the list of fired neurons: order, markers, cycles."""

import random

import pytest

from coldspike.hw.forward.scan import NeuronScan
from coldspike.spec.config import CoreConfig

from ..cycles import play, read_port

FIELDS = ("item", "index", "slope", "level", "potential", "block_last", "layer_last")
LATENCY = 6


def expected_slots(config, neurons, output, potential):
    """Slots of a layer; ``neurons`` are (slope, level) pairs."""
    slots, lanes = [], config.lanes
    blocks = -(-len(neurons) // lanes)
    for block in range(blocks):
        sent = [j for j in range(block * lanes, min((block + 1) * lanes, len(neurons)))
                if output or neurons[j][1] >= config.window << config.weight_fraction
                or (neurons[j][0] << config.time_bits) + neurons[j][1] >= 0]
        for j in sent or [None]:
            last = j is None or j == sent[-1]
            slots.append({"item": int(j is not None), "block_last": int(last), "layer_last": int(last and block == blocks - 1),
                          **({"index": j, "slope": neurons[j][0], "level": neurons[j][1], "potential": int(potential)}
                             if j is not None else {})})
    return slots


@pytest.mark.parametrize("lanes", [2, 4, 8])
@pytest.mark.parametrize("density", [0.0, 0.15, 0.6, 1.0])
def test_layers(lanes, density):
    rng = random.Random(density + lanes)
    config = CoreConfig.for_network((5, 21, 21), lanes=lanes, time_bits=4, weight_bits=6, weight_fraction=4)
    dut = NeuronScan(config)
    full = config.window << config.weight_fraction

    def neuron():
        slope = rng.randint(-100, 100)
        z = rng.choice((0, 1, rng.randint(0, 300))) if rng.random() < density else rng.choice((-1, rng.randint(-300, -1)))
        level = z - (slope << config.time_bits)
        return (slope, level) if z >= 0 or level < full else (1, -17 - rng.randrange(9))

    memory, cycles, expected = {}, [], []
    for output, potential in ((0, 0), (0, 0), (1, 0), (1, 1)):
        count = rng.choice((1, lanes - 1, lanes, lanes + 1, 21))
        blocks, base = -(-count // lanes), rng.randrange(config.neuron_blocks - (-(-count // lanes)) + 1)
        neurons = [neuron() for _ in range(count)]
        if count > 1:
            neurons[1] = (-10, full)  # saturated: fires though z may be less than that
        padded = neurons + [(5, 5)] * (blocks * lanes - count)  # lanes past the end would fire
        slots = expected_slots(config, neurons, output, potential)
        start = len(cycles)
        for block in range(blocks):
            memory[start, base + block] = padded[block * lanes:(block + 1) * lanes]
        cycles += [{"start": 1, "count": count, "blocks": blocks, "base": base, "output": output, "potential": potential}]
        cycles += [{}] * (len(slots) + LATENCY)
        expected.append((start, slots))
    current = {"start": 0}

    async def follow(ctx):  # which layer's accumulators are to be read
        cycle = 0
        while True:
            _, _, started = await ctx.tick().sample(dut.start)
            current["start"] = cycle if started else current["start"]
            cycle += 1

    port = read_port(dut.r_en[0], dut.r_addr[0], dut.slopes + dut.levels, lambda address: [
        pair[n] for n in (0, 1) for pair in memory[current["start"], address]])
    trace = play(dut, cycles, ["neuron", "busy"], background=[follow, port])
    for start, slots in expected:
        first, end = start + LATENCY, start + LATENCY + len(slots)
        for slot, record in zip(slots, trace[first:end], strict=True):
            assert slot == {name: int(record["neuron"][name]) for name in FIELDS if name in slot}
        assert [t["busy"] for t in trace[start:end]] == [0] + [1] * (end - start - 2) + [0]
        for record in (*trace[start:first], trace[end]):
            assert not record["neuron"].item and not record["neuron"].block_last and not record["neuron"].layer_last
