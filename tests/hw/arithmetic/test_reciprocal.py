"""The divider and the normalised reciprocal against integer division; one a cycle, latencies 18 and 20."""

import random

import pytest

from coldspike.hw.arithmetic.reciprocal import DIVIDE_LATENCY, MantissaDivider, Reciprocal

from ..cycles import play


def quotient_of(mantissa):
    return min((1 << 35) // mantissa, (1 << 18) - 1)


def test_divider():
    rng = random.Random(0)
    mantissas = [1 << 17, (1 << 17) + 1, (1 << 18) - 1, (1 << 18) - 2, 3 << 16, 185363, 185364]  # 2**17.5: q crosses m
    mantissas += [rng.randrange(1 << 17, 1 << 18) for _ in range(150)]
    assert DIVIDE_LATENCY == 18
    trace = play(MantissaDivider(), [{"mantissa": m} for m in mantissas], ["quotient"], rest=18)
    assert [t["quotient"] for t in trace[18:]] == [quotient_of(m) for m in mantissas]


@pytest.mark.parametrize("width", [3, 17, 18, 19, 27])
def test_reciprocal(width):
    rng = random.Random(width)
    values = [1, 2, 3, (1 << width) - 1, 1 << (width - 1), (1 << (width - 1)) - 1]
    values += [rng.randrange(1, 1 << rng.randrange(1, width + 1)) for _ in range(80)]
    assert Reciprocal.LATENCY == 20
    trace = play(Reciprocal(width), [{"value": v} for v in values], ["length", "quotient", "length_late"], rest=20)
    lengths = [v.bit_length() for v in values]
    assert [t["length"] for t in trace[1:len(values) + 1]] == lengths
    assert [t["length_late"] for t in trace[20:]] == lengths
    assert [t["quotient"] for t in trace[20:]] == [quotient_of((v << 18) >> b) for v, b in zip(values, lengths, strict=True)]


def test_length_of_zero():
    assert play(Reciprocal(5), [{"value": 0}], ["length"], rest=1)[1]["length"] == 0
