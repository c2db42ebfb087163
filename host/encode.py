"""Latency code: real values in [0, 1] become times before the window's end, in ticks."""

import numpy as np

from .problems import DataError

__all__ = ["encode", "encode_steps"]


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


def encode_steps(values: np.ndarray, steps: int) -> np.ndarray:
    """Time steps of values in [0, 1], the brighter the earlier: floor(T / 5 ln(x / (x - 0.2))), the time a leaky membrane takes to
    its threshold (Perez-Nieves & Goodman, section 4: T(x) with 20 ms, 100 steps of 1 ms); ``steps`` or more where it is not
    reached in T steps."""
    values = np.asarray(values, np.float64)
    out = np.full(values.shape, steps, np.int64)
    enough = values > 0.2
    x = values[enough]
    out[enough] = np.minimum(np.floor(steps / 5 * np.log(x / (x - 0.2))), steps).astype(np.int64)
    return out
