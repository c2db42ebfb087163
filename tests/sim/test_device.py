"""The simulated device on a core that echoes: registers, streams, stalls, time-outs."""

import numpy as np
import pytest

from coldspike.sim.device import DeviceTimeout, SimulatedDevice, _patience
from coldspike.spec.config import CoreConfig

from .echo import CYCLES, HOLD, HOLD_INPUT, HOLD_READS, HOLD_RESULTS, IRQ, PLAIN, VIOLATIONS, Echo

CONFIG = CoreConfig.for_network((7, 5, 3), lanes=2)


def device(**options) -> SimulatedDevice:
    return SimulatedDevice(CONFIG, top=Echo, **options)


def packets(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Random words in ``count`` packets of 1 to 20 words."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 21, count)
    last = np.zeros(lengths.sum(), bool)
    last[np.cumsum(lengths) - 1] = True
    return rng.integers(0, 1 << 32, len(last), np.uint32), last


@pytest.mark.parametrize("stall", [0.0, 0.1, 0.5, 0.95])
def test_packets_come_back_whatever_the_stalls(stall):
    words, last = packets(300)
    with device(stall=stall, stall_seed=7) as core:
        for _ in range(3):  # several exchanges on one device
            out, flags = core.exchange(words, last, 300)
            assert out.dtype == np.uint32 and flags.dtype == bool
            np.testing.assert_array_equal(out, words)
            np.testing.assert_array_equal(flags, last)
            assert core.read_register(VIOLATIONS) == 0
        for n in range(40):
            core.write_register(PLAIN, 0x9E3779B9 * n)
            assert core.read_register(PLAIN) == 0x9E3779B9 * n & 0xFFFFFFFF
        assert core.read_register(VIOLATIONS) == 0


def test_streams_run_at_full_rate_without_stalls():
    words, last = packets(300)
    with device() as core:
        before = core.cycles
        core.exchange(words, last, 300)
        assert len(words) <= core.cycles - before <= len(words) + 4  # the queue's latency


def test_seed_decides_the_stalls():
    def run(seed):
        with device(stall=0.3, stall_seed=seed) as core:
            core.exchange(*packets(50), 50)
            core.write_register(PLAIN, 1)
            return core.cycles

    assert run(1) == run(1) != run(2)


def test_more_results_than_asked_for_are_returned_whole():
    words, last = packets(20)
    with device() as core:
        core.write_register(HOLD, HOLD_RESULTS)
        assert len(core.exchange(words[:3], np.array([0, 1, 0], bool), 0)[0]) == 0
        core.write_register(HOLD, 0)
        out, flags = core.exchange(np.array([5], np.uint32), np.array([True]), 1)
        assert flags[-1]
        rest, _ = core.exchange(np.zeros(0, np.uint32), np.zeros(0, bool), 2 - flags.sum())
        assert [*out, *rest] == [*words[:3], 5]


def test_cycles_and_step_count_the_clock():
    with device() as core:
        first, before = core.read_register(CYCLES), core.cycles
        core.step(1000)
        assert core.cycles == before + 1000
        second = core.read_register(CYCLES)
        assert second - first == core.cycles - before


def test_interrupt_and_response_are_visible():
    with device() as core:
        assert not core.interrupt
        core.write_register(IRQ, 1)
        assert core.interrupt and core.response == 0
        core.write_register(CYCLES, 1)
        assert core.response == 2
        core.read_register(0x40)
        assert core.response == 2
        core.read_register(PLAIN)
        assert core.response == 0


def test_time_out_says_which_side_waited_and_reset_recovers():
    words, last = packets(10)
    with device(timeout=500) as core:
        core.write_register(HOLD, HOLD_INPUT)
        with pytest.raises(DeviceTimeout, match=f"^s_axis_tready never came for 500 cycles: 0 of {len(words)} words sent, "
                                                "0 of 10 results received$"):
            core.exchange(words, last, 10)
        core.reset()
        with pytest.raises(DeviceTimeout, match="^m_axis_tvalid never came for 500 cycles: .* 10 of 11 results received$"):
            core.exchange(words, last, 11)
        core.write_register(HOLD, HOLD_RESULTS)
        with pytest.raises(DeviceTimeout, match="^s_axis_tready never came for 500 cycles: 8 of "):
            core.exchange(words, last, 10)
        core.reset()
        core.write_register(HOLD, HOLD_READS)
        with pytest.raises(DeviceTimeout, match="^reading register 0x008: the address was never accepted in 100000 cycles$"):
            core.read_register(PLAIN)
        core.reset()
        np.testing.assert_array_equal(core.exchange(words, last, 10)[0], words)


def test_devices_are_independent():
    with device() as one, device() as two:
        one.write_register(PLAIN, 1)
        two.write_register(PLAIN, 2)
        assert (one.read_register(PLAIN), two.read_register(PLAIN)) == (1, 2)


def test_wrong_use_is_one_clear_line():
    with pytest.raises(ValueError, match=r"^stall = 1\.5: a probability from 0 to 0\.99 is needed$"):
        device(stall=1.5)
    core = device()
    with pytest.raises(ValueError, match="^3 words with 2 TLAST flags$"):
        core.exchange(np.zeros(3, np.uint32), np.zeros(2, bool), 0)
    core.close()
    core.close()
    with pytest.raises(RuntimeError, match="^the simulated device is closed"):
        core.read_register(0)


def test_patience_covers_a_dense_sample():
    """All neurons active in all steps of 784-200-200-10: a sample's backward pass has taken 653,075 cycles, none with a word."""
    network = {"lanes": 32, "rules": ("sparse-bptt",), "max_steps": 100}
    few, many = (_patience(CoreConfig.for_network((784, 200, 200, 10), job_entries=jobs, **network), 0.0)
                 for jobs in (2048, 20_000))
    assert many > 2 * 653_075 and many > few
    assert _patience(CoreConfig.for_network((784, 200, 10), lanes=32), 0.0) < 500_000
