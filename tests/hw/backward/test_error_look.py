"""ErrorLook against docs/numerics.md, "Sparse BPTT: backward": errors, saturations, latency of looks that come close together."""

import random

import pytest
from amaranth.hdl import Const

from coldspike.hw.backward.error_look import ErrorLook
from coldspike.spec.config import CoreConfig

from ..cycles import read_port, set_all
from ..support import simulate, watch

FIELDS = ("step", "index", "value")


def error_of(total, power, g, p, rate=0):
    """(c, how many of operand, operand and loss of the rate, and c saturated)."""
    rounded = (total + (1 << 9)) >> 10
    operand = min(max(rounded, -(1 << 26)), (1 << 26) - 1)
    later = operand if power == 1 << 16 else (operand * power + (1 << 15)) >> 16
    costly = min(max(later + rate, -(1 << 26)), (1 << 26) - 1)
    wide = (costly * g + (1 << p - 1)) >> p
    error = min(max(wide, -(1 << 17)), (1 << 17) - 1)
    return error, (operand != rounded) + (costly != later + rate) + (error != wide)


def rate_error(count, bounds, strength):
    """What so many spikes of a neuron in the sample add to its error."""
    if count > bounds["most"]:
        return (count - bounds["most"]) * strength["upper"]
    return -max(bounds["least"] - count, 0) * strength["lower"]


@pytest.mark.parametrize("rates", [None, (1, 4, 900, 700), (0, 0, 65535, 9), (3000, 3000, 1, 65535), (4, 1, 50, 60)])
@pytest.mark.parametrize("idle", [0.0, 0.4])
@pytest.mark.parametrize("lanes, neurons, p", [(2, 7, 1), (4, 13, 12), (8, 5, 18), (2, 3, 24), (4, 4, 30), (8, 20, 40), (2, 5, 45)])
def test_random_looks(lanes, neurons, p, idle, rates):
    rng = random.Random(p)
    config = CoreConfig.for_network((3, 2 * lanes, neurons, 2), lanes=lanes, rules="sparse-bptt", max_steps=4000, job_entries=50,
                                    rate_loss=rates is not None)
    least, most, upper, lower = rates or (0, 0, 0, 0)
    bounds, strength = {"least": least, "most": most}, {"upper": upper, "lower": lower}
    counts = [rng.choice((0, 1, 2, 5, 3000, 4000, rng.randrange(7))) for _ in range(neurons)]
    rows = {(2 + i // lanes, i % lanes): count for i, count in enumerate(counts)}
    powers = [1 << 16, *(rng.choice((0, 1 << 16, rng.randrange(1 << 16))) for _ in range(11))]
    limit = 1 << 36
    totals = [rng.choice((-limit - 513, -limit - 512, limit - 513, limit - 512, limit + limit // 2, rng.randint(-limit, limit),
                          rng.randint(-1 << 20, 1 << 20))) for _ in range(neurons)]
    sums = {(2 + i // lanes, i % lanes): total for i, total in enumerate(totals)}
    factors = (0, 1, 65535, rng.randrange(1 << 16))
    looks = [{"entry": {"step": rng.randint(1, 11), "index": rng.randrange(neurons), "value": rng.choice(factors)},
              "place": rng.randrange(50), "steps": rng.randrange(12), "fresh": rng.random() < 0.15} for _ in range(60)]
    dut, trace, starts = ErrorLook(config), [], []

    async def bench(ctx):
        set_all(ctx, dut, {"sum_base": 2, "shift": p, **({"bounds": bounds, "strength": strength} if rates else {})})
        await ctx.tick()
        for look in looks:
            ctx.set(dut.en, 0)
            while rng.random() < idle:
                ctx.set(dut.look, rng.choice(looks))
                await ctx.tick()
            set_all(ctx, dut, {"en": 1, "look": look})
            starts.append(len(trace))
            await ctx.tick()
        ctx.set(dut.en, 0)
        await ctx.tick().repeat(ErrorLook.LATENCY + 2)

    background = [read_port(dut.sum_en, list(dut.sum_addr), dut.counts,
                            lambda *blocks: [rows.get((block, k), 7) for k, block in enumerate(blocks)])] if rates else []
    simulate(dut, bench, background=background + [
        watch(trace, asks=dut.sum_en, replaces=dut.replace_en, place=dut.replace_index, entry=dut.replace_entry,
              saturated=dut.saturated),
        read_port(Const(1), dut.power_addr, dut.power, lambda n: powers[n]),
        read_port(dut.sum_en, list(dut.sum_addr), dut.sum_data,
                  lambda *blocks: [sums.get((block, k), -5) for k, block in enumerate(blocks)])])
    expected, saturated = [], 0
    for look in looks:
        entry = look["entry"]
        i = entry["index"]
        total = 0 if look["fresh"] else totals[i]
        error, over = error_of(total, powers[look["steps"]], entry["value"], p, rate_error(counts[i], bounds, strength))
        expected.append((look["place"], entry["step"], i, error))
        saturated += over
    assert [(t["place"], *(int(getattr(t["entry"], name)) for name in FIELDS)) for t in trace if t["replaces"]] == expected
    assert [n for n, t in enumerate(trace) if t["replaces"]] == [n + ErrorLook.LATENCY for n in starts]
    assert [n for n, t in enumerate(trace) if t["asks"]] == [n + ErrorLook.READ for n in starts]
    assert sum(t["saturated"] for t in trace) == saturated
