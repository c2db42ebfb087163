"""Reader of the idx.gz files in which MNIST and its relatives are published."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from .problems import DataError

__all__ = ["read_idx"]

UNSIGNED_BYTE = 0x08


def read_idx(path: Path) -> np.ndarray:
    """Array of unsigned bytes from a gzip-compressed idx file.

    The format: two zero bytes, an element type (0x08: unsigned byte), the number of dimensions, each dimension as a
    32-bit big-endian integer, the elements in row-major order.

    Raises
    ------
    DataError : the file is missing, truncated, altered or of another format.
    """
    remedy = "fetch the file again from its publisher"
    try:
        content = gzip.decompress(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; {remedy}") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is truncated or damaged ({error}); {remedy}") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != UNSIGNED_BYTE:
        raise DataError(f"{path} is no idx file of unsigned bytes: it begins with {content[:4].hex()}; {remedy}")
    begin = 4 + 4 * content[3]
    if len(content) < begin:
        raise DataError(f"{path} ends within its header; {remedy}")
    shape = tuple(np.frombuffer(content[4:begin], ">u4").tolist())
    if len(content) - begin != math.prod(shape):
        raise DataError(f"{path} holds {len(content) - begin} elements, its header announces shape {shape}; {remedy}")
    return np.frombuffer(content, np.uint8, offset=begin).reshape(shape)
