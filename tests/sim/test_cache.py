"""The file cache: made once, by one process, and never half."""

import multiprocessing
import os
import time

import pytest

from coldspike.sim import cache
from coldspike.sim.cache import cache_directory, cached, digest


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COLDSPIKE_CACHE", str(tmp_path / "cache"))


def test_directory_follows_the_environment(tmp_path, monkeypatch):
    assert cache_directory() == tmp_path / "cache"
    monkeypatch.delenv("COLDSPIKE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_directory() == tmp_path / "xdg" / "coldspike"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_directory() == tmp_path / "home" / ".cache" / "coldspike"


def test_unusable_directory_is_one_clear_line(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("COLDSPIKE_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(OSError, match=r"^cache directory .*below: .*; set COLDSPIKE_CACHE to a directory that can be"):
        cache_directory()


def test_made_once():
    calls = []

    def make(path):
        calls.append(path)
        path.write_text("contents")

    first, second = cached("thing-1.txt", make), cached("thing-1.txt", make)
    assert first == second and first.read_text() == "contents" and len(calls) == 1


def test_failure_leaves_nothing_behind():
    def fail(path):
        path.write_text("half")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        cached("thing-2.txt", fail)
    assert not (cache_directory() / "thing-2.txt").exists() and not list(cache_directory().glob("making-*"))


def _slowly(path):
    with open(cache_directory() / "calls", "a") as calls:
        calls.write("x")
    time.sleep(0.3)
    path.write_text("contents")


def _fetch(name):
    return cached(name, _slowly).read_text()


def test_processes_wait_for_the_one_that_makes_it():
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert pool.map(_fetch, ["thing-3.txt"] * 4, chunksize=1) == ["contents"] * 4
    assert (cache_directory() / "calls").read_text() == "x"


def test_least_recently_used_files_go(monkeypatch):
    monkeypatch.setattr(cache, "KEPT", 3)
    for n in range(3):
        os.utime(cached(f"kind-{n}.txt", lambda path: path.touch()), (1000 + n, 1000 + n))
    cached("kind-0.txt", lambda path: path.touch())  # a hit counts as use
    cached("kind-3.txt", lambda path: path.touch())
    cached("other-0.txt", lambda path: path.touch())
    assert {p.name for p in cache_directory().glob("*.txt")} == {"kind-0.txt", "kind-2.txt", "kind-3.txt", "other-0.txt"}


def test_digest_tells_parts_apart():
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("a", b"b") == digest(b"a", "b")
