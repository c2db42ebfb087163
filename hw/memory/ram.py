"""Memory: one write port, one or two registered read ports."""

from amaranth.hdl import Module, Shape, ShapeLike, Value, unsigned
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import bits_for

__all__ = ["Ram"]


class Ram(wiring.Component):
    """Memory of ``depth`` words of ``shape``. Read latency 1 cycle, 1 word/cycle each way; the read data hold
    while ``r_en`` is low. Contents are zero at power-up.

    Parameters
    ----------
    shape : layout or shape of a word.
    depth : words.
    second : a second read port. shared : a second read port at the write port's address (block memory has it for nothing).
    block : in block RAM, however small; else synthesis chooses between that and LUTs.
    transparent : a read of the address written in the same cycle gives the new word; otherwise the old one
        (undefined in hardware: users must not collide).
    forwarded : the user forwards such a word itself where it is needed, and does not look at what is read then.

    Members
    -------
    r_en, r_addr : In. Read request.
    r_data : Out, shape. Valid in the cycle after the request.
    w_en, w_addr, w_data : In. Write request, visible to requests from the next cycle on.
    s_en, s_addr, s_data : second read port, never transparent; only if ``second`` is asked for. With ``shared`` it has no address,
        and may not read in a cycle of ``w_en``.
    """

    def __init__(self, shape: ShapeLike, depth: int, *, transparent: bool = False, second: bool = False, shared: bool = False,
                 block: bool = False, forwarded: bool = False):
        self._shape, self._depth, self._transparent, self._second, self._block = shape, depth, transparent, second, block
        self._shared, self.forwarded = shared, forwarded
        abits = bits_for(depth)
        super().__init__({
            "r_en": In(1), "r_addr": In(abits), "r_data": Out(shape),
            "w_en": In(1), "w_addr": In(abits), "w_data": In(shape),
            **({"s_en": In(1), "s_data": Out(shape)} if second or shared else {}), **({"s_addr": In(abits)} if second else {}),
        })

    def elaborate(self, platform):
        m = Module()
        word = unsigned(Shape.cast(self._shape).width)
        m.submodules.memory = mem = memory.Memory(shape=word, depth=self._depth, init=[],
                                               attrs={"ram_style": "block"} if self._block else {})
        write = mem.write_port()
        read = mem.read_port(transparent_for=(write,) if self._transparent else ())
        m.d.comb += [
            read.en.eq(self.r_en), read.addr.eq(self.r_addr), Value.cast(self.r_data).eq(read.data),
            write.en.eq(self.w_en), write.addr.eq(self.w_addr), write.data.eq(Value.cast(self.w_data)),
        ]
        if self._second or self._shared:
            second = mem.read_port()
            m.d.comb += [second.en.eq(self.s_en), second.addr.eq(self.s_addr if self._second else self.w_addr),
                         Value.cast(self.s_data).eq(second.data)]
        return m
