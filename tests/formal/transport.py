"""Transport: of any network, each weight with feedback, any one, is copied once a transport, to its place; nothing else is."""

from amaranth.hdl import Const, Mux, Signal
from amaranth.lib import data

from coldspike.hw.control.column_walker import ColumnLayout, ColumnWalker
from coldspike.hw.memory.transposable import TransposableMemory
from coldspike.hw.transport.controller import TransportController
from coldspike.spec.config import CoreConfig
from coldspike.spec.pipeline import TRANSPORT_DRAIN

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


def chosen_network(bench, network):
    """Assumes the layout of spec/network.py for the layers that are used. Returns two lists by weight layer: the word after it, and
    the weights with feedback up to it."""
    bench.assume((network.layers >= 1) & (network.layers <= LAYERS))
    for l in range(LAYERS + 1):
        size = network.size[l]
        blocks = (size + LANES - 1) // LANES
        bench.assume((l > network.layers) | ((size >= 1) & (size <= SIZE) & (network.blocks[l] == blocks)))
    tile = word = block = weights = Const(0, 1)
    ends, sums = [], []
    for l in range(LAYERS):
        bench.assume((l >= network.layers) | ((network.tile_base[l] == tile) & (network.column_base[l] == word)
                                              & (network.block_base[l] == block)))
        tile, block = tile + network.blocks[l] * network.blocks[l + 1], block + network.blocks[l + 1]
        word = bench.signal((word + network.size[l + 1] * network.blocks[l])[:8], f"end_{l}")
        weights = bench.signal((weights + network.size[l] * network.size[l + 1] * (l > 0))[:8], f"weights_{l}")
        ends.append(word)
        sums.append(weights)
    return ends, sums


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
    return exists, tile, j[0], i[0], word


def controller():
    bench = Bench(dut := TransportController(CONFIG), fixed=("network",))
    m, network = bench.m, dut.network
    ends, sums = chosen_network(bench, network)
    exists, tile, column, lane, place = element(bench, network)
    words = bench.signal(Mux(exists, bench.chosen(ends, network.layers - 1) - network.column_base[1], 0)[:8], "words")
    weights = bench.signal(bench.chosen(sums, network.layers - 1), "weights")
    bench.assume(~dut.update_done | ~dut.busy & bench.begun & bench.steady(dut.interval)
                 & ~bench.before(dut.load | dut.update_done))

    # The weight memory answers READ_LATENCY cycles later: the element, when it was asked for, else anything.
    value = bench.constant(CONFIG.weight_bits, "value")
    asked = bench.signal(dut.w_en & (dut.w_tile == tile) & (dut.w_index == column) & exists, "asked")
    answered = [asked]
    for _ in range(LATENCY):
        answered.append(bench.before(answered[-1]))
    bench.assume(~answered[-1] | (bench.chosen(dut.w_data, lane).as_unsigned() == value))

    running, copies = Signal(name="running"), Signal(3, name="copies")
    moved, cycles = Signal(8, name="moved_sum"), Signal(8, name="cycles")
    copied = bench.signal(dut.feedback_en & exists & (dut.feedback_addr == place), "copied")
    with m.If(dut.due):
        m.d.sync += [running.eq(1), copies.eq(0), moved.eq(0), cycles.eq(0)]
    with m.Elif(running):
        m.d.sync += [running.eq(dut.busy), copies.eq(copies + copied), moved.eq(moved + dut.moved), cycles.eq(cycles + 1)]
    ended = running & ~dut.busy
    bench.require(~copied | (bench.chosen(dut.feedback_data, lane).as_unsigned() == value))  # to its place
    bench.require(copies + copied <= 1)
    bench.require(~ended | (copies == exists))  # once
    bench.require(~ended | (moved == weights))
    bench.require(~(ended & exists) | (cycles == ColumnWalker.START_LATENCY - 1 + words + TRANSPORT_DRAIN))
    bench.require(~dut.feedback_en | (running & (dut.feedback_addr < words)))  # nothing outside
    bench.require(dut.feedback_en | (dut.moved == 0))
    bench.require(~dut.busy | running)

    # Updates since the last transport.
    position = Signal(32, name="position_expected")
    bench.require(dut.due == (dut.update_done & ((position + 1)[:32] == dut.interval) & (dut.interval != 0)))
    bench.require(dut.position == position)
    with m.If(dut.load):
        m.d.sync += position.eq(dut.position_in)
    with m.Elif(dut.update_done):
        m.d.sync += position.eq(Mux(dut.due, 0, position + 1))

    if Bench.induction:
        walker_invariants(bench, dut, ends, sums, asked=asked, copies=copies, moved=moved, cycles=cycles, running=running,
                          words=words, exists=exists, place=place, weights=weights)
    return bench


