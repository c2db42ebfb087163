"""Transport alone: interval, codes, histogram choice, and how often weights are chosen at random."""

from math import exp, log

import numpy as np
import pytest
import torch

from coldspike.model.exact.transport import Moved, Transport, bins, decode, encode, largest, negative_logs, with_sign
from coldspike.spec.config import CoreConfig
from coldspike.spec.network import layout
from coldspike.spec.random import lane_seeds
from coldspike.spec.transport import BINS, LayerTransport, Precision, Signs, Values, change_bin, negative_log2

from .oracle_transport import TransportOracle

POWERS = [(1 << k) + d for k in range(33) for d in (-1, 0, 1)]


def transport(scheme=None, interval=1, start=0, layers=(1, 2, 3), lanes=4, precision=Precision.FULL):
    config = CoreConfig.for_network(layers, lanes=lanes, feedback_precision=precision, partial_transport=precision != "sign")
    return Transport(config, layout(layers, lanes), [scheme or LayerTransport()] * (len(layers) - 1), interval, start)


@pytest.mark.parametrize("interval, start, due", [
    (1, 0, [1, 1, 1, 1]), (3, 0, [0, 0, 1, 0, 0, 1]), (3, 2, [1, 0, 0, 1]), (0, 0, [0, 0, 0]), (2, 5, [0, 0, 0]),
    (1, 0xFFFFFFFF, [0, 1, 1]), (0xFFFFFFFF, 0xFFFFFFFD, [0, 1, 0])])
def test_interval(interval, start, due):
    moving = transport(interval=interval, start=start)
    assert [moving.advance() for _ in due] == [bool(d) for d in due]


def test_position_wraps():
    moving = transport(interval=0, start=0xFFFFFFFF)
    assert not moving.advance() and moving.position == 0


@pytest.mark.parametrize("precision, weights, codes, back", [
    (Precision.FULL, [-5, 0, 7], [-5, 0, 7], [-5, 0, 7]),
    (Precision.EIGHT, [-33, -32, 31, 32, -8193, -32768, 8159, 8160, 32767], [-1, 0, 0, 1, -128, -128, 127, 127, 127],
     [-64, 0, 0, 64, -8192, -8192, 8128, 8128, 8128]),
    (Precision.FOUR, [-129, -128, 127, 128, -2177, 1919, 1920], [-1, 0, 0, 1, -8, 7, 7], [-256, 0, 0, 256, -2048, 1792, 1792]),
    (Precision.SIGN, [-1, 0, 1, -32768], [1, 0, 0, 1], [-9, 9, 9, -9])], ids=lambda p: p if isinstance(p, str) else "")
def test_codes(precision, weights, codes, back):
    config = CoreConfig(feedback_precision=precision)
    assert encode(config, torch.tensor(weights)).tolist() == codes
    assert decode(config, torch.tensor(codes), 9).tolist() == back


def test_signs():
    stored, weight = torch.tensor([5, 5, -5, -5, 0, -128, -128, 5]), torch.tensor([1, -1, 1, -1, -1, 1, -1, 0])
    assert with_sign(CoreConfig(feedback_precision="8-bit"), stored, weight).tolist() == [5, -5, 5, -5, 0, 127, -128, 5]
    assert with_sign(CoreConfig(feedback_precision="sign"), stored.clamp(0, 1), weight).tolist() == [0, 1, 0, 1, 1, 0, 1, 0]


def test_bins_equal_the_scalar_ones():
    edges = [(m << p) + d for m in range(8, 17) for p in range(15) for d in (-1, 0, 1)]
    values = sorted({*range(300), *(c for c in edges if c < 1 << 18)})
    found = bins(torch.tensor(values)).tolist()
    assert found == [change_bin(c) for c in values] == [TransportOracle.bin(c) for c in values]
    assert found == sorted(found) and found[-1] == BINS - 1 == 127 and set(found) == set(range(BINS))


def test_negative_logarithms_equal_the_scalar_ones():
    mantissas = [64 + m << 26 | low for m in range(64) for low in (0, 1, (1 << 26) - 1)]  # up to 33 bits
    states = [x >> s for x in mantissas + POWERS for s in (0, 1, 9, 25)]
    states = sorted({x for x in states if 0 < x < 1 << 32} | set(lane_seeds(0, 300)))
    found = negative_logs(np.array(states, np.uint32)).tolist()
    assert found == [negative_log2(x) for x in states] == [TransportOracle.neglog(x) for x in states]
    assert min(found) >= 0 and found == sorted(found, reverse=True)


