"""Generated Verilog and description: complete, and the same every time."""

import json
import re
import subprocess
import sys

import pytest
from amaranth.hdl import Module
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from coldspike.hw import verilog
from coldspike.spec.config import CoreConfig
from coldspike.spec.registers import core_digest, register_map

from .echo import Echo

SMALL = CoreConfig.for_network((7, 5, 3), lanes=2)


class Storing(wiring.Component):
    """The pins, one memory that starts at zero, one that does not, and a sign extension."""

    def __init__(self):
        super().__init__({p.name: (In if p.direction == "input" else Out)(p.bits) for p in verilog.PORTS[2:]})

    def elaborate(self, platform):
        m = Module()
        values = []
        for name, init in (("zero", []), ("table", [3, 1, 4])):
            m.submodules[name] = store = memory.Memory(shape=16, depth=1000, init=init)
            read, write = store.read_port(), store.write_port()
            m.d.comb += [read.addr.eq(self.s_axis_tdata), write.addr.eq(self.s_axi_awaddr),
                         write.en.eq(self.s_axi_wvalid), write.data.eq(self.s_axi_wdata)]
            values.append(read.data)
        m.d.comb += [self.m_axis_tdata.eq(values[0].as_signed()), self.s_axi_rdata.eq(values[1])]
        return m


def test_text_does_not_depend_on_process_or_place():
    here = verilog.convert(Echo())
    program = ("from coldspike.hw import verilog; from tests.sim.echo import Echo; import sys; "
               "sys.stdout.write(verilog.convert(Echo()))")
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert there == here
    assert not re.search(r"/[a-z]+/|\bsrc\b|20\d\d-", here)


def test_ports_are_the_pin_list():
    header = re.search(r"^module coldspike\((.*?)\);", verilog.convert(Echo()), re.M | re.S)[1]
    assert {name.strip() for name in header.split(",")} == {p.name for p in verilog.PORTS}


def test_wrong_pins_are_refused():
    class Wrong(wiring.Component):
        """No pins of ours."""

        irq: Out(2)
        extra: In(1)

        def elaborate(self, platform):
            return Module()

    with pytest.raises(ValueError, match="^port .* of Wrong is .*, the pin list in hw/verilog.py has "):
        verilog.convert(Wrong())


def test_zero_memories_take_one_line_and_tables_keep_their_values():
    text = verilog.convert(Storing())
    loops = re.findall(r"for \(word = 0; word <= (\d+); word = word \+ 1\)", text)
    assert loops == ["999"]
    assert re.findall(r"\[[012]\] = 16'h(\d+);", text) == ["0003", "0001", "0004"]


def test_sign_extensions_are_short():
    text = verilog.convert(Storing())
    assert re.search(r"\{1[67]\{\S+ ?\[15\]\}\}", text) and not re.search(r"(\S+\[15\]), \1", text)


def test_description_is_json_and_names_every_register():
    text = json.dumps(verilog.description(SMALL))
    facts = json.loads(text)
    assert facts["digest"] == core_digest(SMALL)
    assert [r["name"] for r in facts["registers"]] == [r.name for r in register_map(SMALL)]
    assert facts["registers"][0]["reset"] == core_digest(SMALL)
    assert CoreConfig(**facts["configuration"]) == SMALL
    assert facts["packets"]["kinds"]["SAMPLE"] == 1 and facts["packets"]["errors"]["BUSY"]["value"] == 10
    assert text == json.dumps(verilog.description(SMALL))


def test_description_without_gradient_memory_has_no_gradient_space():
    plain = CoreConfig.for_network((7, 5, 3), lanes=2, gradient_memory=False)
    assert "GRADIENT" not in verilog.description(plain)["packets"]["spaces"]
    assert "GRADIENT" in verilog.description(SMALL)["packets"]["spaces"]
