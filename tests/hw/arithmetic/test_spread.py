"""spread against a register."""

import random
import re

import pytest
from amaranth.back import verilog
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from coldspike.hw.arithmetic.spread import REACH, spread

from ..support import simulate


class Spread(wiring.Component):
    def __init__(self, lanes, cycles=1):
        super().__init__({"value": In(7), "late": Out(7).array(lanes)})
        self.cycles, self.registers = cycles, []

    def elaborate(self, platform):
        m = Module()
        self.registers = spread(m, self.value, len(self.late), "late", self.cycles)
        m.d.comb += [late.eq(register) for late, register in zip(self.late, self.registers, strict=True)]
        return m


@pytest.mark.parametrize("lanes, registers", [(1, 1), (REACH, 1), (2 * REACH, 2), (16, 16 // REACH)])
def test_every_lane_gets_the_value_a_cycle_later_from_a_near_register(lanes, registers):
    rng = random.Random(lanes)
    dut = Spread(lanes)

    async def bench(ctx):
        for _ in range(20):
            value = rng.randrange(128)
            ctx.set(dut.value, value)
            await ctx.tick()
            assert [ctx.get(late) for late in dut.late] == [value] * lanes

    simulate(dut, bench)
    names = [register.name for register in dut.registers]
    assert len(set(names)) == registers and names == sorted(names, key=names.index)
    assert all(names[k] == names[k - k % REACH] for k in range(lanes))
    assert all((register.attrs.get("keep") == 1) == (registers > 1) for register in dut.registers)


@pytest.mark.parametrize("lanes, cycles, registers", [
    (1, 3, 3), (REACH, 2, 2), (2 * REACH, 2, 1 + 2), (4 * REACH, 2, 2 + 4), (4 * REACH, 4, 1 + 1 + 2 + 4),
    (3 * REACH, 3, 1 + 2 + 3)])
def test_over_several_cycles_it_is_a_tree(lanes, cycles, registers):
    rng = random.Random(lanes)
    dut, given = Spread(lanes, cycles), [rng.randrange(128) for _ in range(30)]

    async def bench(ctx):
        for n, value in enumerate(given):
            ctx.set(dut.value, value)
            await ctx.tick()
            expected = given[n + 1 - cycles] if n + 1 >= cycles else 0
            assert [ctx.get(late) for late in dut.late] == [expected] * lanes

    simulate(dut, bench)
    assert len(re.findall(r"reg \[6:0\] \w+ = ", verilog.convert(Spread(lanes, cycles)))) == registers
