"""Files that take long to make, kept between runs and shared by processes that start at the same time."""

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["cache_directory", "cached", "digest"]

KEPT = 48
"""Most recently used files of each kind that stay; older ones go when a new one is made."""


def cache_directory() -> Path:
    """$COLDSPIKE_CACHE, else coldspike in $XDG_CACHE_HOME, else ~/.cache/coldspike. It exists afterwards.

    Raises
    ------
    OSError : it cannot be made; the message names the variable to set.
    """
    named = os.environ.get("COLDSPIKE_CACHE")
    path = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "coldspike"
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError("no permission to write")
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f"cache directory {path}: {reason}; set COLDSPIKE_CACHE to a directory that can be written") from error
    return path.resolve()


def digest(*parts: str | bytes) -> str:
    """Short name for contents: equal parts in equal order give the same 24 hexadecimal digits."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "little") + data)
    return total.hexdigest()[:24]


def cached(name: str, make: Callable[[Path], None]) -> Path:
    """Path of the file ``name`` in the cache, made by ``make(path)`` when it is not there yet.

    Whoever asks for the same name meanwhile waits and finds the file; nobody ever sees half a file.
    """
    directory = cache_directory()
    path = directory / name
    if _use(path):
        return path
    locks = directory / "locks"
    locks.mkdir(exist_ok=True)
    with open(locks / name, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _use(path):
            return path
        with tempfile.TemporaryDirectory(prefix="making-", dir=directory) as room:
            made = Path(room) / name
            make(made)
            os.replace(made, path)
    _prune(directory, path)
    return path


def _use(path: Path) -> bool:
    """Whether the file exists; marks it as used now, for ``_prune``."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    except PermissionError:  # a cache that somebody else owns and we may read
        return path.exists()
    return True


def _prune(directory: Path, newest: Path) -> None:
    same_kind = f"{newest.name.partition('-')[0]}-*{newest.suffix}"
    by_age = sorted(directory.glob(same_kind), key=lambda p: p.stat().st_mtime, reverse=True)
    for old in by_age[KEPT:]:
        old.unlink(missing_ok=True)  # a library that is loaded lives on until its process ends
        (directory / "locks" / old.name).unlink(missing_ok=True)
    for room in directory.glob("making-*"):
        if time.time() - room.stat().st_mtime > 86400:  # its process was killed
            shutil.rmtree(room, ignore_errors=True)
