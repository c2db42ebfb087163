"""Integer primitives of the exact model: saturation, shifts, bit length, reciprocal, exact matrix product.

Every tensor is int64 unless said otherwise. Integers are exact: a product goes through float64 only where
it provably stays below 2**53.
"""

import numpy as np
import torch
from torch import Tensor

from ...spec.formats import Q

__all__ = ["RECIPROCAL_BITS", "any_of", "bit_length", "count", "counts", "matrix_product", "places", "reciprocal", "round_shift",
           "saturate", "shift", "take_low_bits"]

RECIPROCAL_BITS = 18  # mantissa and quotient width of the one divider
_FLOAT_EXACT = 1 << 53  # integers below it are exact in float64


def saturate(values: Tensor, to: Q) -> tuple[Tensor, Tensor]:
    """``values`` clamped to format ``to``, and the bool mask of the elements that saturated."""
    clamped = values.clamp(to.min, to.max)
    return clamped, clamped != values


def count(mask: Tensor) -> int:
    """True elements of a bool tensor. (NumPy counts bytes ten times faster than torch adds them.)"""
    return int(np.count_nonzero(mask.numpy()))


def counts(mask: Tensor) -> Tensor:
    """True elements of each of the first axis, [n]."""
    return torch.tensor([count(each) for each in mask], dtype=torch.int64)


def any_of(mask: Tensor) -> Tensor:
    """Whether the last axis of a bool tensor holds any True. (Ten times faster than by torch, and so is ``places``.)"""
    return torch.from_numpy(mask.numpy().any(-1))


def places(mask: Tensor) -> tuple[Tensor, ...]:
    """Indices of a bool tensor's True elements, one tensor [k] an axis, in the order of its elements."""
    return tuple(map(torch.from_numpy, np.unravel_index(np.flatnonzero(mask.numpy()), mask.shape)))


def shift(values: Tensor, right: Tensor | int) -> Tensor:
    """Floor of ``values * 2**-right``; a negative ``right`` shifts left. ``right`` broadcasts."""
    if isinstance(right, int):
        return values >> right if right >= 0 else values << -right
    return torch.where(right >= 0, values >> right.clamp(min=0), values << (-right).clamp(min=0))


def round_shift(values: Tensor, right: int) -> Tensor:
    """``values * 2**-right`` rounded to the nearest integer, halves upwards; ``right`` >= 1."""
    return (values + (1 << (right - 1))) >> right


def bit_length(values: Tensor) -> Tensor:
    """Number of bits of positive integers below 2**53 (0 for 0)."""
    return torch.frexp(values.double())[1].to(torch.int64)  # frexp: values = mantissa in [0.5, 1) * 2**exponent


def reciprocal(values: Tensor) -> tuple[Tensor, Tensor]:
    """Normalised reciprocal of positive integers below 2**53.

    Returns ``(q, b)``: with ``b = bitlength(value)`` and the 18-bit mantissa ``m = (value << 18) >> b``,
    ``q = min((1 << 35) // m, 2**18 - 1)``, so that ``1 / value`` is close to ``q * 2**-(17 + b)``.
    """
    length = bit_length(values)
    mantissa = shift(values, length - RECIPROCAL_BITS)
    # A quotient that is no integer lies 1/m > 2**-18 or more below the next one, and float64 rounds it by less than
    # 2**-34: its floor is exact.
    quotient = (float(1 << (2 * RECIPROCAL_BITS - 1)) / mantissa.double()).to(torch.int64)
    return quotient.clamp(max=(1 << RECIPROCAL_BITS) - 1), length


def matrix_product(left: Tensor, right: Tensor, bound: int) -> Tensor:
    """``left @ right`` of matrices of integers (int64, or float64 that hold integers), exactly, as int64.

    ``bound`` is a proven upper bound of ``sum |left| |right|`` over the inner axis of any element.
    """
    if bound < _FLOAT_EXACT:
        return (left.double() @ right.double()).to(torch.int64)
    assert bound < 1 << 63, f"matrix product bound {bound} exceeds 64 bits"
    return left.to(torch.int64) @ right.to(torch.int64)


def take_low_bits(values: Tensor, form: Q) -> Tensor:
    """The low ``form.bits`` bits of ``values``, sign-extended when the format is signed."""
    low = values & ((1 << form.bits) - 1)
    return torch.where(low > form.max, low - (1 << form.bits), low) if form.signed else low
