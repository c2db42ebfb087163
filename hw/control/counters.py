"""The bank of event counters of spec/registers.py. Golden model: Python integers (tests/hw/control)."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig
from ...spec.registers import counters

__all__ = ["COUNT_BITS", "Counters", "IncrementLayout"]

COUNT_BITS = 8
"""Bits of an increment that counts lanes: at most 128 in a cycle."""

LANE_COUNTS = {"WEIGHTS_READ", "WEIGHTS_TRANSPORTED", "SIGNS_TRANSPORTED", "LEVEL_CLIPS", "SLOPE_CLIPS", "ERROR_SATURATIONS",
               "GRADIENT_SATURATIONS", "WEIGHT_SATURATIONS", "MEMBRANE_SATURATIONS"}
"""Counters that may advance by more than one in a cycle."""


class IncrementLayout(data.StructLayout):
    """What each counter advances by, named as in spec.registers.counters, lower case. Pulses have 1 bit, numbers of
    lanes COUNT_BITS."""

    def __init__(self, config: CoreConfig):
        super().__init__({name.lower(): COUNT_BITS if name in LANE_COUNTS else 1 for name, _ in counters(config)})


class Counters(wiring.Component):
    """Counts events in 64-bit counters.

    Latency: ``values`` holds an increment two cycles after it (increments come from afar and pass a register).
    Throughput: one increment of every counter in every cycle. Counters wrap (128 lanes in every cycle of 100 MHz take
    45 years to get there).

    Parameters
    ----------
    config : build configuration.

    Members
    -------
    increments : In(IncrementLayout) events of this cycle.
    clear : In(1) zeroes all counters a cycle later; increments of this cycle are lost.
    values : Out(64 bits for each counter, in the order of spec.registers.counters).
    counted : the same, as a register (for tests that set it); zero from the second cycle after reset on.
    """

    def __init__(self, config: CoreConfig):
        self.names = [name.lower() for name, _ in counters(config)]
        super().__init__({
            "increments": In(IncrementLayout(config)),
            "clear": In(1),
            "values": Out(data.ArrayLayout(64, len(self.names))),
        })
        self.counted = Signal(self.values.shape(), name="counted", reset_less=True)

    def elaborate(self, platform):
        m = Module()
        late = Signal(self.increments.shape())
        # Reset comes by the same register as clear: one wire to all of a thousand flip-flops, nothing else on the way.
        values, clear = self.counted, Signal(init=1)
        m.d.sync += [late.eq(self.increments), clear.eq(self.clear)]
        for n, name in enumerate(self.names):
            with m.If(late[name].any()):
                m.d.sync += values[n].eq(values[n] + late[name])
        with m.If(clear):
            m.d.sync += values.eq(0)
        m.d.comb += self.values.eq(values)
        return m
