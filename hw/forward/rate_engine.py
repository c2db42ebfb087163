"""Forward engine of rule rate: a sample's layers and steps, traces included. Golden models: model/exact/rate.py,
model/timing_rate.py."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, Schedule, bits_for
from ...spec.lif import DECAY
from ...spec.rate import RateFormats
from ...spec.registers import STEP_BITS, TICK_BITS
from ..arithmetic.delay import delay
from ..lane_parts import Parts, part
from ..layouts import SLOT_BITS, EventLayout, NetworkLayout, shape_of, spike_layout
from ..memory.ram import Ram
from .accumulator import SynapseAccumulator
from .lane_scan import LaneScan
from .rate_rule import RateRule
from .rule import SpikeLayout
from .tape_writer import TapeWriter
from .trace_pass import TracePass

__all__ = ["RateForwardEngine"]


class _SampleLayout(data.StructLayout):
    """The sample in work; ``more`` while words of it remain."""

    def __init__(self):
        super().__init__({"slot": SLOT_BITS, "train": 1, "remaining": 16, "more": 1})


class _WordLayout(data.StructLayout):
    """A word of a SAMPLE: a level in ticks, or a spike in a step."""

    def __init__(self):
        super().__init__({"index": 16, "time": 15, "is_spike": 1})


class RateForwardEngine(wiring.Component):
    """Runs one sample at a time, in turns of one layer and step: the layer's events are accumulated, then a trace pass makes of
    the sums potentials, spikes and traces. Schedule single-step takes all hidden layers of a step before the next step, multi-step
    all steps of a layer before the next layer. Behind the last pass of a layer its neurons are scanned for lists and tape while the
    next turn runs; the rates of the last hidden layer become the events of the output layer, which has one turn. Where currents
    drive the first layer, it is accumulated in its first step only. Cycles: model/timing_rate.py.

    Parameters
    ----------
    lent : its accumulator, or what other rules' engines lend that.

    Members
    -------
    network, steps, coded, ticks : In. T, register CODING, K; stable while busy.
    profile_en, profile_addr, profile_data : In. Write the leak (address 0) and p[1] to p[T].
    start, slot, train, count : In. Begin a sample of ``count`` words; not while ``busy``.
    i_payload : In(stream 32). The words: levels, then spikes, as of spec/packets.py.
    w_en, w_tile, w_row, w_data : row read port of the weight memory (latency TransposableMemory.READ_LATENCY).
    readout_ready, spike, spike_layer, spike_output, scan_start, output_start : as of ForwardEngine. ``spike.time`` is a rate.
    tape_en, tape_address, tape_data : write port of the spike tape; address {slot, block}.
    sum_en, sum_addr, slopes, levels, potentials, eligibilities : read port of the layers' sums (latency 2), for the host, while not
        busy.
    busy, working, done : Out(1). In flight; in flight and not waiting for the readout; finished (one cycle).
    event : Out(max_layers). Bit l: a spike of layer l became an event (of the last hidden layer: a rate).
    saturated : Out. Neurons whose potential saturated.
    """

    LEAD = TracePass.DEPTH  # a pass starts -> its first block may be scanned

    def __init__(self, config: CoreConfig, lent: Parts | None = None):
        self._config, self._lent = config, lent
        block = bits_for(config.neuron_blocks)
        formats = RateFormats(config)
        super().__init__({
            "network": In(NetworkLayout(config)), "steps": In(STEP_BITS), "coded": In(1), "ticks": In(TICK_BITS),
            "profile_en": In(1), "profile_addr": In(bits_for(config.max_steps + 1)), "profile_data": In(DECAY.bits),
            "start": In(1), "slot": In(SLOT_BITS), "train": In(1), "count": In(16), "i_payload": In(stream.Signature(32)),
            "w_en": Out(1), "w_tile": Out(bits_for(config.weight_tiles)), "w_row": Out(bits_for(config.lanes)),
            "w_data": In(shape_of(config.weight)).array(config.lanes),
            "readout_ready": In(1), "spike": Out(SpikeLayout(config)), "spike_layer": Out(bits_for(config.max_layers)),
            "spike_output": Out(1), "scan_start": Out(1), "output_start": Out(1),
            "tape_en": Out(1), "tape_address": Out(block + SLOT_BITS), "tape_data": Out(spike_layout(config)),
            "sum_en": In(1), "sum_addr": In(block),
            "slopes": Out(shape_of(config.slope)).array(config.lanes), "levels": Out(shape_of(config.level)).array(config.lanes),
            "potentials": Out(shape_of(formats.membrane)).array(config.lanes),
            "eligibilities": Out(shape_of(formats.eligibility)).array(config.lanes),
            "busy": Out(1), "working": Out(1), "done": Out(1), "event": Out(config.max_layers),
            "saturated": Out(bits_for(config.lanes + 1)),
        })

    def elaborate(self, platform):
        m = Module()
        c, network = self._config, self.network
        accumulator = part(m, self._lent or {}, "accumulator", lambda: SynapseAccumulator(c, self._lent))
        m.submodules.traces = traces = TracePass(c)
        m.submodules.rule = rule = RateRule(c)
        m.submodules.tape = tape = TapeWriter(c, address_bits=len(self.tape_address))
        m.submodules.queue = queue = SyncFIFOBuffered(width=EventLayout(c).size, depth=c.max_neurons + 2)

        # The turn: layer l - 1 and step, from 0; the layer being scanned; and the sample's context.
        sample, open_ = Signal(_SampleLayout()), Signal()
        layer, scanned, step = Signal(bits_for(c.max_layers)), Signal(bits_for(c.max_layers)), Signal.like(self.steps)
        is_output, last_step, scan_start, listen = Signal(), Signal(), Signal(), Signal()
        m.d.sync += self.scan_start.eq(scan_start)
        m.d.comb += [is_output.eq(layer + 1 == network.layers), last_step.eq(step + 1 == self.steps)]
        self._control(m, accumulator, traces, rule, sample, open_, layer, scanned, step, is_output, last_step, scan_start, listen)
        self._read_profile(m, traces, step, listen)
        masks = self._scan_masks(m, traces, layer, step, listen & (layer != 0) & ~is_output)
        self._feed_events(m, accumulator.i_events, queue, sample, open_, layer, step, is_output)
        self._queue_events(m, masks, rule, queue)
        self._scan_neurons(m, accumulator, traces, rule, sample, layer, scan_start)

        m.d.comb += [
            accumulator.tile_base.eq(network.tile_base[layer]), accumulator.blocks.eq(network.blocks[layer + 1]),
            accumulator.base.eq(network.block_base[layer]),
            self.w_en.eq(accumulator.w_en), self.w_tile.eq(accumulator.w_tile), self.w_row.eq(accumulator.w_row),
            traces.base.eq(network.block_base[layer]), traces.blocks.eq(network.blocks[layer + 1]),
            traces.size.eq(network.size[layer + 1]), traces.first.eq(step == 0), traces.direct.eq((layer == 0) & ~self.coded),
            traces.look_en.eq(self.sum_en), traces.look_addr.eq(self.sum_addr), self.saturated.eq(traces.saturated),
            rule.ticks.eq(self.ticks),
            self.spike.eq(rule.spike), self.spike_layer.eq(scanned), self.spike_output.eq(scanned + 1 == network.layers),
            tape.start.eq(self.scan_start), tape.base.eq(Cat(network.block_base[scanned], sample.slot)),
            tape.fired.eq(rule.spike.fired), tape.time.eq(rule.spike.time),
            tape.lane.eq(rule.spike.index[:bits_for(c.lanes)]), tape.block_last.eq(rule.spike.block_last),
            self.tape_en.eq(tape.en), self.tape_address.eq(tape.address), self.tape_data.eq(tape.data),
        ]
        for k in range(c.lanes):
            m.d.comb += [
                accumulator.w_data[k].eq(self.w_data[k]),
                traces.slopes[k].eq(accumulator.slopes[k]), traces.levels[k].eq(accumulator.levels[k]),
                self.slopes[k].eq(accumulator.slopes[k]), self.levels[k].eq(accumulator.levels[k]),
                self.potentials[k].eq(traces.potentials[k]), self.eligibilities[k].eq(traces.eligibilities[k]),
            ]
        return m

    def _control(self, m, accumulator, traces, rule, sample, open_, layer, scanned, step, is_output, last_step, scan_start, listen):
        """Turn after turn; the output layer's scan waits for the readout."""
        scanning, wait = Signal(), Signal(range(self.LEAD))
        single = self._config.schedule is Schedule.SINGLE_STEP
        m.d.comb += [self.busy.eq(1), self.working.eq(1)]
        with m.If(scan_start):
            m.d.sync += [scanning.eq(1), scanned.eq(layer)]
        with m.Elif(rule.spike.layer_last):
            m.d.sync += scanning.eq(0)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.busy.eq(0), self.working.eq(0)]
                with m.If(self.start):
                    m.d.sync += [sample.slot.eq(self.slot), sample.train.eq(self.train), layer.eq(0), step.eq(0)]
                    m.next = "OPEN"
            with m.State("OPEN"):
                m.d.comb += listen.eq(1)
                with m.If((layer == 0) & (step != 0) & ~self.coded):
                    m.next = "READY"
                with m.Else():
                    m.d.sync += open_.eq(1)
                    m.next = "ACCUMULATE"
            with m.State("ACCUMULATE"):
                with m.If(accumulator.done):
                    m.next = "READY"
                    with m.If(is_output):
                        m.next = "READOUT"
            with m.State("READY"):
                m.d.sync += wait.eq(self.LEAD - 1)
                with m.If(traces.idle & ~(last_step & scanning)):
                    m.d.comb += traces.start.eq(1)
                    m.next = "PASS"
            with m.State("PASS"):
                m.d.sync += wait.eq(wait - 1)
                with m.If(wait == 0):
                    m.d.comb += scan_start.eq(last_step)
                    m.next = "OPEN"
                    if single:  # the last hidden layer begins the next step
                        ends = layer + 2 == self.network.layers
                        m.d.sync += layer.eq(Mux(ends & ~last_step, 0, layer + 1))
                        with m.If(ends):
                            m.d.sync += step.eq(step + 1)
                    else:
                        m.d.sync += step.eq(Mux(last_step, 0, step + 1))
                        with m.If(last_step):
                            m.d.sync += layer.eq(layer + 1)
            with m.State("READOUT"):
                m.d.comb += self.working.eq(self.readout_ready)
                with m.If(self.readout_ready):
                    m.d.comb += [scan_start.eq(1), self.output_start.eq(1)]
                    m.next = "OUTPUTS"
            with m.State("OUTPUTS"):
                with m.If(rule.spike.layer_last):
                    m.d.comb += self.done.eq(1)
                    m.next = "IDLE"

    def _read_profile(self, m, traces, step, listen):
        """The leak in a register of its own; p[t], from the turn's opening to its pass."""
        m.submodules.profile = profile = Ram(DECAY.bits, self._config.max_steps + 1)
        m.d.comb += [profile.w_en.eq(self.profile_en), profile.w_addr.eq(self.profile_addr), profile.w_data.eq(self.profile_data),
                     profile.r_en.eq(listen), profile.r_addr.eq(step + 1), traces.weight.eq(profile.r_data)]
        with m.If(self.profile_en & (self.profile_addr == 0)):
            m.d.sync += traces.leak.eq(self.profile_data)

    def _scan_masks(self, m, traces, layer, step, start):
        """Spikes of the layer before in this step, from masks that trace passes left: of one step, or of all."""
        c, network = self._config, self.network
        every = c.schedule is Schedule.MULTI_STEP
        depth = c.max_steps << bits_for(c.neuron_blocks) if every else c.neuron_blocks
        m.submodules.masks = masks = Ram(c.lanes, depth)
        m.submodules.mask_scan = scan = LaneScan(c.lanes, 0, depth=c.neuron_blocks, blocks=-(-c.max_neurons // c.lanes))
        written, below = Signal.like(step), Signal.like(layer)
        with m.If(traces.start):
            m.d.sync += written.eq(step)
        m.d.comb += [
            below.eq(layer - 1), masks.w_en.eq(traces.mask_en), masks.w_data.eq(traces.mask), masks.r_en.eq(scan.r_en[0]),
            masks.w_addr.eq(Cat(traces.mask_addr, written) if every else traces.mask_addr),
            masks.r_addr.eq(Cat(scan.r_addr[0], step) if every else scan.r_addr[0]),
            scan.start.eq(start), scan.base.eq(network.block_base[below]), scan.blocks.eq(network.blocks[layer]),
            scan.wanted.eq(masks.r_data),
        ]
        return scan

    def _feed_events(self, m, events, queue, sample, open_, layer, step, is_output):
        """Events of the turn: of the first layer the sample's words, of others what is queued; then an end token."""
        word, queued, from_host = Signal(_WordLayout()), Signal(EventLayout(self._config)), layer == 0
        wanted, now, taken = Signal(), Signal(), Signal()
        payload = self.i_payload
        m.d.comb += [
            word.as_value().eq(payload.payload), queued.as_value().eq(queue.r_data),
            # The output layer sees levels alone, where the inputs reach it, a hidden layer of coded inputs their spikes alone.
            wanted.eq(word.is_spike == (self.coded & ~is_output)), now.eq(~word.is_spike | (word.time == step)),
            taken.eq(events.valid & events.ready),
        ]
        with m.If(from_host):
            m.d.comb += [
                events.payload.index.eq(word.index), events.payload.time.eq(Mux(word.is_spike, 0, word.time)),
                events.payload.end.eq(~sample.more | ~now),
                events.valid.eq(open_ & (~sample.more | (payload.valid & wanted))),
                payload.ready.eq(open_ & sample.more & (~wanted | (now & events.ready))),
            ]
        with m.Else():
            m.d.comb += [events.payload.eq(queued), events.valid.eq(open_ & queue.r_rdy), queue.r_en.eq(open_ & events.ready)]
        with m.If(payload.valid & payload.ready):
            m.d.sync += [sample.remaining.eq(sample.remaining - 1), sample.more.eq(sample.remaining != 1)]
        with m.If(self.start & ~self.busy):
            m.d.sync += [sample.remaining.eq(self.count), sample.more.eq(self.count != 0)]
        with m.If(taken & events.payload.end):
            m.d.sync += open_.eq(0)
        with m.If(taken & ~events.payload.end):
            m.d.comb += self.event.eq(1 << layer)

    def _queue_events(self, m, masks, rule, queue):
        """Spikes of a step, or rates of the last hidden layer, become events; the end follows a cycle after the last slot. Never
        both: rates come when no hidden layer is left to hear spikes."""
        event, closing, rated = Signal(EventLayout(self._config)), Signal(), Signal()
        m.d.comb += rated.eq(self.spike_layer + 2 == self.network.layers)
        m.d.sync += closing.eq(masks.slot.layer_last | (rule.spike.layer_last & rated))
        rate = rule.spike.fired & rated
        m.d.comb += [
            event.index.eq(Mux(rate, rule.spike.index, masks.slot.index)), event.time.eq(Mux(rate, rule.spike.time, 0)),
            event.end.eq(closing), queue.w_data.eq(event), queue.w_en.eq(masks.slot.item | rate | closing),
        ]

    def _scan_neurons(self, m, accumulator, traces, rule, sample, layer, scan_start):
        """Of a hidden layer neurons that spiked or, in training, pass gradient, from the traces; of the output layer all, from the
        accumulators, whose port the passes and the host have otherwise."""
        c, network, low, formats = self._config, self.network, bits_for(self._config.lanes), RateFormats(self._config)
        count, total = formats.count.bits, formats.eligibility.bits
        m.submodules.scan = scan = LaneScan(c.lanes, max(count + total, c.level.bits), depth=c.neuron_blocks,
                                            blocks=-(-c.max_neurons // c.lanes))
        output, size, read = self.spike_output, Signal(16), delay(m, self.sum_en, 1, "sum_en")
        outputs = Signal()  # the output layer is scanned
        with m.If(scan_start):
            m.d.sync += [outputs.eq(self.output_start), size.eq(network.size[layer + 1])]
        with m.Elif(self.done):
            m.d.sync += outputs.eq(0)
        m.d.comb += [
            scan.start.eq(scan_start), scan.base.eq(network.block_base[layer]), scan.blocks.eq(network.blocks[layer + 1]),
            scan.idle.eq(~self.busy), scan.idle_addr.eq(self.sum_addr),
        ]
        least = formats.eligibility.fraction - c.factor.fraction - 1  # half of the factor's last bit
        for k in range(c.lanes):
            m.d.comb += [
                traces.s_en[k].eq(scan.r_en[k] | read), traces.s_addr[k].eq(scan.r_addr[k]),
                accumulator.r_en[k].eq(traces.r_en | (outputs & scan.r_en[k]) | read),
                accumulator.r_addr[k].eq(Mux(outputs, scan.r_addr[k], traces.r_addr[k])),
                scan.values[k].eq(Mux(output, accumulator.levels[k], Cat(traces.counts[k], traces.eligibilities[k]))),
                scan.wanted[k].eq((output | (traces.counts[k] != 0) | (sample.train & traces.eligibilities[k][least:].any()))
                                  & (((scan.number << low) | k) < size)),
            ]
        slot, neuron = scan.slot, rule.neuron
        m.d.comb += [
            neuron.output.eq(output), neuron.level.eq(slot.value), neuron.count.eq(slot.value[:count]),
            neuron.eligibility.eq(slot.value[count:count + total]),
            *(neuron[name].eq(slot[name]) for name in ("item", "index", "block_last", "layer_last")),
        ]
