"""The training core: engines, memories and their sequencer, without the AXI shell. Golden model: model/exact/network.py."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.config import CoreConfig, bits_for
from ..spec.packets import Space
from ..spec.transport import Precision
from .arithmetic.spread import REACH, spread
from .control.counters import IncrementLayout
from .control.sequencer import Sequencer
from .io.memory_access import MemoryAccess
from .io.stream_buffer import StreamBuffer
from .layouts import SLOTS, DescriptorLayout, NetworkLayout, ResultLayout, SettingsLayout, shape_of, spike_layout
from .memory.lane_ram import LaneRam
from .memory.transposable import TransposableMemory
from .readout.softmax import SoftmaxReadout
from .rules.shared import KINDS, SharedLanes
from .rules.units import RuleUnits, connect_joint, joint, of_running, runs_any
from .transport.controller import TransportController
from .transport.precision import decode
from .update.engine import UpdateEngine

__all__ = ["TrainingCore"]


class TrainingCore(wiring.Component):
    """Forward, readout, backward, update and transport over the dual weight memories.

    Members
    -------
    settings, network : In. Stable while running.
    started : In(1). A network was started: interval position and touched columns are reset.
    i_descriptor, i_payload : In(streams). Checked packets and their payload.
    slot_claimed, slot : In; slots_busy : Out. Sample slots.
    tape_en, tape_address, tape_data : In. Write port of the input tape, address {slot, block}.
    o_result : Out(stream ResultLayout).
    increments : Out(IncrementLayout). Events for the counters, PACKETS_DROPPED excepted.
    position : Out(32). Updates since the last transport.
    quiet, batch_done : Out(1).
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        slot = bits_for(SLOTS)
        self._input_blocks = bits_for(-(-config.max_neurons // config.lanes))
        super().__init__({
            "settings": In(SettingsLayout(config)), "network": In(NetworkLayout(config)), "started": In(1),
            "i_descriptor": In(stream.Signature(DescriptorLayout())), "i_payload": In(stream.Signature(32)),
            "slot_claimed": In(1), "slot": In(slot), "slots_busy": Out(SLOTS),
            "tape_en": In(1), "tape_address": In(self._input_blocks + slot), "tape_data": In(spike_layout(config)),
            "o_result": Out(stream.Signature(ResultLayout())), "increments": Out(IncrementLayout(config)),
            "position": Out(32), "quiet": Out(1), "batch_done": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        c = self._config
        kinds = [kind for kind in KINDS if set(kind.RULES) & set(c.rules)]
        shared = SharedLanes(c) if len(kinds) > 1 else None
        self._units = [kind(c, shared and shared.lent[kind]) for kind in kinds]
        self._owners = [units.rules for units in self._units]
        gradient_memory = kinds[-1].gradient_memory  # of several that of rows and columns
        m.submodules.sequencer = self.sequencer = Sequencer(c)
        m.submodules.softmax_readout = self.readout = SoftmaxReadout(c)
        m.submodules.update = self._update = UpdateEngine(c, gradient_memory.READ_LATENCY)
        m.submodules.transport = self.transport = TransportController(c)
        m.submodules.memory_access = self.access = MemoryAccess(c)
        forwards, backwards = ([getattr(units, name) for units in self._units] for name in ("forward", "backward"))
        self._forward, self._backward = joint(forwards, RuleUnits.FORWARD), joint(backwards, RuleUnits.BACKWARD)
        for one, engines in ((self._forward, forwards), (self._backward, backwards)):
            connect_joint(m, c, self.settings, self._owners, one, engines)
        self._add_rules(m)
        if shared:
            shared.add(m, self.settings)
        m.submodules.weights = self._weights = TransposableMemory(c)
        m.submodules.feedback = self._feedback = LaneRam(shape_of(c.feedback), c.lanes, c.feedback_words, block=True)
        self._gradients = None
        if c.gradient_memory:
            m.submodules.gradients = self._gradients = gradient_memory(c)
        # Whether the host holds the memories, known to each lane well before its first word.
        self._host_writes = spread(m, self.access.busy, c.lanes, "host_writes")
        for engine in (self._forward, self._backward, self._update, self.transport, self.access):
            m.d.comb += engine.network.eq(self.network)

        self._connect_sequencer(m)
        self._connect_samples(m)
        self._connect_update(m)
        self._connect_weights(m)
        self._connect_access(m)
        self._connect_results(m)
        self._connect_counters(m)
        return m

    def _of_running(self, values):
        return of_running(self._config, self.settings, self._owners, values)

    def _add_rules(self, m):
        """The units of each rule; the readout listens to those of the rule that runs."""
        told = [units.add(m, self) for units in self._units]
        m.d.comb += [getattr(self.readout, name).eq(self._of_running([each[name] for each in told])) for name in told[0]]
        if len(self._config.rules) > 1:
            m.d.comb += [unit.rule.eq(self.settings.rule) for unit in (self.sequencer, self.access)]

    def _connect_sequencer(self, m):
        seq, forward, readout, backward = self.sequencer, self._forward, self.readout, self._backward
        wiring.connect(m, wiring.flipped(self.i_descriptor), seq.i_descriptor)
        m.d.comb += [
            seq.started.eq(self.started), seq.active.eq(backward.active),
            seq.payload_valid.eq(self.i_payload.valid), seq.slot_claimed.eq(self.slot_claimed), seq.claimed.eq(self.slot),
            self.slots_busy.eq(seq.slots_busy), self.quiet.eq(seq.quiet), self.batch_done.eq(seq.batch_done),
            seq.forward_busy.eq(forward.busy), seq.forward_done.eq(forward.done), seq.readout_ready.eq(readout.ready),
            seq.backward_start.eq(readout.backward_start),
            seq.backward_slot.eq(readout.backward_slot), seq.backward_busy.eq(backward.busy),
            seq.backward_done.eq(backward.done), seq.update_busy.eq(self._update.busy),
            seq.transport_busy.eq(self.transport.busy), seq.transport_due.eq(self.transport.due),
            seq.access_busy.eq(self.access.busy),
        ]

    def _connect_samples(self, m):
        """A sample's packet to forward engine and readout, its gradients from the backward engine to their memory."""
        seq, forward, readout, backward, access = self.sequencer, self._forward, self.readout, self._backward, self.access
        descriptor, packet, payload = self.i_descriptor.payload, seq.packet, self.i_payload
        m.d.comb += [
            forward.start.eq(seq.forward_start), forward.train.eq(descriptor.train), forward.count.eq(descriptor.count),
            forward.i_payload.payload.eq(payload.payload), forward.i_payload.valid.eq(payload.valid),
            access.i_payload.payload.eq(payload.payload), access.i_payload.valid.eq(payload.valid),
            payload.ready.eq(forward.i_payload.ready | access.i_payload.ready),
            readout.slot.eq(packet.slot), readout.train.eq(packet.train), readout.label.eq(packet.label),
            readout.sequence.eq(packet.sequence), readout.count.eq(self.network.outputs),
            backward.start.eq(readout.backward_start),
        ]
        if self._gradients is not None:
            gradients = self._gradients
            word = self._of_running([units.gradient_word() for units in self._units])
            m.d.comb += [gradients.add_en.eq(backward.word_en), gradients.add_word.eq(word)]
            m.d.comb += [gradients.contribution[k].eq(backward.contribution[k]) for k in range(self._config.lanes)]

    def _connect_update(self, m):
        update, transport, backward, sequencer = self._update, self.transport, self._backward, self.sequencer
        m.d.comb += [
            update.settings.eq(self.settings), update.forget.eq(self.started), update.start.eq(sequencer.update_start),
            update.mark_en.eq(backward.mark_en), update.mark.eq(backward.mark),
            transport.settings.eq(self.settings), transport.load.eq(self.started),
            transport.update_done.eq(sequencer.update_done),
            self.position.eq(transport.position),
        ]
        for k in range(self._config.lanes):
            m.d.comb += update.contribution[k].eq(backward.contribution[k])
            if self._gradients is not None:
                m.d.comb += update.gradient_data[k].eq(self._gradients.r_data[k])
        if self._gradients is None:
            m.d.comb += [update.add_en.eq(backward.word_en), update.add_word.eq(backward.word)]

    def _connect_weights(self, m):
        """Weight memory: rows for the forward engine, columns for update and host, which never meet it in a cycle; columns for
        transport through the write port, while nothing is written."""
        weights, access, transport, update = self._weights, self.access, self.transport, self._update
        is_weight = access.access.space == Space.WEIGHT
        # The banks' addresses wait for one gate only: rows or columns is known well before the first event's row, and a host's
        # column is told by how it differs from the one at which the idle update unit stands.
        rows, host_reads, tile, column = Signal(), Signal(), Signal.like(weights.r_tile), Signal.like(weights.r_index)
        m.d.sync += [
            rows.eq(self._forward.busy), host_reads.eq(access.r_en & is_weight),
            tile.eq(Mux(access.busy, access.access.tile ^ update.w_tile, 0)),
            column.eq(Mux(access.busy, access.access.column ^ update.w_index, 0)),
        ]
        for k in range(self._config.lanes):
            m.d.comb += [self._forward.w_data[k].eq(weights.r_data[k]), update.w_data[k].eq(weights.r_data[k]),
                         transport.w_data[k].eq(weights.s_data[k])]
        m.d.comb += [
            weights.s_en.eq(transport.w_en), weights.s_tile.eq(transport.w_tile), weights.s_index.eq(transport.w_index),
            weights.r_en.eq(self._forward.w_en | update.w_en | host_reads),
            weights.r_column.eq(~rows),
            weights.r_tile.eq(Mux(rows, self._forward.w_tile, update.w_tile ^ tile)),
            weights.r_index.eq(Mux(rows, self._forward.w_row, update.w_index ^ column)),
            weights.w_en.eq(update.write_en | (access.w_en & is_weight)),
            weights.w_tile.eq(update.write_tile), weights.w_index.eq(update.write_index),
        ]
        m.d.comb += [weights.w_data[k].eq(Mux(self._host_writes[k], access.w_data[k], update.write_data[k]))
                     for k in range(self._config.lanes)]
        with m.If(access.busy):
            m.d.comb += [weights.w_tile.eq(access.access.tile), weights.w_index.eq(access.access.column)]

    def _connect_results(self, m):
        """Results: the sequencer and the memory access speak only when the readout is silent."""
        m.submodules.result = result = StreamBuffer(ResultLayout())
        wiring.connect(m, result.o, wiring.flipped(self.o_result))
        readout, sequencer, access = (unit.o_result for unit in (self.readout, self.sequencer, self.access))
        for source in (readout, sequencer, access):
            m.d.comb += source.ready.eq(result.i.ready)
        m.d.comb += [
            result.i.valid.eq(readout.valid | sequencer.valid | access.valid),
            # Who speaks is known from registers, earlier than whether it does.
            result.i.payload.eq(Mux(self.access.busy, access.payload, Mux(sequencer.valid, sequencer.payload, readout.payload))),
        ]

    def _connect_access(self, m):
        """Host access to every memory, and the memories' other clients; only one of them asks in a cycle."""
        c, access, word, seq = self._config, self.access, self.access.access, self.sequencer
        backward, update, transport = self._backward, self._update, self.transport
        reads = {space: access.r_en & (word.space == space) for space in Space}
        writes = {space: access.w_en & (word.space == space) for space in Space}
        m.d.comb += [
            access.start.eq(seq.access_start),
            access.packet.eq(seq.packet),
            self._feedback.r_en.eq(backward.feedback_en | transport.back_en | reads[Space.FEEDBACK]),
            self._feedback.r_addr.eq(Mux(transport.busy, transport.back_addr, backward.feedback_addr)),
        ]
        # Written a cycle later than asked for: nobody reads it sooner, and the host and the transport are far away.
        written = Signal.like(self._feedback.w_addr)
        m.d.comb += written.eq(Mux(access.busy, word.address, transport.feedback_addr))
        m.d.sync += [self._feedback.w_en.eq(transport.feedback_en | writes[Space.FEEDBACK]), self._feedback.w_addr.eq(written)]
        # Ahead of the word's next element. Column 1 of RANDOM is transport's.
        of_transport = seq.packet.column[0] if c.partial_transport else 0
        m.d.comb += update.random_load.eq(writes[Space.RANDOM] & ~of_transport)
        scale = Signal(c.weight.bits - 1)
        if c.feedback_precision is Precision.SIGN:
            m.d.sync += scale.eq(self.settings.scale[backward.layer])
        states = update.random_state
        if c.partial_transport:
            m.d.comb += [transport.random_load.eq(writes[Space.RANDOM] & of_transport),
                         *(transport.random_in[k].eq(access.w_data[k]) for k in range(c.lanes))]
            states = [Mux(of_transport, transport.random_state[k], update.random_state[k]) for k in range(c.lanes)]
        for k in range(c.lanes):
            m.d.comb += [
                backward.feedback_data[k].eq(decode(c, self._feedback.r_data[k], scale)),
                transport.back_data[k].eq(self._feedback.r_data[k]), update.random_in[k].eq(access.w_data[k]),
            ]
            m.d.sync += self._feedback.w_data[k].eq(Mux(self._host_writes[k], access.w_data[k], transport.feedback_data[k]))
        with m.If(reads[Space.OUTPUT_ERROR]):
            m.d.comb += self.readout.error_en.eq(1)
        with m.If(access.busy):
            m.d.comb += [
                self._feedback.r_addr.eq(word.address),
                self.readout.error_addr.eq(Cat(word.address[:bits_for(c.max_outputs)], seq.trained_slot)),
            ]
        # Block memories are too slow for a lane multiplexer in the same cycle; weights and gradients come from registers.
        feedback = [Signal.like(lane, name=f"feedback_{k}") for k, lane in enumerate(self._feedback.r_data)]
        m.d.sync += [register.eq(lane) for register, lane in zip(feedback, self._feedback.r_data)]
        shown = {Space.WEIGHT: self._weights.r_data, Space.FEEDBACK: feedback, Space.RANDOM: states}
        if self._gradients is not None:
            self._connect_gradients(m, reads[Space.GRADIENT], writes[Space.GRADIENT])
            shown[Space.GRADIENT] = self._gradients.r_data
        shows = dict.fromkeys(shown, Const(1))  # whether the space has lanes
        self._show_rules(m, shown, shows, reads, writes)
        elements = {space: self._element(m, space, lanes) for space, lanes in shown.items()}
        m.d.sync += access.r_data.eq(self._of_running([units.single(m, self) for units in self._units]))
        with m.Switch(word.space):
            for space in shown:
                with m.Case(space), m.If(shows[space]):
                    m.d.sync += access.r_data.eq(elements[space])

    def _element(self, m, space, lanes):
        """What the host reads of a memory, three cycles after its lane is known: registers before, within and behind the
        multiplexer, of which the first half is near to the lanes; block memory, lanes and spaces are too much for one cycle."""
        access, name = self.access, space.name.lower()
        shown, asked = Signal(lanes[0].shape(), name=f"shown_{name}"), Signal(name=f"asked_{name}")
        m.d.sync += asked.eq(access.busy & (access.access.space == space))
        parts = [Signal.like(shown, name=f"part_{name}_{first}") for first in range(0, len(lanes), REACH)]
        lane, late = (Signal.like(access.lane, name=f"lane_{name}_{n}") for n in (1, 2))
        with m.If(asked):
            m.d.sync += [lane.eq(access.lane), late.eq(lane)]
            for n, part in enumerate(parts):
                with m.Switch(lane[:bits_for(REACH)]):
                    for k, element in enumerate(lanes[n * REACH:(n + 1) * REACH]):
                        with m.Case(k):
                            m.d.sync += part.eq(element)
            with m.Switch(late[bits_for(REACH):] if len(parts) > 1 else Const(0, 1)):
                for n, part in enumerate(parts):
                    with m.Case(n):
                        m.d.sync += shown.eq(part)
        return shown

    def _show_rules(self, m, shown, shows, reads, writes):
        """Add the spaces of each rule's units; of one that several have, the lanes of the rule that runs."""
        given = [units.connect_access(m, self, reads, writes) for units in self._units]
        for space in dict.fromkeys(space for each in given for space in each):
            lanes = [each[space] for each in given if space in each]
            shown[space] = [self._of_running(of_lane) for of_lane in zip(*lanes)] if len(lanes) > 1 else lanes[0]
            shows[space] = Cat(runs_any(self._config, self.settings, rules)
                               for rules, each in zip(self._owners, given, strict=True) if space in each).any()

    def _connect_gradients(self, m, read, write):
        gradients, update, access = self._gradients, self._update, self.access
        m.d.comb += [
            gradients.r_en.eq(update.gradient_en | read), gradients.r_word.eq(update.gradient_word),
            gradients.w_en.eq(update.kept_en | write), gradients.w_word.eq(update.kept_word),
        ]
        m.d.comb += [gradients.w_data[k].eq(Mux(self._host_writes[k], access.w_data[k], update.kept[k]))
                     for k in range(self._config.lanes)]
        with m.If(access.busy):
            m.d.comb += [getattr(word, name).eq(getattr(access.access, name)) for word in (gradients.r_word, gradients.w_word)
                         for name in ("address", "tile", "column")]

    def _connect_counters(self, m):
        seq, forward, readout, backward, count = self.sequencer, self._forward, self.readout, self._backward, self.increments
        update, transport = self._update, self.transport
        working, reading, saturated = (self._of_running([getattr(units, name) for units in self._units])
                                       for name in ("working", "reading", "saturated"))
        m.d.comb += [
            count.total_cycles.eq(forward.busy | ~readout.ready | backward.busy | (update.busy & ~update.forgetting)
                                  | transport.busy),
            count.forward_cycles.eq(working), count.readout_cycles.eq(reading),
            count.backward_cycles.eq(backward.busy), count.transport_cycles.eq(transport.busy),
            count.update_cycles.eq(update.busy & seq.updating), count.updates.eq(seq.update_done),
            count.exposed_cycles.eq(transport.busy & ~working), count.transports.eq(transport.due),
            count.weights_read.eq(transport.read), count.weights_transported.eq(transport.moved),
            count.signs_transported.eq(transport.signed), count.transport_words.eq(transport.w_en),
            count.feedback_words.eq(transport.feedback_en),
            count.samples_trained.eq(seq.forward_start & self.i_descriptor.payload.train),
            count.samples_inferred.eq(seq.forward_start & ~self.i_descriptor.payload.train),
            count.error_saturations.eq(saturated), count.weight_saturations.eq(update.saturated),
        ]
        for units in self._units:
            units.count(m, self, count, runs_any(self._config, self.settings, units.rules))
        if self._config.runs_over_time:
            m.d.comb += count.membrane_saturations.eq(self._of_running([units.membrane_saturations() for units in self._units]))
        m.d.comb += [count[f"events_{l}"].eq(forward.event[l]) for l in range(self._config.max_layers)]
        m.d.comb += [count[f"active_{l + 1}"].eq(backward.active[l]) for l in range(self._config.max_layers)]
        if self._gradients is not None:
            m.d.comb += count.gradient_saturations.eq(self._gradients.saturated)
