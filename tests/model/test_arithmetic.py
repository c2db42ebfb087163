"""Integer primitives, exhaustively at small widths, against plain Python integers."""

import pytest
import torch

from coldspike.model.exact.arithmetic import (
    bit_length,
    matrix_product,
    reciprocal,
    round_shift,
    saturate,
    shift,
    take_low_bits,
)
from coldspike.spec.formats import Q

ALL = torch.arange(-600, 601)


@pytest.mark.parametrize("bits", range(1, 10))
@pytest.mark.parametrize("signed", [False, True])
def test_saturate(bits, signed):
    form = Q(bits=bits, fraction=3, signed=signed)
    clamped, over = saturate(ALL, form)
    assert clamped.tolist() == [form.clamp(x) for x in range(-600, 601)]
    assert over.tolist() == [form.clamp(x) != x for x in range(-600, 601)]


@pytest.mark.parametrize("bits", range(1, 10))
@pytest.mark.parametrize("signed", [False, True])
def test_take_low_bits(bits, signed):
    form = Q(bits=bits, fraction=3, signed=signed)
    for x, low in zip(ALL.tolist(), take_low_bits(ALL, form).tolist(), strict=True):
        assert (low - x) % (1 << bits) == 0 and form.min <= low <= form.max


def test_shifts():
    for right in range(-6, 12):
        expected = [x >> right if right >= 0 else x << -right for x in ALL.tolist()]
        assert shift(ALL, right).tolist() == expected
        assert shift(ALL, torch.full_like(ALL, right)).tolist() == expected
        if right >= 1:
            half = 1 << (right - 1)
            assert round_shift(ALL, right).tolist() == [(x + half) >> right for x in ALL.tolist()]


def test_bit_length():
    values = sorted({max(0, (1 << n) + d) for n in range(53) for d in (-1, 0, 1)})
    assert bit_length(torch.tensor(values)).tolist() == [v.bit_length() for v in values]


def expected_reciprocal(value):
    b = value.bit_length()
    m = (value << 18) >> b
    return min((1 << 35) // m, (1 << 18) - 1), b


def test_reciprocal_of_every_mantissa():
    values = torch.arange(1 << 17, 1 << 18)
    q, b = reciprocal(values)
    mantissa = values
    assert bool((b == 18).all())
    assert bool((q * mantissa <= 1 << 35).all()) and q[0] == (1 << 18) - 1
    assert bool(((q + 1) * mantissa > 1 << 35)[1:].all())  # with the line above: the floor of the quotient


def test_reciprocal_of_every_length():
    values = [*range(1, 3000), *((1 << n) + d for n in range(12, 52) for d in (-5, -1, 0, 1, 12345 % (1 << n)))]
    q, b = reciprocal(torch.tensor(values))
    assert list(zip(q.tolist(), b.tolist(), strict=True)) == [expected_reciprocal(v) for v in values]


def test_matrix_product_takes_integers_when_floats_would_round():
    left, right = torch.tensor([[1 << 40, 1]]), torch.tensor([[(1 << 20) + 1], [1]])
    exact = (1 << 40) * ((1 << 20) + 1) + 1
    assert matrix_product(left, right, exact).item() == exact
    assert (left.double() @ right.double()).to(torch.int64).item() != exact
    assert matrix_product(left >> 30, right, exact >> 30).item() == (1 << 10) * ((1 << 20) + 1)
    with pytest.raises(AssertionError, match="exceeds 64 bits"):
        matrix_product(left, right, 1 << 63)
