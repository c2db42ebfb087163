"""Transport: of any network and any schemes, each weight with feedback, any one, is copied once a transport, with its value or its
sign, to its place; nothing else is."""

from amaranth.hdl import Const, Mux, Signal
from amaranth.lib import data

from coldspike.hw.control.column_walker import ColumnLayout, ColumnWalker
from coldspike.hw.memory.transposable import TransposableMemory
from coldspike.hw.transport.controller import TransportController
from coldspike.spec import pipeline as at
from coldspike.spec.config import CoreConfig
from coldspike.spec.transport import Signs

from .bench import Bench
from .proof import Fault, Proof

__all__ = ["PROOFS"]

LANES, LAYERS, SIZE = 2, 3, 3
"""Networks of up to three weight layers with up to three neurons each: full and partial blocks, one block and two."""

BLOCKS = -(-SIZE // LANES)
CONFIG = CoreConfig(lanes=LANES, max_layers=LAYERS, max_neurons=SIZE, max_outputs=SIZE, weight_tiles=LAYERS * BLOCKS * BLOCKS,
                    gradient_words=LAYERS * SIZE * BLOCKS, feedback_words=(LAYERS - 1) * SIZE * BLOCKS,
                    neuron_blocks=LAYERS * BLOCKS, weight_bits=4, weight_fraction=2)
LATENCY = TransposableMemory.READ_LATENCY
BEFORE_WORDS = ColumnWalker.START_LATENCY + at.TRANSPORT_LOOK
"""From the look at a layer to its first word."""


def chosen_network(bench, network):
    """Assumes the layout of spec/network.py for the layers that are used. Returns two lists by weight layer: its words and its
    weights."""
    bench.assume((network.layers >= 1) & (network.layers <= LAYERS))
    for l in range(LAYERS + 1):
        size = network.size[l]
        blocks = (size + LANES - 1) // LANES
        bench.assume((l > network.layers) | ((size >= 1) & (size <= SIZE) & (network.blocks[l] == blocks)))
    tile = word = block = Const(0, 1)
    words, weights = [], []
    for l in range(LAYERS):
        bench.assume((l >= network.layers) | ((network.tile_base[l] == tile) & (network.column_base[l] == word)
                                              & (network.block_base[l] == block)))
        tile, block = tile + network.blocks[l] * network.blocks[l + 1], block + network.blocks[l + 1]
        words.append(bench.signal((network.size[l + 1] * network.blocks[l])[:8], f"words_{l}"))
        word = bench.signal((word + words[-1])[:8], f"end_{l}")
        weights.append(bench.signal((network.size[l] * network.size[l + 1])[:8], f"weights_{l}"))
    return words, weights


def element(bench, network):
    """A weight of a layer with feedback: (it exists, layer l - 1, tile, column in it, lane, word from the first layer's end)."""
    layer, i, j = (bench.constant(2, name) for name in ("layer", "i", "j"))
    exists = bench.signal(network.layers > 1, "exists")
    sizes, blocks = [network.size[l] for l in range(LAYERS + 1)], [network.blocks[l] for l in range(LAYERS + 1)]
    in_blocks, out_blocks = bench.chosen(blocks, layer), bench.chosen(blocks, layer + 1)
    bench.assume(~exists | ((layer >= 1) & (layer < network.layers) & (i < bench.chosen(sizes, layer))
                            & (j < bench.chosen(sizes, layer + 1))))
    tile = bench.signal(network.tile_base[layer] + (i // LANES) * out_blocks + j // LANES, "tile")
    word = bench.signal(network.column_base[layer] - network.column_base[1] + j * in_blocks + i // LANES, "word")
    return exists, layer, tile, j[0], i[0], word


def due_layers(bench, dut, ends):
    """Whether values, and whether signs, of each weight layer are due after an update."""
    values, signs = [Const(0, 1)], [Const(0, 1)]
    for l in range(1, LAYERS):
        scheme, there = dut.settings.transport[l], l < dut.network.layers
        values.append(bench.signal(there & (scheme["values"] == 1) & (scheme.every_update | ends), f"values_{l}"))
        signs.append(bench.signal(there & ((scheme.signs == Signs.EVERY_UPDATE) | ((scheme.signs == Signs.AT_INTERVAL) & ends)),
                                  f"signs_{l}"))
    return values, signs


def position(bench, dut):
    """The position in the interval, and ``due``. Returns whether the interval ended with the last update, and with this one."""
    m, expected, ended = bench.m, Signal(32, name="position_expected"), Signal(name="interval_ended")
    ends = bench.signal(((expected + 1)[:32] == dut.settings.interval) & (dut.settings.interval != 0), "ends")
    with m.If(dut.load):
        m.d.sync += expected.eq(dut.settings.interval_start)
    with m.Elif(dut.update_done):
        m.d.sync += [expected.eq(Mux(ends, 0, expected + 1)), ended.eq(ends)]
    bench.require(dut.position == expected)
    # Settings change while nothing goes on, and a START follows before the next update.
    stale, changed = Signal(init=1, name="stale"), bench.signal(bench.begun & ~bench.steady(dut.settings), "changed")
    with m.If(dut.load):
        m.d.sync += stale.eq(0)
    with m.Elif(changed):
        m.d.sync += stale.eq(1)
    bench.assume(~changed | ~(dut.busy | bench.before(dut.busy)))
    event = bench.signal(dut.load | dut.update_done, "event")
    bench.assume(~dut.update_done | ~(dut.busy | stale | changed | dut.load | bench.before(event) | bench.before(event, 2)))
    values, signs = due_layers(bench, dut, ends)
    bench.require(dut.due == (dut.update_done & (sum(values) + sum(signs) != 0)))
    return ended


def controller():
    bench = Bench(dut := TransportController(CONFIG), fixed=("network",))
    m, network = bench.m, dut.network
    words, weights = chosen_network(bench, network)
    exists, layer, tile, column, lane, place = element(bench, network)
    ended = position(bench, dut)
    values, signs = due_layers(bench, dut, ended)

    # The memories answer LATENCY cycles and one cycle later: the element, when it was asked for, else anything.
    value, stored = bench.free(CONFIG.weight_bits, "value"), bench.free(CONFIG.weight_bits, "stored")
    bench.assume(~dut.busy | bench.steady(value) & bench.steady(stored))
    asked = bench.signal(dut.w_en & (dut.w_tile == tile) & (dut.w_index == column) & exists, "asked")
    bench.assume(~bench.before(asked, LATENCY) | (bench.chosen(dut.w_data, lane).as_unsigned() == value))
    asked_back = bench.signal(dut.back_en & (dut.back_addr == place), "asked_back")
    bench.assume(~bench.before(asked_back) | (bench.chosen(dut.back_data, lane).as_unsigned() == stored))
    size = Mux(stored.as_signed() < 0, -stored.as_signed(), stored.as_signed())
    turned = Mux(value.as_signed() < 0, -size, Mux(size > CONFIG.weight.max, CONFIG.weight.max, size))
    expected = Mux(bench.chosen(values, layer), value, turned[:CONFIG.weight_bits])

    running, copies = Signal(name="running"), Signal(3, name="copies")
    sums = {name: Signal(8, name=f"{name}_sum") for name in ("read", "moved", "signed", "cycles")}
    copied = bench.signal(dut.feedback_en & exists & (dut.feedback_addr == place), "copied")
    with m.If(dut.due):
        m.d.sync += [running.eq(1), copies.eq(0), *(total.eq(0) for total in sums.values())]
    with m.Elif(running):
        m.d.sync += [running.eq(dut.busy), copies.eq(copies + copied), sums["cycles"].eq(sums["cycles"] + 1),
                     *(sums[name].eq(sums[name] + getattr(dut, name)) for name in ("read", "moved", "signed"))]

    # What the layers below each add up to.
    due = [bench.signal(v | s, f"due_{l}") for l, (v, s) in enumerate(zip(values, signs))]
    parts = {"read": due, "moved": values, "signed": [s & ~v for v, s in zip(values, signs)]}
    below = {name: [Const(0, 1)] * 2 for name in sums}
    for l in range(1, LAYERS):
        for name, flags in parts.items():
            below[name].append(bench.signal((below[name][-1] + Mux(flags[l], weights[l], 0))[:8], f"{name}_below_{l + 1}"))
        walk = at.TRANSPORT_LOOK + Mux(due[l], at.TRANSPORT_PASS + at.TRANSPORT_DRAIN + words[l], 0)
        below["cycles"].append(bench.signal((below["cycles"][-1] + walk)[:8], f"cycles_below_{l + 1}"))

    finished = running & ~dut.busy
    bench.require(~copied | (bench.chosen(dut.feedback_data, lane).as_unsigned() == expected))  # to its place
    bench.require(copies + copied <= 1)
    bench.require(~finished | (copies == (exists & bench.chosen(due, layer))))  # once, when its layer is due
    for name, total in sums.items():
        bench.require(~finished | (total == bench.chosen(below[name], network.layers) + at.TRANSPORT_END * (name == "cycles")))
    all_words = bench.signal(sum(Mux(l < network.layers, words[l], 0) for l in range(1, LAYERS)), "all_words")
    bench.require(~dut.feedback_en | (running & (dut.feedback_addr < all_words)))  # nothing outside
    bench.require(dut.feedback_en | (dut.moved == 0) & (dut.signed == 0))
    bench.require(~dut.busy | running)
    if Bench.induction:
        invariants(bench, dut, words, weights, exists & bench.chosen(due, layer), place, asked=asked, ended=ended, copies=copies,
                   sums=sums, below=below, due=due, values=values, signs=signs)
    return bench


def invariants(bench, dut, words, weights, copied_once, place, *, asked, ended, copies, sums, below, due, values, signs):
    """Induction: the cycle since the look at a layer says where the machine and its walker stand, and where the walker stands says
    what has been copied, but for the words on their way."""
    network, walker, path, layer = dut.network, bench.part("walker"), bench.part("path"), bench.state("layer")
    starts = [Const(0, 1)]
    for count in words:
        starts.append(bench.signal((starts[-1] + count)[:8], f"start_of_{len(starts)}"))
    first, count, here, in_layer = (bench.signal(bench.chosen(items, layer), name) for name, items in (
        ("first", starts), ("count", [*words, Const(0, 1)]), ("here", [*due, Const(0, 1)]), ("in_layer", [*weights, Const(0, 1)])))
    now = bench.signal((sums["cycles"] - bench.chosen(below["cycles"], layer))[:8], "now")
    end = bench.signal((first + count)[:8], "end_of_layer")

    looks, decides, begins, copying = (bench.in_state(name) for name in ("LOOK", "DECIDE", "COPY", "COPYING"))
    machine = {"IDLE": ~dut.busy, "LOOK": now == 0, "DECIDE": now == 1, "COPY": now == 2, "BEGIN": now == 3,
               "COPYING": (now >= 4) & (now < BEFORE_WORDS + count + at.TRANSPORT_DRAIN + 1)}
    for name, condition in machine.items():
        bench.invariant(~bench.in_state(name) | condition)
    bench.invariant(sum(bench.in_state(name) for name in machine) == 1)
    bench.invariant(~dut.busy | (layer >= 1) & (layer <= network.layers) & (bench.state("at_interval") == ended))
    bench.invariant(~dut.busy | looks | (layer < network.layers))
    bench.invariant(~dut.busy | looks | decides | here)
    bench.invariant(~dut.busy | looks | (path.values == bench.chosen(values, layer)) & (path.signs == bench.chosen(signs, layer)))
    bench.invariant(~dut.busy | (sum(due[1:]) != 0))

    sizes, blocks = [network.size[l] for l in range(LAYERS + 1)], [network.blocks[l] for l in range(LAYERS + 1)]
    columns = [data.View(ColumnLayout(CONFIG), bench.state("walker", name)) for name in ("present", "following", "ahead")]
    present, following, ahead = columns
    n_out, in_blocks, out_blocks = (bench.chosen(*pair) for pair in ((sizes, layer + 1), (blocks, layer), (blocks, layer + 1)))
    after = []
    for n, column in enumerate(columns):
        j = bench.signal((n_out - column.left)[:4], f"column_{n}")
        start = bench.signal((first + j * in_blocks)[:8], f"start_{n}")
        block = bench.signal((column.address - start)[:4], f"block_{n}")
        bench.invariant(~column.valid | dut.busy & (column.layer == layer) & (column.left >= 1) & (column.left <= n_out))
        bench.invariant(~column.valid | (column.address >= start) & (block < (in_blocks if n == 0 else 1)))
        if n == 0:
            bench.invariant(~column.valid | (bench.state("walker", "last") == (block + 1 == in_blocks)))
        bench.invariant(~column.valid | (column.tile == bench.chosen(network.tile_base, layer) + block * out_blocks + j // LANES))
        bench.invariant(~column.valid | (column.neuron == bench.chosen(network.block_base, layer) * LANES + j))
        after.append(start + in_blocks)
    # Columns follow each other without a gap, from the layer's first word to its last.
    for earlier, later, place_after in zip(columns, columns[1:], after):
        bench.invariant(~earlier.valid | Mux(later.valid, later.address == place_after, place_after == end))
    bench.invariant(~(present.valid & ahead.valid) | following.valid)
    bench.invariant(following.valid | present.valid | ~ahead.valid | (ahead.address == first) & (now == BEFORE_WORDS - 2))
    bench.invariant(present.valid | ~following.valid | (following.address == first) & (now == BEFORE_WORDS - 1))
    bench.invariant(~present.valid | walker.valid & (now == BEFORE_WORDS + present.address - first))
    bench.invariant(walker.busy == (bench.in_state("BEGIN") | (copying & (now < BEFORE_WORDS + count))))
    for stage in range(1, at.TRANSPORT_DRAIN + 1):
        there = bench.before(walker.valid, stage)
        bench.invariant(bench.state("path", f"valid_{stage}") == there)
        bench.invariant(there == (copying & (now >= BEFORE_WORDS + stage) & (now < BEFORE_WORDS + stage + count)))

    # What was asked for so far, and how much of that is on its way.
    over = copying & ~walker.busy
    j, n_in = n_out - present.left, bench.chosen(sizes, layer)
    block = present.address - first - j * in_blocks
    lanes_here = bench.signal(Mux(present.valid, j * n_in + block * LANES, Mux(over, in_layer, 0))[:8], "lanes_here")
    asked_to = bench.signal(Mux(present.valid, present.address, Mux(over, end, first))[:8], "asked_to")
    lanes_now = Mux(walker.valid, walker.lanes, 0)
    on_the_way, lanes_on_the_way = (sum((bench.before(value, n) for n in range(1, at.TRANSPORT_DRAIN + 1)), Const(0, 1))
                                    for value in (asked, lanes_now))
    bench.invariant(~dut.busy | (copies + on_the_way == (copied_once & (asked_to - starts[1] > place))))
    bench.invariant(~dut.busy | (sums["read"] == bench.chosen(below["read"], layer) + lanes_here))
    for name, flags in (("moved", values), ("signed", [s & ~v for v, s in zip(values, signs)])):
        part = Mux(bench.chosen([*flags, Const(0, 1)], layer), lanes_here - lanes_on_the_way, 0)
        bench.invariant(~dut.busy | (sums[name] == bench.chosen(below[name], layer) + part))


PROOFS = (
    Proof(name="transport", build=controller, depth=6, fault_depth=22,
          claim=f"networks of up to {LAYERS} weight layers, {SIZE} neurons a layer, {LANES} lanes, any schemes without choice: "
                "each weight of a layer that is due is copied once, value or sign, to its place, in the documented cycles; nothing "
                "else is written; read, moved, signed, position, due",
          faults=(
              Fault(name="address", file="hw/transport/path.py",
                    old="address.eq(self.word.address - self.offset)", new="address.eq(self.word.address - self.offset + 1)"),
              Fault(name="first-layer", file="hw/transport/controller.py",
                    old="m.d.sync += layer.eq(1)", new="m.d.sync += layer.eq(0)"),
              Fault(name="last-column", file="hw/control/column_walker.py",
                    old="(column.left == 1)", new="(column.left <= 2)"),
              Fault(name="partial-block", file="hw/control/column_walker.py",
                    old="((network.size[present.layer] - 1) & (c.lanes - 1)) + 1", new="c.lanes"),
              Fault(name="position-stays", file="hw/transport/controller.py",
                    old="self.position.eq(Mux(ending, 0, self.position + 1))", new="self.position.eq(self.position + 1)"),
              Fault(name="walks-on", file="hw/control/column_walker.py",
                    old="            with m.If(self.single):", new="            with m.If(0):"),
              Fault(name="sign-of-the-least", file="hw/transport/precision.py",
                    old="Const(config.feedback.max), -stored)", new="Const(config.feedback.min), -stored)"),
              Fault(name="signs-too-often", file="hw/transport/controller.py",
                    old="((scheme.signs == Signs.AT_INTERVAL) & at_interval))", new="(scheme.signs == Signs.AT_INTERVAL))"),
              Fault(name="ends-early", file="hw/transport/controller.py",
                    old="idle = ~walker.busy & ~path.busy", new="idle = ~walker.busy"),
          )),
)
