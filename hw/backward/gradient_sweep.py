"""Gradient sweep of a layer over time: input spikes grow traces, jobs make gradient contributions of them. Golden models:
model/exact/lif.py (traces), model/exact/sparse_bptt.py (accumulate)."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ...spec.lif import DECAY
from ..arithmetic.delay import delay, delays
from ..layouts import StepJobLayout, StepSpikeLayout, block_count_bits
from .lanes import GradientWordLayout, contribution_shape
from .trace_lanes import TraceLanes

__all__ = ["GradientSweep"]


class GradientSweep(wiring.Component):
    """Merges a sample's input spikes (i, t) and a layer's jobs (j, m) by time, in a step the spikes first, and sends them through
    the trace lanes: a spike in one cycle, a job in ``in_blocks``. Spikes behind the last job are left alone.

    Cycles, counted from the first one of ``busy``. An entry begins in the first cycle that all its rules allow:

        the first one      from cycle max(in_blocks, 2) on: the traces are cleared, the lists' first entries are here
        any other          1 cycle after a spike, in_blocks cycles after a job, or later
        spike of i         WRITTEN cycles after the spike of i before, or later
        job                WRITTEN - i div P cycles after each spike of i, or later: its trace is there when the job comes to its
                           block; GRADIENT_REUSE cycles after the job before, or later
        done               in_blocks + 8 cycles after the last job (cycle 0 if there is none); it is the last cycle of ``busy``

    Members
    -------
    start : In(1). Begin a layer; not while ``busy``. busy, done : Out(1).
    spike_count, job_count : In. Lengths of the lists, at ``start``. Entries ascend by (step, index).
    spike_en, spike_index, spike_entry : read port of the spikes of layer l - 1 (latency 1, held between reads).
    job_en, job_index, job_entry : read port of the jobs of layer l, with ``value`` c and ``step`` m + 1 (the same).
    layer, in_blocks, out_blocks, column_base, tile_base, block_base : In. The layer as l - 1, its sizes, first gradient word, first
        tile and first block of its neurons. Stable while busy.
    word_en, word : Out. Address of the contributions that stand at ``contribution`` CONTRIBUTION_LATENCY cycles later.
    contribution : Out, P contributions.
    powers_w_en, powers_w_addr, powers_w_data : In. Write port of the table of decays, while not busy.
    active : Out(1). A job was taken.
    """

    CONTRIBUTION_LATENCY = 3

    GRADIENT_REUSE = 5
    """Cycles from a gradient word to the next of the same address: the gradient memory reads in the cycle of ``add_en``, writes in
    the fourth after it, and reads only what was written before."""

    def __init__(self, config: CoreConfig):
        self._config = config
        blocks = block_count_bits(config)
        super().__init__({
            "start": In(1), "busy": Out(1), "done": Out(1),
            "spike_count": In(bits_for(config.spike_entries + 1)), "spike_en": Out(1),
            "spike_index": Out(bits_for(config.spike_entries)), "spike_entry": In(StepSpikeLayout(config)),
            "job_count": In(bits_for(config.job_entries + 1)), "job_en": Out(1),
            "job_index": Out(bits_for(config.job_entries)), "job_entry": In(StepJobLayout(config)),
            "layer": In(bits_for(config.max_layers)), "in_blocks": In(blocks), "out_blocks": In(blocks),
            "column_base": In(bits_for(config.gradient_words)), "tile_base": In(bits_for(config.weight_tiles)),
            "block_base": In(bits_for(config.neuron_blocks)),
            "word_en": Out(1), "word": Out(GradientWordLayout(config)),
            "contribution": Out(contribution_shape(config)).array(config.lanes),
            "powers_w_en": In(1), "powers_w_addr": In(bits_for(config.max_steps + 1)), "powers_w_data": In(DECAY.bits),
            "active": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        c, low = self._config, bits_for(self._config.lanes)
        m.submodules.lanes = lanes = TraceLanes(c)
        spike_go, job_start, job_go, last = Signal(), Signal(), Signal(), Signal()
        spike, spike_valid, _ = self._read_ahead(m, "spike", spike_go)
        job, job_valid, jobs_over = self._read_ahead(m, "job", last)

        # The walk over the blocks: first to clear them, then for each job.
        block, final, clearing, walking = Signal.like(lanes.block), Signal(), Signal(), Signal()
        m.d.comb += last.eq(job_go & final)
        with m.If(clearing | job_go):
            m.d.sync += [block.eq(block + 1), final.eq(block + 2 == self.in_blocks), walking.eq(job_go)]
            with m.If(final):
                m.d.sync += [block.eq(0), final.eq(self.in_blocks == 1), walking.eq(0), clearing.eq(0)]

        # Whose turn it is. A spike waits for its own neuron's trace; a job until each trace is back when it comes to it.
        spike_turn, free, wait = Signal(), Signal(), Signal(range(max(TraceLanes.WRITTEN, self.GRADIENT_REUSE)))
        spike_block, spike_wait, waited = spike.index >> low, Signal.like(wait), Signal.like(wait)
        issued = delays(m, spike_go, TraceLanes.WRITTEN - 1, "issued")[1:]
        neurons = delays(m, spike.index, TraceLanes.WRITTEN - 1, "neuron")[1:]
        away = Cat(valid & (neuron == spike.index) for valid, neuron in zip(issued, neurons, strict=True)).any()
        m.d.comb += [
            free.eq(job_valid & ~clearing & ~walking), spike_turn.eq(spike_valid & (spike.step < job.step)),
            spike_go.eq(free & spike_turn & ~away), job_start.eq(free & ~spike_turn & (wait == 0)), job_go.eq(job_start | walking),
            waited.eq(Mux(wait == 0, 0, wait - 1)),
            spike_wait.eq(Mux(spike_block < TraceLanes.WRITTEN - 1, TraceLanes.WRITTEN - 1 - spike_block, 0)),
        ]
        m.d.sync += wait.eq(waited)
        with m.If(job_start):
            m.d.sync += wait.eq(self.GRADIENT_REUSE - 1)
        with m.Elif(spike_go & (spike_wait > waited)):
            m.d.sync += wait.eq(spike_wait)
        m.d.comb += [
            self.active.eq(job_start), lanes.clear_en.eq(clearing), lanes.spike_en.eq(spike_go), lanes.job_en.eq(job_go),
            lanes.block.eq(Mux(spike_go, spike_block, block)), lanes.lane.eq(spike.index[:low]),
            lanes.step.eq(Mux(spike_go, spike.step, job.step - 1)), lanes.value.eq(job.value),
            lanes.powers_w_en.eq(self.powers_w_en), lanes.powers_w_addr.eq(self.powers_w_addr),
            lanes.powers_w_data.eq(self.powers_w_data),
            *(out.eq(contribution) for out, contribution in zip(self.contribution, lanes.contribution, strict=True)),
        ]

        # Gradient words. The job before stays in ``row`` and ``offset`` until its first word is made: the next one comes
        # GRADIENT_REUSE cycles later.
        ahead = TraceLanes.LATENCY - self.CONTRIBUTION_LATENCY
        row, offset, word = Signal.like(job.index), Signal.like(self.column_base), self.word
        goes, first = delays(m, job_go, TraceLanes.LATENCY, "go"), delay(m, job_start, ahead - 1, "first")
        with m.If(job_start):
            m.d.sync += row.eq(job.index)
        m.d.sync += offset.eq(row * self.in_blocks)
        with m.If(first):
            m.d.sync += [
                word.address.eq(self.column_base + offset), word.tile.eq(self.tile_base + (row >> low)), word.column.eq(row[:low]),
                word.layer.eq(self.layer), word.neuron.eq((self.block_base << low) + row),
            ]
        with m.Elif(goes[ahead - 1]):
            m.d.sync += [word.address.eq(word.address + 1), word.tile.eq(word.tile + self.out_blocks)]
        m.d.comb += [self.word_en.eq(goes[ahead]), self.done.eq(self.busy & jobs_over & ~Cat(goes).any())]

        with m.If(self.done):
            m.d.sync += [self.busy.eq(0), clearing.eq(0)]
        with m.If(self.start):
            m.d.sync += [self.busy.eq(1), clearing.eq(1), block.eq(0), final.eq(self.in_blocks == 1)]
        return m

    def _read_ahead(self, m, name, take):
        """The next entry of a list, whether there is one, and whether the list is over: an entry here, one at the memory's output,
        so that one can be taken each cycle."""
        en, index, entry, count = (getattr(self, f"{name}_{part}") for part in ("en", "index", "entry", "count"))
        head, left = Signal(entry.shape(), name=name), Signal(count.shape(), name=f"{name}_left")
        valid, arrived, advance = (Signal(name=f"{name}_{part}") for part in ("valid", "arrived", "advance"))
        m.d.comb += [advance.eq(self.busy & (~valid | take)), en.eq(advance & (left != 0))]
        with m.If(advance):
            m.d.sync += [head.eq(entry), valid.eq(arrived), arrived.eq(en)]
        with m.If(en):
            m.d.sync += [index.eq(index + 1), left.eq(left - 1)]
        with m.If(self.start):
            m.d.sync += [index.eq(0), left.eq(count), valid.eq(0), arrived.eq(0)]
        return head, valid, (left == 0) & ~arrived & ~valid
