"""Lists of what a sample's layers did in which step, one behind the other in one memory. Golden model: Python lists
(tests/hw/memory/test_step_list.py)."""

from amaranth.hdl import Array, Module, ShapeLike, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import bits_for
from .ram import Ram

__all__ = ["StepList"]


class StepList(wiring.Component):
    """``lists`` lists that share ``depth`` entries; each begins where the one begun before it ends. What finds no room is left out,
    and reported.

    Parameters
    ----------
    shape : layout of an entry. depth : entries in all. lists : how many lists.
    second : a second read port, through which entries can be replaced.

    Members
    -------
    clear : In(1). Forget all entries, and the report; not in a cycle of ``w_begin``, which comes before the next ``w_en``.
    w_list, w_begin : In. List ``w_list`` begins, empty. w_en, w_entry : In. Append an entry to the list begun last (not in the
        cycle of ``w_begin``).
    overflow : Out(1). An entry has been left out since ``clear``.
    r_list : In; r_count : Out. Length of a list; combinational. r_en, r_index : In; r_entry : Out. Its entries (latency 1).
    s_list, s_count, s_en, s_index, s_entry : the same again, if ``second``.
    replace_en, replace_index, replace_entry : In. Replace an entry of list ``s_list``; not in a cycle of ``w_en``, and not read in
        that cycle.
    """

    def __init__(self, shape: ShapeLike, depth: int, lists: int, *, second: bool = False):
        self._shape, self._depth, self._lists, self._second = shape, depth, lists, second
        which, index, count = bits_for(lists), bits_for(depth), bits_for(depth + 1)
        read = {"list": In(which), "count": Out(count), "en": In(1), "index": In(index), "entry": Out(shape)}
        super().__init__({
            "clear": In(1), "w_list": In(which), "w_begin": In(1), "w_en": In(1), "w_entry": In(shape), "overflow": Out(1),
            **{f"r_{name}": member for name, member in read.items()},
            **({f"s_{name}": member for name, member in read.items()} if second else {}),
            **({"replace_en": In(1), "replace_index": In(index), "replace_entry": In(shape)} if second else {}),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.entries = entries = Ram(self._shape, self._depth, second=self._second, block=True)
        used, writing = Signal.like(self.r_count), Signal.like(self.w_list)
        firsts, counts = (Array(Signal.like(used, name=f"{name}_{n}") for n in range(self._lists)) for name in ("first", "count"))
        room = used != self._depth

        m.d.comb += [entries.w_en.eq(self.w_en & room), entries.w_addr.eq(used), entries.w_data.eq(self.w_entry)]
        with m.If(self.w_begin):
            m.d.sync += [writing.eq(self.w_list), firsts[self.w_list].eq(used), counts[self.w_list].eq(0)]
        with m.If(self.w_en):
            m.d.sync += self.overflow.eq(self.overflow | ~room)
            with m.If(room):
                m.d.sync += [used.eq(used + 1), counts[writing].eq(counts[writing] + 1)]
        with m.If(self.clear):
            m.d.sync += [used.eq(0), self.overflow.eq(0), *(count.eq(0) for count in counts)]

        m.d.comb += [self.r_count.eq(counts[self.r_list]), entries.r_en.eq(self.r_en),
                     entries.r_addr.eq(firsts[self.r_list] + self.r_index), self.r_entry.eq(entries.r_data)]
        if self._second:
            m.d.comb += [self.s_count.eq(counts[self.s_list]), entries.s_en.eq(self.s_en),
                         entries.s_addr.eq(firsts[self.s_list] + self.s_index), self.s_entry.eq(entries.s_data)]
            with m.If(self.replace_en):
                m.d.comb += [entries.w_en.eq(1), entries.w_addr.eq(firsts[self.s_list] + self.replace_index),
                             entries.w_data.eq(self.replace_entry)]
        return m
