"""ForwardEngine against docs/numerics.md: spikes of all layers, tape, events, clips, accumulators, handover to the readout."""

import random

import pytest

from coldspike.hw.forward.engine import ForwardEngine
from coldspike.hw.layouts import SLOTS
from coldspike.hw.memory.transposable import TransposableMemory
from coldspike.spec.config import CoreConfig, bits_for
from coldspike.spec.network import Readout, layout
from coldspike.spec.pipeline import SCAN_TO_SPIKE

from ..cycles import read_port, set_all
from ..networks import network_of
from ..support import simulate, source, watch
from .test_rule import neuron_rule

CLIPS = (1500, 3000)


def forward(config, layers, weights, events, readout):
    """Accumulators and spikes of each weight layer: lists of (slope, level) and of neuron_rule's dicts."""
    sums, spikes = [], []
    for l, matrix in enumerate(weights):
        last = l == len(weights) - 1
        sums.append([(sum(matrix[i][j] for i, _ in events), sum(matrix[i][j] * a for i, a in events))
                     for j in range(layers[l + 1])])
        spikes.append([neuron_rule(config, {"slope": slope, "level": level, "potential": last and readout is Readout.POTENTIAL},
                                   *CLIPS) for slope, level in sums[-1]])
        events = [(j, spike["time"]) for j, spike in enumerate(spikes[-1]) if spike["fired"]]
    return sums, spikes


@pytest.mark.parametrize("layers, lanes", [((6, 9, 5, 3), 4), ((5, 4, 7), 2), ((7, 5), 8)])
@pytest.mark.parametrize("readout", list(Readout), ids=lambda r: r.name)
def test_samples(layers, lanes, readout):
    rng = random.Random(lanes + readout)
    config = CoreConfig.for_network(layers, lanes=lanes, weight_bits=7, weight_fraction=4, time_bits=4)
    places = layout(layers, lanes)
    q = config.weight
    weights = [[[rng.randint(q.min // 2, q.max) if j < p.n_out else rng.randint(q.min, q.max)
                 for j in range(p.out_blocks * lanes)] for _ in range(p.n_in)] for p in places]
    dut = ForwardEngine(config)
    block_bits = bits_for(config.neuron_blocks)
    samples = []
    for share in (1.0, 0.0, 0.6, 0.6, 0.9):
        samples.append(([(i, rng.randint(0, config.window)) for i in range(layers[0]) if rng.random() < share],
                        rng.randrange(2), rng.randrange(SLOTS)))
    trace, tape, spans = [], {}, []

    def row_of(tile, row):
        p = max((p for p in places if p.tile_base <= tile), key=lambda p: p.tile_base)
        in_block, out_block = divmod(tile - p.tile_base, p.out_blocks)
        i = in_block * lanes + row
        return weights[p.index - 1][i][out_block * lanes:(out_block + 1) * lanes] if i < p.n_in else [1] * lanes

    async def bench(ctx):
        set_all(ctx, dut, {"network": network_of(config, layers), "readout": readout, "level_clip": CLIPS[0],
                           "slope_clip": CLIPS[1]})
        for events, train, slot in samples:
            begin = len(trace)
            set_all(ctx, dut, {"start": 1, "slot": slot, "train": train, "count": len(events)})
            await ctx.tick()
            set_all(ctx, dut, {"start": 0, "slot": 1, "train": 1 - train, "count": 77, "readout_ready": 0})
            await source(dut.i_payload, [i | a << 16 for i, a in events], idle=0.3, rng=rng)(ctx)
            late, done = rng.choice((0, 250)), 0
            while not done:
                _, _, done, working, busy = await ctx.tick().sample(dut.done, dut.working, dut.busy)
                late -= 1
                ctx.set(dut.readout_ready, late <= 0)
                assert busy
            await ctx.tick().repeat(2)  # the tape's last word
            assert not ctx.get(dut.busy) and not ctx.get(dut.working)
            spans.append(trace[begin:])
            sums, _ = forward(config, layers, weights, events, readout)
            for p, expected in zip(places, sums, strict=True):
                for block in range(p.out_blocks):
                    set_all(ctx, dut, {"sum_en": 1, "sum_addr": p.block_base + block})
                    await ctx.tick().repeat(3)
                    pairs = [(ctx.get(s), ctx.get(a)) for s, a in zip(dut.slopes, dut.levels, strict=True)]
                    part = expected[block * lanes:(block + 1) * lanes]
                    assert pairs[:len(part)] == part
            ctx.set(dut.sum_en, 0)

    simulate(dut, bench, background=[
        read_port(dut.w_en, [dut.w_tile, dut.w_row], dut.w_data, row_of, latency=TransposableMemory.READ_LATENCY),
        watch(trace, spike=dut.spike, layer=dut.spike_layer, output=dut.spike_output, scan=dut.scan_start,
              taken=dut.output_start, tape=dut.tape_en, address=dut.tape_address, data=dut.tape_data, event=dut.event,
              clips=dut.clips)])

    for (events, train, slot), span in zip(samples, spans, strict=True):
        _, spikes = forward(config, layers, weights, events, readout)
        last = len(places) - 1
        expected = [(l, j, s) for l, layer in enumerate(spikes) for j, s in enumerate(layer) if s["fired"] or l == last]
        seen = [t for t in span if t["spike"].item]
        assert [(t["layer"], int(t["spike"].index), t["output"]) for t in seen] == [(l, j, l == last) for l, j, _ in expected]
        for t, (l, j, s) in zip(seen, expected, strict=True):
            for name, value in s.items():
                assert value is None or int(getattr(t["spike"], name)) == value, (l, j, name)

        counts = [sum(t["event"] >> l & 1 for t in span) for l in range(config.max_layers)]
        assert counts == [len(events), *(sum(s["fired"] for s in layer) for layer in spikes[:-1])]
        clips = [sum(t["clips"] >> bit & 1 for t in span) for bit in (0, 1)]
        assert clips == [train * sum(s[name] for layer in spikes for s in layer) for name in ("level_clipped", "slope_clipped")]

        tape.update({t["address"]: [(int(lane.fired), int(lane.time)) for lane in t["data"]] for t in span if t["tape"]})
        assert sum(t["tape"] for t in span) == sum(p.out_blocks for p in places)
        for p, layer in zip(places, spikes, strict=True):
            words = [tape[slot << block_bits | p.block_base + block] for block in range(p.out_blocks)]
            flat = [(s["fired"], s["time"]) for s in layer]
            assert sum(words, []) == flat + [(0, 0)] * (p.out_blocks * lanes - p.n_out)

        scans = [n for n, t in enumerate(span) if t["scan"]]
        assert [span[n]["layer"] for n in scans] == list(range(len(places)))
        assert [n for n, t in enumerate(span) if t["taken"]] == [scans[-1] - 1]
        for n, p in zip(scans, places, strict=True):
            slots = [k for k in range(n, len(span)) if span[k]["spike"].item or span[k]["spike"].block_last]
            assert slots[0] == n + SCAN_TO_SPIKE - 1, p.index
