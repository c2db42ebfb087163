"""Random streams in bulk: all states that the lanes' xorshift generators (spec/random.py) pass through.

A step is linear over GF(2), so ``n`` steps are one 32 x 32 bit matrix. The stream is cut into chunks of
``CHUNK`` words; chunk starts come from doubling with jump tables, then all chunks step side by side.
"""

from functools import lru_cache

import numpy as np

from ...spec.random import XORSHIFT, xorshift_step

__all__ = ["CHUNK", "jump", "stream"]

CHUNK = 32  # words stepped one by one; a power of two


def _step(states: np.ndarray, spare: np.ndarray):
    """One generator step of every state (uint32) in place; ``spare`` is overwritten."""
    left, right, again = XORSHIFT
    states ^= np.left_shift(states, left, out=spare)
    states ^= np.right_shift(states, right, out=spare)
    states ^= np.left_shift(states, again, out=spare)


def _apply(tables: np.ndarray, states: np.ndarray) -> np.ndarray:
    """Images of ``states`` (uint32) under a linear map given as byte tables [4, 256]."""
    out = tables[0][states & 0xFF]
    for byte in range(1, 4):
        out ^= tables[byte][(states >> np.uint32(8 * byte)) & 0xFF]
    return out


def _byte_tables(images: np.ndarray) -> np.ndarray:
    """Byte tables [4, 256] of the linear map that sends bit n to ``images[n]``."""
    tables = np.zeros((4, 256), np.uint32)
    for bit in range(32):
        byte, power = bit // 8, 1 << (bit % 8)
        tables[byte, power:2 * power] = tables[byte, :power] ^ images[bit]
    return tables


@lru_cache(maxsize=64)
def _power_tables(log_steps: int) -> np.ndarray:
    """Byte tables of ``2**log_steps`` steps, by repeated squaring."""
    if log_steps == 0:
        return _byte_tables(np.array([xorshift_step(1 << bit) for bit in range(32)], np.uint32))
    half = _power_tables(log_steps - 1)
    basis = np.uint32(1) << np.arange(32, dtype=np.uint32)
    return _byte_tables(_apply(half, _apply(half, basis)))


def jump(states: np.ndarray, steps: int) -> np.ndarray:
    """States (uint32, any shape) after ``steps`` generator steps."""
    states = states.astype(np.uint32)
    for bit in range(steps.bit_length()):
        if steps >> bit & 1:
            states = _apply(_power_tables(bit), states)
    return states


def stream(states: np.ndarray, words: int) -> tuple[np.ndarray, np.ndarray]:
    """States that ``lanes`` generators show during ``words`` words.

    ``states`` [lanes] uint32 belongs to the first word. Returns ``(shown, after)``: ``shown`` [words, lanes], the
    state used at each word, and ``after`` [lanes], the state after the last word's step.
    """
    if words == 0:
        return np.zeros((0, len(states)), np.uint32), states
    chunks = -(-words // CHUNK)
    starts = states.astype(np.uint32)[None]  # a copy: it is stepped in place
    log_steps = CHUNK.bit_length() - 1
    while len(starts) < chunks:
        starts = np.concatenate([starts, _apply(_power_tables(log_steps), starts[:chunks - len(starts)])])
        log_steps += 1
    shown = np.empty((chunks, CHUNK, len(states)), np.uint32)
    current, spare = starts, np.empty_like(starts)
    for word in range(CHUNK):
        shown[:, word] = current
        _step(current, spare)
    shown = shown.reshape(chunks * CHUNK, len(states))[:words]
    after = shown[-1].copy()
    _step(after, np.empty_like(after))
    return shown, after
