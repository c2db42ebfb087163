"""A time step of a layer of rule rate: potentials, spikes, spike counts and eligibility of P neurons a cycle. Golden model:
model/exact/traces.py (run)."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ...spec.lif import DECAY
from ...spec.rate import BIN_BITS, SURROGATE, SURROGATE_TABLE, RateFormats
from ..arithmetic.lane_products import LaneProducts
from ..arithmetic.rounding import overflows, round_shift, saturate
from ..arithmetic.spread import spread
from ..layouts import block_count_bits, shape_of
from ..memory.lane_ram import LaneRam

__all__ = ["TracePass"]


class _StageLayout(data.StructLayout):
    """A block on its way; ``last`` is the layer's last block, whose upper lanes may have no neuron."""

    def __init__(self, config: CoreConfig):
        super().__init__({"walk": 1, "last": 1, "address": bits_for(config.neuron_blocks)})


class TracePass(wiring.Component):
    """Walks a layer's blocks, one a cycle, from the cycle after ``start`` on; ``idle`` again B + DEPTH cycles after that, B the
    blocks. A neuron's count and eligibility can be read DEPTH cycles after its block was walked, its spike stands in ``mask``
    MASK_LATENCY cycles after.

    Members
    -------
    leak : In(17). UQ1.16; stable while not idle.
    start : In(1). While ``idle``. base, blocks, size : In. The layer's. first : In(1). Step 1: potential, count and eligibility
        were 0. direct : In(1). Currents are the levels, rounded, not the slopes. weight : In(17). p[t]. All taken at ``start``.
    r_en, r_addr (of each lane) : Out; slopes, levels : In, arrays of P. Read port of the accumulators (latency 1).
    mask_en, mask_addr, mask : Out. Which neurons of a block fired.
    s_en, s_addr (of each lane both), counts, eligibilities : read port of both (latency 1).
    look_en, look_addr, potentials : read port of the potentials (latency 2), while idle, for the host, who also finds
        ``look_addr`` of the cycle before in ``r_addr``.
    idle : Out(1). saturated : Out. How many neurons' potentials saturated.
    """

    MASK_LATENCY, DEPTH = 6, 9

    def __init__(self, config: CoreConfig):
        self._config, self._formats = config, RateFormats(config)
        block, lanes, formats = bits_for(config.neuron_blocks), config.lanes, self._formats
        super().__init__({
            "leak": In(DECAY.bits), "start": In(1), "base": In(block), "blocks": In(block_count_bits(config)), "size": In(16),
            "first": In(1), "direct": In(1), "weight": In(DECAY.bits),
            "r_en": Out(1), "r_addr": Out(block).array(lanes),
            "slopes": In(shape_of(config.slope)).array(lanes), "levels": In(shape_of(config.level)).array(lanes),
            "mask_en": Out(1), "mask_addr": Out(block), "mask": Out(lanes),
            "s_en": In(1).array(lanes), "s_addr": In(block).array(lanes), "counts": Out(shape_of(formats.count)).array(lanes),
            "eligibilities": Out(shape_of(formats.eligibility)).array(lanes),
            "look_en": In(1), "look_addr": In(block), "potentials": Out(shape_of(formats.membrane)).array(lanes),
            "idle": Out(1), "saturated": Out(bits_for(lanes + 1)),
        })

    def elaborate(self, platform):
        m = Module()
        c = self._config

        # The walk. The address is that of the next cycle, because memories take requests a cycle ahead.
        walking, left, address = Signal(), Signal.like(self.blocks), Signal.like(self.base)
        addresses = spread(m, address, c.lanes, "r_address")
        m.d.comb += [own.eq(copy) for own, copy in zip(self.r_addr, addresses, strict=True)]
        first, direct, weight = Signal(), Signal(), Signal.like(self.weight)
        final = Signal(bits_for(c.lanes))  # last lane with a neuron in the last block
        m.d.comb += self.r_en.eq(walking)
        with m.If(self.start):
            m.d.comb += address.eq(self.base)
            m.d.sync += [walking.eq(1), left.eq(self.blocks), final.eq(self.size - 1), first.eq(self.first),
                         direct.eq(self.direct), weight.eq(self.weight)]
        with m.Elif(walking):
            m.d.comb += address.eq(addresses[0] + 1)
            m.d.sync += [left.eq(left - 1), walking.eq(left != 1)]
        with m.Else():
            m.d.comb += address.eq(self.look_addr)

        pipe = [Signal(_StageLayout(c), name=f"stage_{n}") for n in range(self.DEPTH)]
        m.d.comb += [pipe[0].walk.eq(walking), pipe[0].last.eq(left == 1), pipe[0].address.eq(addresses[0]),
                     self.idle.eq(~Cat(stage.walk for stage in pipe).any())]
        m.d.sync += [late.eq(early) for early, late in zip(pipe, pipe[1:])]
        m.d.comb += [self.mask_en.eq(pipe[self.MASK_LATENCY].walk), self.mask_addr.eq(pipe[self.MASK_LATENCY].address)]
        self._lanes(m, pipe, address, walking, first, direct, weight, final)
        return m

    def _lanes(self, m, pipe, address, walking, first, direct, weight, final):
        """Stage 1: current, and what is left of the potential; 2: times the leak; 3: rounding; 4: sum, saturation; 5: threshold,
        distance from it; 6: surrogate derivative, count; 7: times p; 8: eligibility."""
        c, lanes, formats = self._config, self._config.lanes, self._formats
        membrane, table = formats.membrane, SURROGATE_TABLE
        m.submodules.potentials = potentials = LaneRam(shape_of(membrane), lanes, c.neuron_blocks, ahead=1)
        m.submodules.counts = counts = LaneRam(shape_of(formats.count), lanes, c.neuron_blocks, second=True, ahead=1)
        m.submodules.eligibilities = sums = LaneRam(shape_of(formats.eligibility), lanes, c.neuron_blocks, second=True, ahead=1)
        m.submodules.leak_products = leaks = LaneProducts(shape_of(membrane), shape_of(DECAY), lanes)
        m.submodules.trace_products = products = LaneProducts(signed(SURROGATE.bits + 1), shape_of(DECAY), lanes)
        going = self.start | (walking & ~pipe[0].last)  # walks in the next cycle
        m.d.comb += [
            potentials.r_en.eq(going | self.look_en), potentials.r_addr.eq(address),
            potentials.w_en.eq(pipe[4].walk), potentials.w_addr.eq(pipe[4].address),
            counts.r_en.eq(pipe[4].walk), counts.r_addr.eq(pipe[4].address),
            counts.w_en.eq(pipe[5].walk), counts.w_addr.eq(pipe[5].address),
            sums.r_en.eq(pipe[6].walk), sums.r_addr.eq(pipe[6].address),
            sums.w_en.eq(pipe[7].walk), sums.w_addr.eq(pipe[7].address),
        ]
        fresh, levels, leak, part, weights, multiply, again = (spread(m, signal, lanes, name) for signal, name in (
            (first, "fresh"), (direct, "levels_here"), (self.leak, "leak_here"), (pipe[3].last, "part"), (weight, "weight_here"),
            (pipe[1].walk, "multiply"), (pipe[6].walk, "again")))
        over, fired = Signal(lanes), Signal(lanes)
        m.d.sync += self.saturated.eq(sum(over[k] for k in range(lanes)))
        m.d.comb += self.mask.eq(fired)
        for k in range(lanes):
            there = ~part[k] | (k <= final)  # of stage 4
            current, next_current, driven = (Signal(shape_of(c.slope), name=f"{name}_{k}") for name in (
                "current", "next_current", "driven"))
            held, rest, now = (Signal(shape_of(membrane), name=f"{name}_{k}") for name in ("held", "rest", "now"))
            decayed = Signal(signed(membrane.bits + 1), name=f"decayed_{k}")
            total = Signal(signed(max(c.slope.bits, membrane.bits + 1) + 1), name=f"total_{k}")
            counted = Signal(name=f"counted_{k}")
            distance = Signal(range(membrane.one - membrane.min + 1), name=f"distance_{k}")
            value = Signal(SURROGATE.bits, name=f"surrogate_{k}")
            m.d.comb += [
                held.eq(Mux(fresh[k], 0, potentials.r_data[k])),
                leaks.en[k].eq(multiply[k]), leaks.a[k].eq(rest), leaks.b[k].eq(leak[k]), total.eq(decayed + driven),
            ]
            m.d.sync += [
                current.eq(Mux(levels[k], round_shift(self.levels[k], c.time_bits), self.slopes[k])),
                rest.eq(Mux(held > membrane.one, held - membrane.one, held)),
                next_current.eq(current),
                decayed.eq(round_shift(leaks.product[k], DECAY.fraction)), driven.eq(next_current),
                now.eq(saturate(total, membrane)), over[k].eq(pipe[4].walk & overflows(total, membrane) & there),
                counted.eq(there),
                fired[k].eq((now > membrane.one) & counted),
                distance.eq(Mux(now >= membrane.one, now - membrane.one, membrane.one - now)),
            ]
            entry = (distance << BIN_BITS) >> membrane.fraction
            with m.Switch(entry):
                for n, height in enumerate(table):
                    with m.Case(n):
                        m.d.sync += value.eq(height)
                with m.Default():
                    m.d.sync += value.eq(0)
            m.d.comb += [
                potentials.w_data[k].eq(now), counts.s_en[k].eq(self.s_en[k]), counts.s_addr[k].eq(self.s_addr[k]),
                sums.s_en[k].eq(self.s_en[k]), sums.s_addr[k].eq(self.s_addr[k]),
                counts.w_data[k].eq(Mux(fresh[k], 0, counts.r_data[k]) + fired[k]),
                products.en[k].eq(again[k]), products.a[k].eq(value), products.b[k].eq(weights[k]),
                sums.w_data[k].eq(Mux(fresh[k], 0, sums.r_data[k]) + products.product[k]),
                self.potentials[k].eq(potentials.r_data[k]), self.counts[k].eq(counts.s_data[k]),
                self.eligibilities[k].eq(sums.s_data[k]),
            ]
