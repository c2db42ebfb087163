"""Latency code: real values in [0, 1] become times before the window's end, in ticks."""

import numpy as np

from .problems import DataError

__all__ = ["encode"]


def encode(values: np.ndarray, time_bits: int) -> np.ndarray:
    """Ticks a = round(x T), ties to even, T = 2**time_bits; values outside [0, 1] are clamped.

    Parameters
    ----------
    values : (samples, inputs) real values; 0 sends no event, 1 fires at the window's start.

    Returns
    -------
    (samples, inputs) uint16, 0 to T.

    Raises
    ------
    DataError : a value is NaN or infinite (the first such sample and input are named).
    """
    values = np.asarray(values, np.float64)
    wrong = np.argwhere(~np.isfinite(values))
    if len(wrong):
        sample, place = wrong[0]
        raise DataError(f"sample {sample}: input {place} is {values[sample, place]}; "
                        f"inputs must be finite numbers ({len(wrong)} values are not)")
    return np.rint(np.clip(values, 0.0, 1.0) * (1 << time_bits)).astype(np.uint16)
