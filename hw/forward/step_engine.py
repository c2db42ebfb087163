"""Forward engine of leaky integrate-and-fire layers: a sample's events through all steps of one layer after the other.

Golden model: model/exact/lif.py.
"""

from amaranth.hdl import EnableInserter, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ...spec.lif import DECAY, LifFormats
from ..arithmetic.draining import draining_enable
from ..lane_parts import Parts
from ..layouts import NetworkLayout, StepJobLayout, StepSpikeLayout, shape_of
from .leaky_accumulator import LeakyAccumulator, membrane_sum
from .lif_rule import LifRule, window_shape
from .spike_counts import SpikeCounts
from .step_scan import StepScan

__all__ = ["StepForwardEngine"]


class StepForwardEngine(wiring.Component):
    """Runs one sample at a time: its input events into list 0, then layer after layer, each through all its steps.

    Step t of layer l makes V[t] of the sums (leak pass), then adds the events of step t to the sums while V[t] is scanned. V[0] = 0
    is not scanned. The output layer has one more step, T, without events. Scanned neurons pass the firing rule on their way to
    the next list of spikes, the list of active neurons or the readout. Cycles of ``busy``, while ``i_payload`` never makes it wait:

        LOAD + count + sum over layers of (LAYER + sum over steps 0 to T - 1, of the output layer to T, of max(
            LeakyAccumulator.TURN + B (1 + E),     B blocks of the layer, E events of the step (spikes of the layer before)
            SCAN + S))                             S: of each block max(1, neurons sent), summed; not in step 0

    Sent are, of hidden layers, neurons that fired and, of training samples, those that are active; of the output layer, all.

    Parameters
    ----------
    lent : what other rules' engines lend its accumulator.

    Members
    -------
    network, steps, leak, window : In. T; B[1], UQ1.16; w, in units of the weights' last bit. Stable while busy.
    start, train, count : In. Begin a sample of ``count`` input events; not while ``busy``.
    i_payload : In(stream 32). The input events, index | step << 16, ascending in (step, index), steps below T.
    w_en, w_tile, w_row, w_data : row read port of the weight memory (latency TransposableMemory.READ_LATENCY).
    spikes_clear, spikes_w_list, spikes_w_begin, spikes_w_en, spikes_w_entry : Out. To a StepList: list l holds the spikes of
        layer l, of 0, the inputs, to L - 1.
    spikes_r_list, spikes_r_en, spikes_r_index : Out; spikes_r_count, spikes_r_entry : In. From it (latency 1): layer l's events are
        what found room in list l - 1.
    active_layer, active_begin, active_en, active_entry : Out. Training samples: the list of hidden layer ``active_layer`` begins;
        an active neuron with its g, ascending in (step, index), no step 0.
    output_start : Out(1). The output layer begins.
    output_en, output_index, output_step, output_potential, output_last : Out. V[step] of an output neuron, ascending in
        (step, index), steps 1 to T; the sample's last one.
    sum_en, sum_addr, sums : read port of the sums (latency 2), for the host, while not busy: decay(V) - reset + I after step
        T - 1 of each layer, before saturation.
    count_en, count_addr (of each lane), counts : with losses of rates only, read port of the hidden neurons' spikes of the sample
        (latency 1), while not busy.
    busy, done : Out(1). In flight; finished (one cycle, the last one of busy and that of output_last).
    event : Out(max_layers). Bit l: a spike of layer l became an event.
    saturated : Out. Neurons whose V saturated.
    """

    LOAD, LAYER, SCAN = 1, LifRule.LATENCY + 6, 7
    PRIME = 3  # a layer begins -> its first step starts, with the first event at the walk
    DRAIN = LifRule.LATENCY + 2  # the last slot of a scan is chosen -> it has left the firing rule

    def __init__(self, config: CoreConfig, lent: Parts | None = None):
        self._config, self._lent = config, lent
        layer, step, spike = bits_for(config.max_layers), bits_for(config.max_steps + 1), StepSpikeLayout(config)
        super().__init__({
            "network": In(NetworkLayout(config)), "steps": In(step), "leak": In(DECAY.bits), "window": In(window_shape(config)),
            "start": In(1), "train": In(1), "count": In(16), "i_payload": In(stream.Signature(32)),
            "w_en": Out(1), "w_tile": Out(bits_for(config.weight_tiles)), "w_row": Out(bits_for(config.lanes)),
            "w_data": In(shape_of(config.weight)).array(config.lanes),
            "spikes_clear": Out(1), "spikes_w_list": Out(layer), "spikes_w_begin": Out(1), "spikes_w_en": Out(1),
            "spikes_w_entry": Out(spike), "spikes_r_list": Out(layer), "spikes_r_count": In(bits_for(config.spike_entries + 1)),
            "spikes_r_en": Out(1), "spikes_r_index": Out(bits_for(config.spike_entries)), "spikes_r_entry": In(spike),
            "active_layer": Out(bits_for(config.max_layers + 1)), "active_begin": Out(1), "active_en": Out(1),
            "active_entry": Out(StepJobLayout(config)),
            "output_start": Out(1), "output_en": Out(1), "output_index": Out(bits_for(config.max_neurons)),
            "output_step": Out(step), "output_potential": Out(shape_of(LifFormats(config).membrane)), "output_last": Out(1),
            "sum_en": In(1), "sum_addr": In(bits_for(config.neuron_blocks)),
            "sums": Out(shape_of(membrane_sum(config))).array(config.lanes),
            **({"count_en": In(1), "count_addr": In(bits_for(config.neuron_blocks)).array(config.lanes),
                "counts": Out(step).array(config.lanes)} if config.rate_loss else {}),
            "busy": Out(1), "done": Out(1), "event": Out(config.max_layers), "saturated": Out(bits_for(config.lanes + 1)),
        })

    def elaborate(self, platform):
        m = Module()
        c, network = self._config, self.network
        m.submodules.accumulator = accumulator = LeakyAccumulator(c, self._lent)
        m.submodules.scan = scan = StepScan(c)
        # The rule's pipeline moves only while a scan feeds it or slots are still inside, as in ForwardEngine.
        rule = LifRule(c)
        m.submodules.rule = EnableInserter(draining_enable(m, scan.busy, LifRule.LATENCY))(rule)

        # The layer in work (l - 1), its step, and the sample's context.
        layer, is_output, step, last = Signal(bits_for(c.max_layers)), Signal(), Signal.like(self.steps), Signal()
        begin, train = Signal(), Signal()
        m.d.comb += is_output.eq(layer + 1 == network.layers)
        loading = self._control(m, accumulator, scan, begin, train, layer, is_output, step, last)
        self._feed_events(m, accumulator.i_events, begin, layer)
        self._send(m, rule.spike, loading, begin, train, layer, is_output)

        m.d.comb += [
            accumulator.tile_base.eq(network.tile_base[layer]), accumulator.blocks.eq(network.blocks[layer + 1]),
            accumulator.base.eq(network.block_base[layer]), accumulator.size.eq(network.size[layer + 1]),
            accumulator.leak.eq(self.leak), accumulator.fires.eq(~is_output), accumulator.step.eq(step), accumulator.last.eq(last),
            accumulator.sum_en.eq(self.sum_en), accumulator.sum_addr.eq(self.sum_addr),
            self.w_en.eq(accumulator.w_en), self.w_tile.eq(accumulator.w_tile), self.w_row.eq(accumulator.w_row),
            self.saturated.eq(accumulator.saturated),
            scan.step.eq(step), scan.blocks.eq(accumulator.blocks), scan.base.eq(accumulator.base), scan.size.eq(accumulator.size),
            scan.output.eq(is_output), scan.listing.eq(train), scan.window.eq(self.window),
            rule.neuron.eq(scan.neuron), rule.window.eq(self.window),
        ]
        if c.rate_loss:
            self._count(m, rule.spike, begin, accumulator, is_output)
        for k in range(c.lanes):
            m.d.comb += [
                accumulator.w_data[k].eq(self.w_data[k]), accumulator.r_en[k].eq(scan.r_en[k]),
                accumulator.r_addr[k].eq(scan.r_addr[k]),
                scan.potentials[k].eq(accumulator.potentials[k]), self.sums[k].eq(accumulator.sums[k]),
            ]
        return m

    def _control(self, m, accumulator, scan, begin, train, layer, is_output, step, last):
        """Input events, then layer after layer, step after step. Returns whether an input event may come."""
        remaining, loading, wait = Signal(16), Signal(), Signal(range(max(self.PRIME, self.DRAIN)))
        adding, scanning, turn = Signal(), Signal(), Signal()  # what of the step is not over; both are
        m.d.comb += [
            self.busy.eq(1), self.i_payload.ready.eq(loading), scan.start.eq(accumulator.readable),
            turn.eq((~adding | accumulator.done) & (~scanning | scan.done)),
        ]
        with m.If(accumulator.done):
            m.d.sync += adding.eq(0)
        with m.If(scan.done):
            m.d.sync += scanning.eq(0)
        with m.If(wait != 0):
            m.d.sync += wait.eq(wait - 1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.busy.eq(0)
                with m.If(self.start):
                    m.d.comb += self.spikes_clear.eq(1)
                    m.d.sync += [train.eq(self.train), remaining.eq(self.count), layer.eq(0)]
                    m.next = "OPEN"
            with m.State("OPEN"):
                m.next = "LOAD"
                with m.If(remaining == 0):
                    m.next = "LAYER"
                m.d.comb += self.spikes_w_begin.eq(1)
            with m.State("LOAD"):
                m.d.comb += loading.eq(1)
                with m.If(self.i_payload.valid):
                    m.d.sync += remaining.eq(remaining - 1)
                    with m.If(remaining == 1):
                        m.next = "LAYER"
            with m.State("LAYER"):
                m.d.comb += begin.eq(1)
                m.d.sync += [step.eq(0), last.eq(~is_output & (self.steps == 1)), wait.eq(self.PRIME - 1)]
                m.next = "PRIME"
            with m.State("PRIME"):
                with m.If(wait == 0):
                    m.d.comb += accumulator.start.eq(1)
                    m.d.sync += adding.eq(1)
                    m.next = "STEPS"
            with m.State("STEPS"):
                with m.If(turn & last):
                    m.d.sync += wait.eq(self.DRAIN - 1)
                    m.next = "DRAIN"
                with m.Elif(turn):
                    m.d.comb += accumulator.start.eq(1)
                    m.d.sync += [adding.eq(1), scanning.eq(1), step.eq(step + 1),
                                 last.eq(step + Mux(is_output, 1, 2) == self.steps)]
            with m.State("DRAIN"):
                with m.If(wait == 0):
                    m.d.comb += self.done.eq(is_output)
                    m.d.sync += layer.eq(layer + 1)
                    m.next = "LAYER"
                    with m.If(is_output):
                        m.next = "IDLE"
        return loading

    def _feed_events(self, m, events, begin, layer):
        """The list of the layer before, an entry a cycle, then the end token."""
        left, more, pending, opened = Signal.like(self.spikes_r_count), Signal(), Signal(), Signal()
        index, taken = Signal.like(self.spikes_r_index), Signal()
        m.d.comb += [
            taken.eq(events.valid & events.ready), events.valid.eq(pending | (opened & ~more)), events.payload.end.eq(~pending),
            events.payload.step.eq(self.spikes_r_entry.step), events.payload.index.eq(self.spikes_r_entry.index),
            self.spikes_r_list.eq(layer), self.spikes_r_index.eq(index),
            self.spikes_r_en.eq(more & (~pending | events.ready)), self.event.eq((taken & pending) << layer),
        ]
        with m.If(self.spikes_r_en):
            m.d.sync += [pending.eq(1), index.eq(index + 1), left.eq(left - 1), more.eq(left != 1)]
        with m.Elif(events.ready):
            m.d.sync += pending.eq(0)
        with m.If(begin):
            m.d.sync += [left.eq(self.spikes_r_count), more.eq(self.spikes_r_count != 0), index.eq(0), opened.eq(1)]
        with m.Elif(taken & ~pending):
            m.d.sync += opened.eq(0)

    def _count(self, m, spike, begin, accumulator, is_output):
        """Spikes of the hidden neurons."""
        m.submodules.counts = counts = SpikeCounts(self._config)
        m.d.comb += [
            counts.clear.eq(begin & ~is_output), counts.base.eq(accumulator.base), counts.blocks.eq(accumulator.blocks),
            counts.spike_en.eq(spike.fired & ~is_output), counts.index.eq(spike.index), counts.r_en.eq(self.count_en),
        ]
        m.d.comb += [mine.eq(theirs) for mine, theirs in zip(counts.r_addr, self.count_addr)]
        m.d.comb += [mine.eq(theirs) for mine, theirs in zip(self.counts, counts.counts)]

    def _send(self, m, spike, loading, begin, train, layer, is_output):
        """Input events and slots of the rule, each to who keeps it."""
        entry, payload = self.active_entry, self.i_payload.payload
        with m.If(loading):
            m.d.comb += [self.spikes_w_en.eq(self.i_payload.valid), self.spikes_w_entry.index.eq(payload[:16]),
                         self.spikes_w_entry.step.eq(payload[16:])]
        with m.Else():
            m.d.comb += [self.spikes_w_en.eq(spike.fired & ~is_output), self.spikes_w_entry.index.eq(spike.index),
                         self.spikes_w_entry.step.eq(spike.step)]
        with m.If(begin):
            m.d.comb += [self.spikes_w_list.eq(layer + 1), self.spikes_w_begin.eq(~is_output)]
        m.d.comb += [
            self.active_layer.eq(layer + 1), self.active_begin.eq(begin & train & ~is_output),
            self.active_en.eq(spike.active & train & ~is_output),
            entry.step.eq(spike.step), entry.index.eq(spike.index), entry.value.eq(spike.surrogate),
            self.output_start.eq(begin & is_output), self.output_en.eq(spike.item & is_output), self.output_index.eq(spike.index),
            self.output_step.eq(spike.step), self.output_potential.eq(spike.potential),
            self.output_last.eq(spike.last & is_output & (spike.step == self.steps)),
        ]
