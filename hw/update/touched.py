"""Which columns moved since the last update. Golden model: model/exact/update.py."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ..memory.ram import Ram

__all__ = ["TouchedColumns"]


class TouchedColumns(wiring.Component):
    """One flag a postsynaptic neuron (address block_base P + j).

    Members
    -------
    clear : In(1). Forget all; takes ``busy`` as many cycles as there are neurons.
    mark_en, mark : In. Set a flag.
    drop_en, drop : In. Clear a flag; not in a cycle of ``mark_en``.
    peek_en, peek : In; marked : Out, its flag from the next cycle on.
    busy : Out(1).
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        neuron = bits_for(config.neuron_blocks) + bits_for(config.lanes)
        super().__init__({"clear": In(1), "mark_en": In(1), "mark": In(neuron), "drop_en": In(1), "drop": In(neuron),
                          "peek_en": In(1), "peek": In(neuron), "marked": Out(1), "busy": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.flags = flags = Ram(1, 1 << len(self.mark), transparent=True)
        sweep = Signal.like(self.mark)
        with m.If(self.clear):
            m.d.sync += [self.busy.eq(1), sweep.eq(0)]
        with m.Elif(self.busy):
            m.d.sync += [sweep.eq(sweep + 1), self.busy.eq(~sweep.all())]
        m.d.comb += [flags.r_en.eq(self.peek_en), flags.r_addr.eq(self.peek), self.marked.eq(flags.r_data),
                     flags.w_en.eq(self.busy | self.mark_en | self.drop_en), flags.w_data.eq(self.mark_en & ~self.busy),
                     flags.w_addr.eq(sweep)]
        with m.If(~self.busy):
            m.d.comb += flags.w_addr.eq(self.drop)
            with m.If(self.mark_en):
                m.d.comb += flags.w_addr.eq(self.mark)
        return m
