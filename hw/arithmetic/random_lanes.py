"""A 32-bit xorshift generator for each lane. Golden model: model/exact/random.py."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.random import ROUNDING_BITS, XORSHIFT, lane_seeds

__all__ = ["RandomLanes"]


class RandomLanes(wiring.Component):
    """P independent random streams, one step a cycle when asked.

    Members
    -------
    step : In(1) of each lane. Advance it at the end of this cycle.
    value : Out, P x 16 bits. Upper bits of the present states.
    load : In(1) of each lane. Replace its state by ``state_in`` (takes precedence over ``step``).
    state_in, state : In and Out, P x 32 bits. At power-up the seeds of 0; a zero state would stay zero.
    """

    def __init__(self, lanes: int):
        super().__init__({"step": In(1).array(lanes), "value": Out(ROUNDING_BITS).array(lanes),
                          "load": In(1).array(lanes), "state_in": In(32).array(lanes), "state": Out(32).array(lanes)})
        self._lanes = lanes

    def elaborate(self, platform):
        m = Module()
        left, right, again = XORSHIFT
        seeds = lane_seeds(0, self._lanes)
        for lane in range(self._lanes):
            state = Signal(32, init=seeds[lane], name=f"state_{lane}")
            a, b, c = (Signal(32, name=f"{stage}_{lane}") for stage in ("left", "right", "again"))
            m.d.comb += [self.value[lane].eq(state[32 - ROUNDING_BITS:]), self.state[lane].eq(state)]
            with m.If(self.step[lane]):
                m.d.comb += [a.eq(state ^ (state << left)), b.eq(a ^ (a >> right)), c.eq(b ^ (b << again))]
                m.d.sync += state.eq(c)
            with m.If(self.load[lane]):
                m.d.sync += state.eq(self.state_in[lane])
        return m
