"""Fixed-point number formats: the one description of width, range and scale of every stored number."""

from dataclasses import dataclass

__all__ = ["Q"]


@dataclass(frozen=True, kw_only=True)
class Q:
    """Fixed-point format: an integer of ``bits`` bits that stands for ``integer * 2**-fraction``.

    Parameters
    ----------
    bits : total width, sign included.
    fraction : number of fractional bits; may exceed ``bits``.
    signed : two's complement when true.
    """

    bits: int
    fraction: int
    signed: bool = True

    def __post_init__(self):
        if not 1 <= self.bits <= 64:
            raise ValueError(f"a number format has 1 to 64 bits, not {self.bits}")

    @property
    def min(self) -> int:
        """Smallest representable integer."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def max(self) -> int:
        """Largest representable integer."""
        return (1 << (self.bits - self.signed)) - 1

    @property
    def one(self) -> int:
        """The integer that stands for 1.0 (it need not be representable)."""
        return 1 << self.fraction

    def quantize(self, value: float) -> int:
        """Integer nearest to ``value`` (ties to even), saturated to the format."""
        return self.clamp(round(value * 2.0**self.fraction))

    def clamp(self, integer: int) -> int:
        """``integer`` saturated to the format."""
        return max(self.min, min(self.max, integer))

    def to_float(self, integer: int) -> float:
        """Real value of ``integer``."""
        return integer * 2.0**-self.fraction

    def __str__(self) -> str:
        return f"{'Q' if self.signed else 'UQ'}{self.bits - self.fraction - self.signed}.{self.fraction}"
