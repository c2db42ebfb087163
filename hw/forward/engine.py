"""Forward engine: a sample's events through all layers. Golden models: model/exact/forward.py, model/timing.py."""

from amaranth.hdl import Cat, EnableInserter, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ..arithmetic.delay import delay
from ..arithmetic.draining import draining_enable
from ..arithmetic.spread import spread
from ..lane_parts import Parts, part
from ..layouts import SLOT_BITS, EventLayout, NetworkLayout, shape_of, spike_layout
from .accumulator import SynapseAccumulator
from .rule import SpikeLayout, TtfsRule
from .scan import NeuronScan
from .tape_writer import TapeWriter

__all__ = ["ForwardEngine"]


class _SampleLayout(data.StructLayout):
    """The sample in work; ``more`` while input events remain, ``open`` while its present layer still takes events."""

    def __init__(self, config: CoreConfig):
        super().__init__({"slot": SLOT_BITS, "train": 1, "remaining": 16, "more": 1, "open": 1})


class ForwardEngine(wiring.Component):
    """Runs one sample at a time: accumulates each layer's events while the previous layer's neurons are still being
    scanned, and sends the output layer's neurons to the readout. Cycles: model/timing.py.

    Parameters
    ----------
    lent : its accumulator, or what other rules' engines lend that.

    Members
    -------
    network, readout, level_clip, slope_clip : In. Stable while busy.
    start, slot, train, count : In. Begin a sample of ``count`` input events; not while ``busy``.
    i_payload : In(stream 32). The input events, index | a << 16.
    w_en, w_tile, w_row, w_data : row read port of the weight memory (latency
        TransposableMemory.READ_LATENCY).
    readout_ready : In(1). The output layer is scanned only while the readout can take it; checked once.
    spike : Out(SpikeLayout); spike_layer : Out, l - 1; spike_output : Out(1), it is the output layer.
    scan_start : Out(1). The scan of ``spike_layer`` began (its first spike comes SCAN_TO_SPIKE - 1 cycles later).
    output_start : Out(1). The output layer's scan begins; the readout takes the sample over.
    tape_en, tape_address, tape_data : write port of the spike tape; address {slot, block}.
    sum_en, sum_addr, slopes, levels : read port of the accumulators (latency 3), for the host, while not busy.
    busy, working, done : Out(1). In flight; in flight and not waiting for the readout; finished (one cycle).
    event : Out(max_layers). Bit l: a spike of layer l became an event.
    clips : Out(2). A level, a slope derivative was clipped in a training sample.
    """

    def __init__(self, config: CoreConfig, lent: Parts | None = None):
        self._config, self._lent = config, lent
        factor, block = config.factor.bits, bits_for(config.neuron_blocks)
        super().__init__({
            "network": In(NetworkLayout(config)), "readout": In(1), "level_clip": In(factor), "slope_clip": In(factor),
            "start": In(1), "slot": In(SLOT_BITS), "train": In(1), "count": In(16),
            "i_payload": In(stream.Signature(32)),
            "w_en": Out(1), "w_tile": Out(bits_for(config.weight_tiles)), "w_row": Out(bits_for(config.lanes)),
            "w_data": In(shape_of(config.weight)).array(config.lanes),
            "readout_ready": In(1), "spike": Out(SpikeLayout(config)), "spike_layer": Out(bits_for(config.max_layers)),
            "spike_output": Out(1), "scan_start": Out(1), "output_start": Out(1),
            "tape_en": Out(1), "tape_address": Out(block + SLOT_BITS), "tape_data": Out(spike_layout(config)),
            "sum_en": In(1), "sum_addr": In(block),
            "slopes": Out(shape_of(config.slope)).array(config.lanes),
            "levels": Out(shape_of(config.level)).array(config.lanes),
            "busy": Out(1), "working": Out(1), "done": Out(1),
            "event": Out(config.max_layers), "clips": Out(2),
        })

    def elaborate(self, platform):
        m = Module()
        c, network = self._config, self.network
        accumulator = part(m, self._lent or {}, "accumulator", lambda: SynapseAccumulator(c, self._lent))
        m.submodules.scan = scan = NeuronScan(c)
        # The rule's pipeline moves only while a scan feeds it (through a register) or slots are still inside.
        rule = TtfsRule(c)
        m.submodules.rule = EnableInserter(draining_enable(m, scan.busy, TtfsRule.LATENCY))(rule)
        m.submodules.tape = tape = TapeWriter(c, address_bits=len(self.tape_address))
        m.submodules.spikes = spikes = SyncFIFOBuffered(width=EventLayout(c).size, depth=c.max_neurons + 2)

        # Layer being accumulated (l - 1), layer being scanned, and the sample's context.
        sample = Signal(_SampleLayout(c))
        layer, scanned = Signal(bits_for(c.max_layers)), Signal(bits_for(c.max_layers))
        is_output, scan_start = Signal(), Signal()
        m.d.sync += self.scan_start.eq(scan_start)
        m.d.comb += is_output.eq(layer + 1 == network.layers)
        self._control(m, accumulator, rule, sample, layer, scanned, is_output, scan_start)
        self._feed_events(m, accumulator, spikes, sample, layer)
        self._queue_spikes(m, rule, spikes)

        m.d.comb += [
            accumulator.tile_base.eq(network.tile_base[layer]), accumulator.blocks.eq(network.blocks[layer + 1]),
            accumulator.base.eq(network.block_base[layer]),
            self.w_en.eq(accumulator.w_en), self.w_tile.eq(accumulator.w_tile), self.w_row.eq(accumulator.w_row),
            scan.idle.eq(~self.busy), scan.idle_addr.eq(delay(m, self.sum_addr, 1, "sum_addr")),
            scan.start.eq(scan_start), scan.count.eq(network.size[layer + 1]), scan.blocks.eq(network.blocks[layer + 1]),
            scan.base.eq(network.block_base[layer]), scan.output.eq(is_output), scan.potential.eq(is_output & ~self.readout),
            rule.neuron.eq(scan.neuron), rule.level_clip.eq(self.level_clip), rule.slope_clip.eq(self.slope_clip),
            self.spike.eq(rule.spike), self.spike_layer.eq(scanned), self.spike_output.eq(scanned + 1 == network.layers),
            tape.start.eq(self.scan_start), tape.base.eq(Cat(network.block_base[scanned], sample.slot)),
            tape.fired.eq(rule.spike.fired), tape.time.eq(rule.spike.time),
            tape.lane.eq(rule.spike.index[:bits_for(c.lanes)]), tape.block_last.eq(rule.spike.block_last),
            self.tape_en.eq(tape.en), self.tape_address.eq(tape.address), self.tape_data.eq(tape.data),
            self.clips.eq(Cat(rule.spike.level_clipped & sample.train, rule.spike.slope_clipped & sample.train)),
        ]
        sum_en = spread(m, self.sum_en, c.lanes, "sum_en", 2)
        for k in range(c.lanes):
            m.d.comb += [
                accumulator.w_data[k].eq(self.w_data[k]), accumulator.r_en[k].eq(scan.r_en[k] | sum_en[k]),
                accumulator.r_addr[k].eq(scan.r_addr[k]),
                scan.slopes[k].eq(accumulator.slopes[k]), scan.levels[k].eq(accumulator.levels[k]),
                self.slopes[k].eq(accumulator.slopes[k]), self.levels[k].eq(accumulator.levels[k]),
            ]
        return m

    def _feed_events(self, m, accumulator, spikes, sample, layer):
        """Events: the sample's own for the first layer, then the spikes of the layer before."""
        events, from_host = accumulator.i_events, layer == 0
        queued = Signal(EventLayout(self._config))
        m.d.comb += queued.as_value().eq(spikes.r_data)
        with m.If(from_host):
            m.d.comb += [
                events.payload.index.eq(self.i_payload.payload[:16]), events.payload.time.eq(self.i_payload.payload[16:]),
                events.payload.end.eq(~sample.more),
                events.valid.eq(sample.open & (~sample.more | self.i_payload.valid)),
                self.i_payload.ready.eq(sample.open & sample.more & events.ready),
            ]
        with m.Else():
            m.d.comb += [events.payload.eq(queued), events.valid.eq(sample.open & spikes.r_rdy),
                         spikes.r_en.eq(sample.open & events.ready)]
        taken = events.valid & events.ready
        with m.If(taken & from_host & ~events.payload.end):
            m.d.sync += [sample.remaining.eq(sample.remaining - 1), sample.more.eq(sample.remaining != 1)]
        with m.If(taken & events.payload.end):
            m.d.sync += sample.open.eq(0)
        with m.If(taken & ~events.payload.end):
            m.d.comb += self.event.eq(1 << layer)

    def _queue_spikes(self, m, rule, spikes):
        """Spikes of a hidden layer become events; its end follows a cycle after its last slot."""
        event, closing = Signal(EventLayout(self._config)), Signal()
        m.d.sync += closing.eq(rule.spike.layer_last & ~self.spike_output)
        m.d.comb += [
            event.index.eq(rule.spike.index), event.time.eq(rule.spike.time), event.end.eq(closing),
            spikes.w_data.eq(event), spikes.w_en.eq((rule.spike.fired & ~self.spike_output) | closing),
        ]

    def _control(self, m, accumulator, rule, sample, layer, scanned, is_output, scan_start):
        """Layer after layer; the output layer's scan waits for the readout."""
        m.d.comb += [self.busy.eq(1), self.working.eq(1)]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.busy.eq(0), self.working.eq(0)]
                with m.If(self.start):
                    m.d.sync += [sample.slot.eq(self.slot), sample.train.eq(self.train), sample.remaining.eq(self.count),
                                 sample.more.eq(self.count != 0), layer.eq(0), sample.open.eq(1)]
                    m.next = "LAYERS"
            with m.State("LAYERS"):
                with m.If(accumulator.done):
                    with m.If(is_output):
                        m.next = "READOUT"
                    with m.Else():
                        m.d.comb += scan_start.eq(1)
                        m.d.sync += [scanned.eq(layer), layer.eq(layer + 1), sample.open.eq(1)]
            with m.State("READOUT"):
                m.d.comb += self.working.eq(self.readout_ready)
                with m.If(self.readout_ready):
                    m.d.comb += [scan_start.eq(1), self.output_start.eq(1)]
                    m.d.sync += scanned.eq(layer)
                    m.next = "OUTPUTS"
            with m.State("OUTPUTS"):
                with m.If(rule.spike.layer_last):
                    m.d.comb += self.done.eq(1)
                    m.next = "IDLE"
