"""Exponential against exp: within 2 units everywhere looked at, latency 3, one a cycle."""

from math import exp

from coldspike.hw.readout.exponential import DISTANCE_BITS, ONE, Exponential

from ..cycles import play


def test_within_two_units():
    top = (1 << DISTANCE_BITS) - 1
    distances = [*range(300), *range(300, top, 11), *range(top - 130, top + 1)]  # every low index, every high index
    assert Exponential.LATENCY == 3
    trace = play(Exponential(), [{"distance": d} for d in distances], ["value"], rest=3)
    values = [t["value"] for t in trace[3:]]
    high, low = ([round(ONE * exp(-n / scale)) for n in range(128)] for scale in (8, 1024))
    assert values == [(high[d >> 7] * low[d & 127] + (1 << 16)) >> 17 for d in distances]
    assert values[0] == ONE
    assert max(abs(v - ONE * exp(-d / 1024)) for d, v in zip(distances, values, strict=True)) <= 2
