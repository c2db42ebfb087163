"""StepScan against the list of neurons that are sent: order, markers, cycles."""

import random

import pytest

from coldspike.hw.forward.step_scan import StepScan
from coldspike.spec.config import CoreConfig

from ..cycles import play, read_port

LATENCY, FRACTION = 6, 4
ONE = 1 << FRACTION


def expected_slots(lanes, step, potentials, output, bound):
    """Slots of a step; active are those within ``bound`` of 1.0."""
    slots, blocks = [], -(-len(potentials) // lanes)
    for block in range(blocks):
        sent = [j for j in range(block * lanes, min((block + 1) * lanes, len(potentials)))
                if output or potentials[j] > ONE or abs(potentials[j] - ONE) < bound]
        for j in sent or [None]:
            slots.append({"item": int(j is not None), "last": int(block == blocks - 1 and (j is None or j == sent[-1])),
                          **({"step": step, "index": j, "potential": potentials[j]} if j is not None else {})})
    return slots


@pytest.mark.parametrize("lanes", [2, 4, 8])
@pytest.mark.parametrize("output, listing, window", [(0, 1, 3), (0, 0, 3), (1, 1, 3), (0, 1, 0), (0, 1, (1 << 19) - 1)])
def test_steps(lanes, output, listing, window):
    """One step after the other, as close as is allowed; lanes past the end hold potentials that would be sent."""
    rng = random.Random(lanes + window)
    config = CoreConfig.for_network((5, 21, 21), lanes=lanes, weight_bits=6, weight_fraction=FRACTION, rules="sparse-bptt",
                                    max_steps=20)
    count = rng.choice((1, lanes - 1, lanes + 1, 21))
    blocks = -(-count // lanes)
    base, memory, cycles, expected = rng.randrange(config.neuron_blocks - blocks + 1), [], [{}], []
    for step in range(1, 6):
        near = (ONE, ONE - window, ONE - window + 1, ONE + 1)
        potentials = [rng.choice((rng.randint(-99, ONE), rng.randint(-99, ONE), *near)) for _ in range(count)]
        potentials = [max(v, -1 << 17) for v in potentials]
        padded = potentials + [ONE + 1] * (blocks * lanes - count)
        memory.append([padded[block * lanes:(block + 1) * lanes] for block in range(blocks)])
        slots = expected_slots(lanes, step, potentials, output, window * listing)
        expected.append((len(cycles), slots))
        cycles += [{"start": 1, "step": step}] + [{}] * (3 + len(slots))
    reads = iter([(step, block) for step in range(len(memory)) for block in range(blocks)])

    def lookup(address):
        step, block = next(reads)
        assert address == base + block
        return memory[step][block]

    dut = StepScan(config)
    stable = {"blocks": blocks, "base": base, "size": count, "output": output, "listing": listing, "window": window}
    trace = play(dut, cycles, ["neuron", "busy", "done"], stable=stable, rest=LATENCY,
                 background=[read_port(dut.r_en[0], dut.r_addr[0], dut.potentials, lookup)])
    filled = {}
    for start, slots in expected:
        filled |= {start + LATENCY + n: slot for n, slot in enumerate(slots)}
    for n, record in enumerate(trace):
        slot = filled.get(n, {"item": 0, "last": 0})
        assert {name: int(getattr(record["neuron"], name)) for name in slot} == slot
    done = [start + 3 + len(slots) for start, slots in expected]
    assert [n for n, t in enumerate(trace) if t["done"]] == done
    assert [n for n, t in enumerate(trace) if t["busy"]] == list(range(expected[0][0] + 1, done[-1] + 2))