@pytest.mark.parametrize("top", [2, 60, 5000, 1 << 18])
def test_largest_equals_a_sort_of_bins(top):
    rng = np.random.default_rng(top)
    for shape in ((1, 1), (3, 5), (17, 9)):
        change = torch.from_numpy((top ** rng.random(shape)).astype(np.int64) - 1)
        order = sorted(np.ndindex(shape), key=lambda at: (-change_bin(int(change[at])), at))
        for count in {0, 1, 2, len(order) // 2, len(order) - 1, len(order), len(order) + 1, 0xFFFFFFFF}:
            assert sorted(map(tuple, largest(change, count).nonzero().tolist())) == sorted(order[:count])


def share(scheme, changes):
    """Share of chosen weights at each of ``changes``, in 65536 draws each."""
    moving = transport(scheme, layers=(1, 128, 512 * len(changes)), lanes=16)
    weight = torch.tensor(changes).repeat_interleave(512)[:, None].repeat(1, 128)
    back = torch.zeros_like(weight)
    moving.after_update([None, weight], [None, back], np.array(lane_seeds(5, 16), np.uint32))
    return (back != 0).double().view(len(changes), -1).mean(1).tolist()


def sampling(p):
    """Five standard deviations of the share in 65536 independent draws."""
    return 5 * (p * (1 - p) / 65536) ** 0.5


@pytest.mark.parametrize("p", [0.003, 0.25, 0.5, 0.97])
def test_random_choice_has_its_share(p):
    found, = share(LayerTransport(values=Values.RANDOM, select=round(p * 2**24)), [1])
    assert abs(found - p) < sampling(p)


@pytest.mark.parametrize("alpha", [0.004, 0.05, 0.6])
def test_change_weighted_choice_follows_the_exponential(alpha):
    """The logarithm is taken of six bits below the leading one: it is off by up to (1/128) / ln 2 + 2**-9 (half a step of its
    argument, half a step of its value), and the chance 1 - 2**-x by ln 2 * 2**-x times that, 0.009 at most. The register is
    off by half its unit. The rest is the scatter of finite draws."""
    ratios = [0.03, 0.1, 0.3, 0.7, 1.0, 2.0, 4.0]
    changes = [max(1, round(r * alpha * 4096)) for r in ratios]
    register = round(alpha * log(2) * 2**14)
    for change, found in zip(changes, share(LayerTransport(values=Values.CHANGE, select=register), changes), strict=True):
        ratio = change / 4096 / alpha
        p, slope = 1 - exp(-ratio), exp(-ratio)
        table = slope * log(2) * (1 / 128 / log(2) + 2**-9)
        assert table < 0.0095
        assert abs(found - p) < table + slope * ratio * 0.5 / register + sampling(p)


def test_record_and_the_generators_that_step():
    scheme = LayerTransport(values=Values.TOP_K, select=2, signs=Signs.EVERY_UPDATE)
    weights, back = [None, torch.tensor([[9, -1, 3, 4, 5], [1, -2, 7, -800, 5]])], [None, torch.zeros(2, 5, dtype=torch.int64)]
    seeds = np.array(lane_seeds(3, 4), np.uint32)
    moving = transport(scheme, interval=2, layers=(1, 5, 2))
    back[1][0] = 1
    moved, after = moving.after_update(weights, back, seeds)
    assert moved == [Moved(), Moved(signs=10, passes=1, written=4)] and (after == seeds).all()
    assert back[1].tolist() == [[1, -1, 1, 1, 1], [0] * 5]
    moved, after = moving.after_update(weights, back, seeds)
    assert moved[1] == Moved(values=2, signs=8, passes=2, written=4) and (after == seeds).all()
    assert back[1].tolist() == [[9, -1, 1, 1, 1], [0, 0, 0, -800, 0]]
    moving = transport(LayerTransport(values=Values.RANDOM, select=0, signs=Signs.EVERY_UPDATE), interval=2, layers=(1, 5, 2))
    for interval_ends in (False, True):
        moved, after = moving.after_update(weights, back, seeds)
        assert moved[1] == Moved(signs=10, passes=1, written=4) and (after != seeds).all() == interval_ends
    moving = transport(LayerTransport(values=Values.RANDOM, select=0), layers=(1, 5, 2))
    assert moving.after_update(weights, back, seeds)[0][1] == Moved(passes=1)
