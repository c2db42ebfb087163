"""Number formats against their definition."""

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldspike.spec.formats import Q

FORMATS = st.builds(Q, bits=st.integers(1, 40), fraction=st.integers(0, 45), signed=st.booleans())


@given(FORMATS)
def test_range(q):
    assert q.max - q.min + 1 == 1 << q.bits
    assert q.min == (-(1 << (q.bits - 1)) if q.signed else 0)
    assert q.to_float(q.one) == 1.0


@given(FORMATS, st.integers(-(1 << 45), 1 << 45))
def test_clamp(q, value):
    clamped = q.clamp(value)
    assert q.min <= clamped <= q.max and q.clamp(clamped) == clamped
    assert (clamped == value) == (q.min <= value <= q.max)
    assert abs(clamped - value) == max(0, value - q.max, q.min - value)  # the nearest value of the format


@given(FORMATS, st.floats(-1e6, 1e6))
def test_quantize_is_the_nearest(q, value):
    integer = q.quantize(value)
    exact = Fraction(value) * 2**q.fraction
    if q.min <= exact <= q.max:
        assert abs(integer - exact) <= Fraction(1, 2)
        assert abs(integer - exact) < Fraction(1, 2) or integer % 2 == 0  # ties to even
    else:
        assert integer == q.clamp(int(exact))


@given(FORMATS, st.integers(-(1 << 40), 1 << 40))
def test_integers_survive_the_real_value(q, value):
    integer = q.clamp(value)
    assert q.quantize(q.to_float(integer)) == integer


@pytest.mark.parametrize("q, text", [
    (Q(bits=16, fraction=12), "Q3.12"), (Q(bits=16, fraction=12, signed=False), "UQ4.12"),
    (Q(bits=9, fraction=8, signed=False), "UQ1.8")])
def test_name(q, text):
    assert str(q) == text


@pytest.mark.parametrize("bits", [-1, 0, 65])
def test_widths_refused(bits):
    with pytest.raises(ValueError, match=rf"^{re.escape(f'a number format has 1 to 64 bits, not {bits}')}$"):
        Q(bits=bits, fraction=0)
