"""Run control: start with a checked network, stop when the work in flight is done."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig
from ...spec.errors import ErrorCode
from ..layouts import NetworkLayout, SettingsLayout
from .network_table import NetworkTable

__all__ = ["RunControl"]


class RunControl(wiring.Component):
    """``running`` rises when a started network fits (a few cycles after ``start``) and falls, after ``stop``, as soon
    as the accelerator is idle. A ``stop`` before ``running`` has risen does nothing.

    Members
    -------
    settings : In. ``start``, ``stop`` : In(1), one cycle.
    idle : In(1). No packet and no work in flight.
    network : Out. The layout of the started network.
    locked : Out(1). Running or being started: the settings must not change.
    running : Out(1). ``started`` : Out(1), the cycle before it rises.
    error_valid, error_code : Out. NETWORK for a network that does not fit; it stays stopped.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__({
            "settings": In(SettingsLayout(config)), "start": In(1), "stop": In(1), "idle": In(1),
            "network": Out(NetworkLayout(config)), "running": Out(1), "locked": Out(1), "started": Out(1),
            "error_valid": Out(1), "error_code": Out(ErrorCode),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.table = table = NetworkTable(self._config)
        stopping = Signal()
        m.d.comb += [
            table.settings.eq(self.settings), table.start.eq(self.start & ~self.running), self.network.eq(table.network),
            self.locked.eq(self.running | table.busy), self.started.eq(table.done & table.fits),
            self.error_valid.eq(table.done & ~table.fits), self.error_code.eq(ErrorCode.NETWORK),
        ]
        with m.If(self.started):
            m.d.sync += [self.running.eq(1), stopping.eq(0)]
        with m.Elif(self.running & stopping & self.idle):
            m.d.sync += [self.running.eq(0), stopping.eq(0)]
        with m.Elif(self.stop & self.running):
            m.d.sync += stopping.eq(1)
        return m
