"""Gradient sweep of a layer over time: by active neuron (input spikes grow traces, jobs make contributions of them) or by input
spike (jobs grow errors, which are the spikes' contributions). Golden models: model/exact/lif.py (decayed_sums),
model/exact/sparse_bptt.py (accumulate)."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ...spec.lif import DECAY
from ..arithmetic.delay import delay, delays
from ..lane_parts import Parts
from ..layouts import StepJobLayout, StepSpikeLayout, block_count_bits
from .decayed_lanes import DecayedLanes
from .lanes import contribution_shape
from .transposable_gradients import TileWordLayout

__all__ = ["GradientSweep"]


class GradientSweep(wiring.Component):
    """Merges a sample's input spikes (i, t) and a layer's jobs (j, m) by time, and sends them through the decayed lanes. By active
    neuron, time goes forward, spikes grow sums and jobs read them, each ``in_blocks`` words of its column. By input spike, time
    goes backward, jobs grow sums and spikes read them, each ``out_blocks`` words of its row. What grows comes first in a step.

    Cycles, counted from the first one of ``busy``, with B the blocks that a reading has. An entry begins in the first cycle that
    all its rules allow:

        the first one      from cycle max(B, 2) on: the sums are cleared, the lists' first entries are here
        any other          1 cycle after a growth or a reading of nothing, B cycles after another reading, or later
        growth of i        WRITTEN cycles after the growth of i before, or later
        reading            WRITTEN - i div P cycles after each growth of i, or later: its sum is there when the reading comes to its
                           block; REUSE cycles after a reading of the same neuron before, or later. Before the first growth there is
                           nothing to read: it takes a cycle and makes no contribution
        done               9 cycles after the last growth, B + 8 after the last reading, 1 after the last one of nothing,
                           whichever is latest; in cycle 0 if there is no entry. It is the last cycle of ``busy``

    By active neuron, spikes behind the last job are no entries.

    Parameters
    ----------
    lent : what other rules' engines lend its lanes.

    Members
    -------
    start : In(1). Begin a layer; not while ``busy``. busy, done : Out(1).
    by_spikes : In(1). Which of the two. Stable while busy, and in the cycle of ``start``.
    spike_count, job_count : In. Lengths of the lists, at ``start``. Entries ascend by (step, index).
    spike_en, spike_index, spike_entry : read port of the spikes of layer l - 1 (latency 1, held between reads).
    job_en, job_index, job_entry : read port of the jobs of layer l, with ``value`` c and ``step`` m + 1 (the same).
    in_blocks, out_blocks, tile_base : In. The layer's sizes and first tile. Stable while busy.
    word_en, word : Out. Where the contributions belong that stand at ``contribution`` CONTRIBUTION_LATENCY cycles later.
    contribution : Out, P contributions.
    active, neuron : Out. A job was taken, of this neuron of layer l.
    saturated : Out(1). An error saturated as it grew.
    powers_w_en, powers_w_addr, powers_w_data : In. Write port of the table of decays, while not busy.
    """

    CONTRIBUTION_LATENCY = 3

    REUSE = 5
    """Cycles from a gradient word to the next of the same place: the gradient memory reads in the cycle of ``add_en``, writes in
    the fourth after it, and reads only what was written before."""

    def __init__(self, config: CoreConfig, lent: Parts | None = None):
        self._config, self._lent = config, lent
        blocks, job, spike = block_count_bits(config), StepJobLayout(config), StepSpikeLayout(config)
        super().__init__({
            "start": In(1), "busy": Out(1), "done": Out(1), "by_spikes": In(1),
            "spike_count": In(bits_for(config.spike_entries + 1)), "spike_en": Out(1),
            "spike_index": Out(bits_for(config.spike_entries)), "spike_entry": In(spike),
            "job_count": In(bits_for(config.job_entries + 1)), "job_en": Out(1),
            "job_index": Out(bits_for(config.job_entries)), "job_entry": In(job),
            "in_blocks": In(blocks), "out_blocks": In(blocks), "tile_base": In(bits_for(config.weight_tiles)),
            "word_en": Out(1), "word": Out(TileWordLayout(config)),
            "contribution": Out(contribution_shape(config)).array(config.lanes),
            "active": Out(1), "neuron": Out(job["index"].shape), "saturated": Out(1),
            "powers_w_en": In(1), "powers_w_addr": In(bits_for(config.max_steps + 1)), "powers_w_data": In(DECAY.bits),
        })

    def elaborate(self, platform):
        m = Module()
        c, low, by_spikes = self._config, bits_for(self._config.lanes), self.by_spikes
        m.submodules.lanes = lanes = DecayedLanes(c, self._lent)
        take_spike, take_job = Signal(), Signal()
        spike, spike_valid, spikes_over = self._read_ahead(m, "spike", take_spike)
        job, job_valid, jobs_over = self._read_ahead(m, "job", take_job)

        # Which entry is next, and whether it grows or reads.
        spike_next, grows, reads, index = Signal(), Signal(), Signal(), Signal.like(job.index)
        early = spike.step < job.step  # the spike is not behind the job: job.step is one more than the job's
        m.d.comb += [
            spike_next.eq(spike_valid & (~job_valid | Mux(by_spikes, ~early, early))),
            index.eq(Mux(spike_next, spike.index, job.index)),
            grows.eq(Mux(by_spikes, job_valid & ~spike_next, spike_next & job_valid)),
            reads.eq(Mux(by_spikes, spike_next, job_valid & ~spike_next)),
        ]

        # The walk over the blocks: first to clear them, then for each reading.
        block, final, clearing, walking, read_go = Signal.like(lanes.block), Signal(), Signal(), Signal(), Signal()
        blocks = Mux(by_spikes, self.out_blocks, self.in_blocks)
        with m.If(clearing | read_go):
            m.d.sync += [block.eq(block + 1), final.eq(block + 2 == blocks), walking.eq(read_go)]
            with m.If(final):
                m.d.sync += [block.eq(0), final.eq(blocks == 1), walking.eq(0), clearing.eq(0)]

        # Whose turn it is. A growth waits for its own neuron's sum; a reading until each sum is back when it comes to it, and until
        # its own words are back from a reading before.
        free, grow_go, read_start, skip, nothing = Signal(), Signal(), Signal(), Signal(), Signal()
        wait = Signal(range(DecayedLanes.WRITTEN))
        grown_block, grow_wait, waited = index >> low, Signal.like(wait), Signal.like(wait)
        indices = delays(m, index, max(DecayedLanes.WRITTEN, self.REUSE) - 1, "index")
        m.d.comb += [
            free.eq(self.busy & ~clearing & ~walking), skip.eq(free & reads & nothing),
            grow_go.eq(free & grows & ~self._recent(m, grow_go, indices[:DecayedLanes.WRITTEN], "grown")),
            read_start.eq(free & reads & ~nothing & (wait == 0) & ~self._recent(m, read_start, indices[:self.REUSE], "read")),
            read_go.eq(read_start | walking), waited.eq(Mux(wait == 0, 0, wait - 1)),
            grow_wait.eq(Mux(grown_block < DecayedLanes.WRITTEN - 1, DecayedLanes.WRITTEN - 1 - grown_block, 0)),
        ]
        m.d.sync += wait.eq(waited)
        with m.If(grow_go):
            m.d.sync += [nothing.eq(0), wait.eq(Mux(grow_wait > waited, grow_wait, waited))]
        done_one = grow_go | skip | read_go & final
        m.d.comb += [
            take_spike.eq(done_one & spike_next), take_job.eq(done_one & ~spike_next),
            self.active.eq(Mux(by_spikes, grow_go, read_start | skip)), self.neuron.eq(job.index),
            self.saturated.eq(lanes.saturated),
            lanes.by_spikes.eq(by_spikes), lanes.clear_en.eq(clearing), lanes.grow_en.eq(grow_go), lanes.read_en.eq(read_go),
            lanes.block.eq(Mux(grow_go, grown_block, block)), lanes.lane.eq(index[:low]),
            lanes.step.eq(Mux(spike_next, spike.step, job.step - 1)), lanes.value.eq(job.value),
            lanes.powers_w_en.eq(self.powers_w_en), lanes.powers_w_addr.eq(self.powers_w_addr),
            lanes.powers_w_data.eq(self.powers_w_data),
            *(out.eq(contribution) for out, contribution in zip(self.contribution, lanes.contribution, strict=True)),
        ]

        # Gradient words: a column's tiles lie ``out_blocks`` apart, a row's side by side.
        ahead = DecayedLanes.LATENCY - self.CONTRIBUTION_LATENCY
        goes, first, word = delays(m, read_go, ahead, "go"), delay(m, read_start, ahead - 1, "first"), self.word
        line, tile = indices[ahead - 2], Signal.like(word.tile)
        m.d.sync += tile.eq(self.tile_base + Mux(by_spikes, (line >> low) * self.out_blocks, line >> low))
        with m.If(first):
            m.d.sync += [word.tile.eq(tile), word.index.eq(indices[ahead - 1]), word.row.eq(by_spikes)]
        with m.Elif(goes[ahead - 1]):
            m.d.sync += word.tile.eq(word.tile + Mux(by_spikes, 1, self.out_blocks))
        over, working = jobs_over & (spikes_over | ~by_spikes), delays(m, grow_go | read_go, DecayedLanes.LATENCY, "working")
        m.d.comb += [self.word_en.eq(goes[ahead]), self.done.eq(self.busy & over & ~Cat(working).any())]

        with m.If(self.done):
            m.d.sync += [self.busy.eq(0), clearing.eq(0)]
        with m.If(self.start):
            m.d.sync += [self.busy.eq(1), clearing.eq(1), nothing.eq(1), block.eq(0), final.eq(blocks == 1)]
        return m

    def _recent(self, m, go, indices, name):
        """Whether ``go`` came in the cycles of ``indices``, now and before, with the index of now."""
        went = delays(m, go, len(indices) - 1, name)
        return Cat(valid & (before == indices[0]) for valid, before in zip(went[1:], indices[1:], strict=True)).any()

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
            m.d.sync += [index.eq(Mux(self.by_spikes, index - 1, index + 1)), left.eq(left - 1)]
        with m.If(self.start):
            m.d.sync += [index.eq(Mux(self.by_spikes, count - 1, 0)), left.eq(count), valid.eq(0), arrived.eq(0)]
        return head, valid, (left == 0) & ~arrived & ~valid
