"""Transport controller: after an update, copies into the feedback memory what each layer's scheme says.
Golden models: model/exact/transport.py, model/timing.py. Source: Frozen Backpropagation, sections 3 and 4."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig
from ...spec.transport import Precision, Signs, Values
from ..control.column_walker import ColumnWalker
from ..layouts import NetworkLayout, SettingsLayout, feedback_offset, shape_of
from .histogram import ChangeHistogram
from .path import TransportPath

__all__ = ["TransportController"]


class TransportController(wiring.Component):
    """Counts updates, and after each goes through layers 2 to L: a word a cycle for a copy, twice that for top-K.

    Cycles: docs/timing.md.

    Members
    -------
    network, settings : In. Stable while busy.
    load : In(1). Set the position in the interval to settings.interval_start.
    update_done : In(1). An update was made: advance, and transport what is due. Not while ``busy``, and not in the two cycles after
        ``load`` or another ``update_done``.
    due : Out(1). Combinational with ``update_done``: it starts a transport.
    position : Out(32). Updates since the interval began.
    w_en, w_tile, w_index, w_data : column read port of the weight memory (latency TransposableMemory.READ_LATENCY).
    back_en, back_addr, back_data : read port of the feedback memory (latency 1).
    feedback_en, feedback_addr, feedback_data : write port of the feedback memory.
    read, moved, signed : Out. Weights read, copied with their value, with their sign alone in this cycle.
    random_load, random_in, random_state : with partial transport, as in WeightChoice.
    busy : Out(1).
    """

    PASSED = ("w_en", "w_tile", "w_index", "back_en", "back_addr", "feedback_en", "feedback_addr", "read", "moved", "signed")

    def __init__(self, config: CoreConfig):
        self._config = config
        self._path = TransportPath(config)
        passed, lanes = self._path.signature.members, config.lanes
        random = {"random_load": In(1), "random_in": In(32).array(lanes), "random_state": Out(32).array(lanes)}
        super().__init__({
            "network": In(NetworkLayout(config)), "settings": In(SettingsLayout(config)), "load": In(1), "update_done": In(1),
            "due": Out(1), "position": Out(32), "busy": Out(1),
            **{name: passed[name] for name in self.PASSED},
            "w_data": In(shape_of(config.weight)).array(lanes), "back_data": In(shape_of(config.feedback)).array(lanes),
            "feedback_data": Out(shape_of(config.feedback)).array(lanes), **(random if config.partial_transport else {}),
        })

    def elaborate(self, platform):
        m = Module()
        c = self._config
        m.submodules.walker = walker = ColumnWalker(c)
        m.submodules.path = path = self._path
        m.d.comb += [getattr(self, name).eq(getattr(path, name)) for name in self.PASSED]
        for k in range(c.lanes):
            m.d.comb += [path.w_data[k].eq(self.w_data[k]), path.back_data[k].eq(self.back_data[k]),
                         self.feedback_data[k].eq(path.feedback_data[k])]
        layer = Signal(range(c.max_layers + 1))  # l - 1
        m.d.comb += [
            walker.network.eq(self.network), walker.first_layer.eq(layer), walker.single.eq(1),
            path.en.eq(walker.valid), path.word.eq(walker.word), path.lanes.eq(walker.lanes),
            path.offset.eq(feedback_offset(c, self.network)),
        ]
        ending, at_interval = self._interval(m)
        if c.feedback_precision is Precision.SIGN:
            m.d.sync += path.scale.eq(self.settings.scale[layer])
        histogram = self._choice(m, path, layer) if c.partial_transport else None

        idle = ~walker.busy & ~path.busy
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += layer.eq(1)
                with m.If(self.due):
                    m.d.sync += [self.busy.eq(1), at_interval.eq(ending)]
                    m.next = "LOOK"
            with m.State("LOOK"):
                values, signs = self._moves(layer, at_interval)
                m.d.sync += [path.values.eq(values), path.signs.eq(signs)]
                m.next = "DECIDE"
                with m.If(layer == self.network.layers):
                    m.d.sync += self.busy.eq(0)
                    m.next = "IDLE"
            with m.State("DECIDE"):
                m.next = "COPY"
                with m.If(~path.values & ~path.signs):
                    m.d.sync += layer.eq(layer + 1)
                    m.next = "LOOK"
                if histogram is not None:
                    with m.Elif(path.values & (path.mode == Values.TOP_K)):
                        m.d.comb += histogram.clear.eq(1)
                        m.next = "CLEAR"
            if histogram is not None:
                self._selection(m, walker, path, histogram, idle)
            with m.State("COPY"):
                m.d.comb += walker.start.eq(1)
                m.next = "BEGIN"
            with m.State("BEGIN"):
                m.next = "COPYING"
            with m.State("COPYING"):
                with m.If(idle):
                    m.d.sync += layer.eq(layer + 1)
                    m.next = "LOOK"
        return m

    def _moves(self, layer, at_interval):
        """Whether values and signs of ``layer`` are copied after an update."""
        scheme = self.settings.transport[layer]
        chosen = (scheme["values"] != Values.NONE) & (scheme["values"] <= max(Values))
        return (chosen & (scheme.every_update | at_interval),
                (scheme.signs == Signs.EVERY_UPDATE) | ((scheme.signs == Signs.AT_INTERVAL) & at_interval))

    def _interval(self, m):
        """Position in the interval; whether it ends with the next update, and a register for whether it did with the last."""
        ending, any_due, at_interval = Signal(), Signal(), Signal()
        moves = [Cat(self._moves(l, ending)).any() & (l < self.network.layers) for l in range(1, self._config.max_layers)]
        m.d.sync += [
            ending.eq((self.position + 1 == self.settings.interval) & (self.settings.interval != 0)),
            any_due.eq(Cat(moves).any()),
        ]
        m.d.comb += self.due.eq(self.update_done & any_due)
        with m.If(self.load):
            m.d.sync += self.position.eq(self.settings.interval_start)
        with m.Elif(self.update_done):
            m.d.sync += self.position.eq(Mux(ending, 0, self.position + 1))
        return ending, at_interval

    def _choice(self, m, path, layer):
        """The histogram, the layer's way of choosing, and the generators."""
        c = self._config
        m.submodules.histogram = histogram = ChangeHistogram(c)
        m.d.sync += [path.mode.eq(self.settings.transport[layer]["values"]), path.select.eq(self.settings.select[layer])]
        m.d.comb += [
            histogram.en.eq(path.bin_en), histogram.present.eq(path.bin_present), histogram.count.eq(path.select),
            path.limit.eq(histogram.limit), path.remaining.eq(histogram.remaining), path.random_load.eq(self.random_load),
        ]
        for k in range(c.lanes):
            m.d.comb += [histogram.bin[k].eq(path.bin[k]), path.random_in[k].eq(self.random_in[k]),
                         self.random_state[k].eq(path.random_state[k])]
        return histogram

    def _selection(self, m, walker, path, histogram, idle):
        """Top-K: the layer's changes are counted, then the bin at which the K largest end is searched."""
        with m.State("CLEAR"):
            with m.If(~histogram.busy):
                m.d.comb += walker.start.eq(1)
                m.d.sync += path.counting.eq(1)
                m.next = "COUNT"
        with m.State("COUNT"):
            m.next = "COUNTING"
        with m.State("COUNTING"):
            with m.If(idle):
                m.d.comb += histogram.search.eq(1)
                m.d.sync += path.counting.eq(0)
                m.next = "SEARCH"
        with m.State("SEARCH"):
            with m.If(~histogram.busy):
                m.d.comb += path.start.eq(1)
                m.next = "COPY"
