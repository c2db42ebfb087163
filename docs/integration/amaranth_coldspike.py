"""The core inside another Amaranth design: here beside a counter of the results' words."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from coldspike.hw.top import Coldspike
from coldspike.spec.config import CoreConfig


class Board(wiring.Component):
    """A core for 64-32-10 on 4 lanes, its ports passed on, and ``words``: Out(32), words of results so far."""

    def __init__(self):
        self.core = Coldspike(CoreConfig.for_network((64, 32, 10), lanes=4, optimizer="sign-momentum"))
        super().__init__({**self.core.signature.members, "words": Out(32)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.core = core = self.core
        for name, member in core.signature.members.items():
            outside, inside = getattr(self, name), getattr(core, name)
            m.d.comb += inside.eq(outside) if member.flow == In else outside.eq(inside)
        with m.If(self.m_axis_tvalid & self.m_axis_tready):
            m.d.sync += self.words.eq(self.words + 1)
        return m
