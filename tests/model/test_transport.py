"""The transport interval."""

import pytest
import torch

from coldspike.model.exact.transport import Transport


@pytest.mark.parametrize("interval, start, due", [
    (1, 0, [1, 1, 1, 1]), (3, 0, [0, 0, 1, 0, 0, 1]), (3, 2, [1, 0, 0, 1]), (0, 0, [0, 0, 0]), (2, 5, [0, 0, 0])])
def test_interval(interval, start, due):
    transport = Transport(interval, start)
    assert [transport.advance() for _ in due] == [bool(d) for d in due]


def test_position_wraps():
    transport = Transport(0, 0xFFFFFFFF)
    assert not transport.advance() and transport.position == 0


def test_copy():
    weights = [torch.ones(3, 2), torch.full((2, 3), 7)]
    feedback = [None, torch.zeros(2, 3, dtype=torch.int64)]
    assert Transport.copy(weights, feedback) == [0, 6]
    assert torch.equal(feedback[1], weights[1]) and feedback[1] is not weights[1]