def walker_invariants(bench, dut, ends, sums, *, asked, copies, moved, cycles, running, words, exists, place, weights):
    """Induction: where the walker stands says what has been copied, but for the words on their way."""
    network, walker, last = dut.network, bench.part("walker"), bench.state("walker", "last")
    sizes, blocks = [network.size[l] for l in range(LAYERS + 1)], [network.blocks[l] for l in range(LAYERS + 1)]
    columns = [data.View(ColumnLayout(CONFIG), bench.state("walker", name)) for name in ("present", "following", "ahead")]
    present, following, ahead = columns
    after, first, end = [], network.column_base[1], bench.signal((network.column_base[1] + words)[:8], "end_of_words")
    for n, column in enumerate(columns):
        layer = column.layer
        n_out, in_blocks, out_blocks = (bench.chosen(*pair) for pair in ((sizes, layer + 1), (blocks, layer), (blocks, layer + 1)))
        j = bench.signal((n_out - column.left)[:4], f"column_{n}")
        start = bench.signal((network.column_base[layer] + j * in_blocks)[:8], f"start_{n}")
        block = bench.signal((column.address - start)[:4], f"block_{n}")
        bench.invariant(~column.valid | (layer >= 1) & (layer < network.layers) & (column.left >= 1) & (column.left <= n_out))
        bench.invariant(~column.valid | (column.address >= start) & (block < (in_blocks if n == 0 else 1)))
        if n == 0:
            bench.invariant(~column.valid | (last == (block + 1 == in_blocks)))
        bench.invariant(~column.valid | (column.tile == network.tile_base[layer] + block * out_blocks + j // LANES))
        bench.invariant(~column.valid | (column.neuron == network.block_base[layer] * LANES + j))
        after.append(start + in_blocks)
    # Columns follow each other without a gap, from the first word to the last.
    for earlier, later, here in zip(columns, columns[1:], after):
        bench.invariant(~earlier.valid | Mux(later.valid, later.address == here, here == end))
    bench.invariant(~(present.valid & ahead.valid) | following.valid)
    bench.invariant(following.valid | present.valid | ~ahead.valid | (ahead.address == first) & (cycles == 0))
    bench.invariant(present.valid | ~following.valid | (following.address == first) & (cycles == 1))
    bench.invariant(~present.valid | walker.valid & (cycles == ColumnWalker.START_LATENCY - 1 + present.address - first))
    bench.invariant(~running | (walker.busy == (exists & (cycles < ColumnWalker.START_LATENCY - 1 + words))))

    layer, j = present.layer, bench.chosen(sizes, present.layer + 1) - present.left
    n_in, block = bench.chosen(sizes, layer), present.address - network.column_base[layer] - j * bench.chosen(blocks, layer)
    lanes_before = bench.signal((bench.chosen(sums, layer - 1) + j * n_in + block * LANES)[:8], "lanes_before")
    asked_before = exists & (present.address - first > place)
    asked_so_far = bench.signal(Mux(present.valid, asked_before, exists & ~walker.busy), "asked_so_far")
    lanes_so_far = bench.signal(Mux(present.valid, lanes_before, Mux(walker.busy, 0, weights)), "lanes_so_far")
    on_the_way = sum((bench.before(asked, n) for n in range(1, LATENCY + 1)), Const(0, 1))
    lanes_on_the_way = sum((bench.before(Mux(walker.valid, walker.lanes, 0), n) for n in range(1, LATENCY + 1)), Const(0, 1))
    bench.invariant(~running | (copies + on_the_way == asked_so_far))
    bench.invariant(~running | (moved + lanes_on_the_way == lanes_so_far))


PROOFS = (
    Proof(name="transport", build=controller, depth=4, fault_depth=13,
          claim=f"networks of up to {LAYERS} weight layers, {SIZE} neurons a layer, {LANES} lanes: each weight with feedback is "
                "copied once a transport, to its place, in the documented cycles; nothing else is written; moved, position",
          faults=(
              Fault(name="address", file="hw/transport/controller.py",
                    old="address.eq(walker.word.address - offset)", new="address.eq(walker.word.address - offset + 1)"),
              Fault(name="first-layer", file="hw/transport/controller.py",
                    old="walker.first_layer.eq(1)", new="walker.first_layer.eq(0)"),
              Fault(name="last-column", file="hw/control/column_walker.py",
                    old="(column.left == 1)", new="(column.left <= 2)"),
              Fault(name="partial-block", file="hw/control/column_walker.py",
                    old="((network.size[present.layer] - 1) & (c.lanes - 1)) + 1", new="c.lanes"),
              Fault(name="position-stays", file="hw/transport/controller.py",
                    old="self.position.eq(Mux(self.due, 0, self.position + 1))", new="self.position.eq(self.position + 1)"),
          )),
)
