"""Lanes of the error sweep: each job adds its column of feedback weights to the error sums, the first of a step after decay. Golden
model: model/exact/sparse_bptt.py."""

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ...spec.lif import DECAY, DROPPED_BITS, LifFormats
from ..arithmetic.delay import delay, delays
from ..arithmetic.lane_products import LaneProducts
from ..arithmetic.rounding import overflows, round_shift, saturate
from ..arithmetic.spread import spread
from ..arithmetic.wide_product import wide_product
from ..lane_parts import Parts, part
from ..layouts import block_count_bits, shape_of
from ..memory.lane_ram import LaneRam

__all__ = ["ErrorJobLayout", "ErrorLanes", "error_sum_shape"]


def error_sum_shape(config: CoreConfig) -> Shape:
    """E_i, wide enough for all: decay leaves at most 2^36 (``operand`` << DROPPED_BITS), to which a step adds at most max_neurons
    products of at most 2^(weight_bits + error_bits - 2), together below 2^(b - 2) with b the bits of ``error_sum``. Of max(b, 38)
    bits' positive range each takes half at most."""
    decayed = LifFormats(config).operand.bits + DROPPED_BITS
    return signed(max(config.error_sum.bits, decayed + 1))


class ErrorJobLayout(data.StructLayout):
    """A job: its error c, the first feedback word of its column, whether it is the sample's first (``fresh``: the sums start from
    zero), whether it brings the decay of ``steps`` steps along (``decays``)."""

    def __init__(self, config: CoreConfig):
        super().__init__({"error": shape_of(config.error), "column": bits_for(config.feedback_words), "fresh": 1, "decays": 1,
                          "steps": bits_for(config.max_steps + 1)})


class ErrorLanes(wiring.Component):
    """A job takes max(in_blocks, DEPTH) cycles, the next one follows without a gap: no word is read before the job before wrote it.

    Parameters
    ----------
    lent : ``error_products``, if they are not its own.

    Members
    -------
    in_blocks, n_in, sum_base : In. Blocks and neurons of the layer before, its first block in the sums. Stable from the cycle
        before the first job until the last one's words are written.
    i_jobs : In(stream ErrorJobLayout). Its first word is read in the next cycle.
    power_addr : Out; power : In. B[n], read in every cycle (latency 1).
    feedback_en, feedback_addr, feedback_data : read port of the feedback memory (latency 1).
    sum_en, sum_addr (of each lane), sum_data : read port of the sums (latency 1). BEHIND cycles after one in which ``i_jobs.ready``
        is high and no job is taken, it reads what the jobs taken before left, and nothing of those taken later.
    saturated : Out. How many operands of existing neurons saturated, 4 cycles after their word's read.
    """

    DEPTH = 4
    BEHIND = 6

    def __init__(self, config: CoreConfig, lent: Parts | None = None):
        self._config, self._lent = config, lent or {}
        lanes, block = config.lanes, bits_for(config.neuron_blocks)
        super().__init__({
            "in_blocks": In(block_count_bits(config)), "n_in": In(16), "sum_base": In(block),
            "i_jobs": In(stream.Signature(ErrorJobLayout(config))),
            "power_addr": Out(bits_for(config.max_steps + 1)), "power": In(DECAY.bits),
            "feedback_en": Out(1), "feedback_addr": Out(bits_for(config.feedback_words)),
            "feedback_data": In(shape_of(config.weight)).array(lanes),
            "sum_en": In(1), "sum_addr": In(block).array(lanes), "sum_data": Out(error_sum_shape(config)).array(lanes),
            "saturated": Out(bits_for(lanes + 1)),
        })

    def elaborate(self, platform):
        m = Module()
        c, low, operands = self._config, bits_for(self._config.lanes), LifFormats(self._config).operand
        m.submodules.sums = sums = LaneRam(
            error_sum_shape(c), c.lanes, c.neuron_blocks, transparent=True, second=True, ahead=1)
        products = part(m, self._lent, "error_products", lambda: LaneProducts(shape_of(c.weight), shape_of(c.error), c.lanes))

        # Job register: the job walks over the presynaptic blocks, and stays for DEPTH cycles if these are fewer.
        job, occupied, final = Signal(ErrorJobLayout(c)), Signal(), Signal()
        block, length = (Signal(max(len(self.in_blocks), bits_for(self.DEPTH + 1)), name=name) for name in ("block", "length"))
        walks, last, address, word = Signal(), Signal(), Signal.like(self.sum_base), Signal.like(self.feedback_addr)
        m.d.sync += length.eq(Mux(self.in_blocks > self.DEPTH, self.in_blocks, self.DEPTH))
        m.d.comb += [
            self.i_jobs.ready.eq(~occupied | final), walks.eq(occupied & (block < self.in_blocks)),
            last.eq(block + 1 == self.in_blocks), address.eq(self.sum_base + block), word.eq(job.column + block),
            self.power_addr.eq(job.steps),
        ]
        with m.If(occupied):
            m.d.sync += [block.eq(block + 1), final.eq(block + 2 == length)]
        with m.If(final):
            m.d.sync += occupied.eq(0)
        with m.If(self.i_jobs.valid & self.i_jobs.ready):
            m.d.sync += [job.eq(self.i_jobs.payload), occupied.eq(1), block.eq(0), final.eq(0)]

        # Stage 0: a word is asked for. Stage 2: E is here. Stage 3: its operand, B[n] and the feedback weights are.
        # Stages 3 and 4: product with B[n], of weight and c. Stage 5: the new E.
        walking, jobs = delays(m, walks, 4, "walking"), delays(m, job, 4, "jobs")
        addresses = delays(m, address, 4, "address")
        m.d.comb += [
            sums.r_en.eq(walks), sums.r_addr.eq(address), sums.w_en.eq(walking[4]), sums.w_addr.eq(addresses[4]),
            self.feedback_en.eq(walking[2]), self.feedback_addr.eq(delay(m, word, 2, "word")),
            *(sums.s_en[k].eq(self.sum_en) for k in range(c.lanes)),
        ]
        # Neurons that exist, in the layer's last block and in the word at stage 2 if it decays.
        present, counted, over = (Signal(c.lanes, name=name) for name in ("present", "counted", "over"))
        top = (self.n_in - 1)[:low]
        m.d.sync += [present.eq(Cat(k <= top for k in range(c.lanes))), self.saturated.eq(sum(over[k] for k in range(c.lanes))),
                     counted.eq(Mux(walking[1] & jobs[1].decays, present | ~delay(m, last, 1, "last").replicate(c.lanes), 0))]
        # What the lanes use in stage n, from the stage before.
        arrived, multiply, collect, add = (
            spread(m, walking[n], c.lanes, name) for n, name in ((1, "arrived"), (2, "multiply"), (3, "collect"), (4, "add")))
        fresh, error = spread(m, jobs[1].fresh, c.lanes, "fresh"), spread(m, jobs[3].error, c.lanes, "error")
        power, decays = spread(m, delay(m, self.power, 1, "power"), c.lanes, "powers"), spread(m, jobs[4].decays, c.lanes, "decays")
        for k in range(c.lanes):
            operand, weight = Signal(shape_of(operands), name=f"operand_{k}"), Signal(shape_of(c.weight), name=f"weight_{k}")
            exact = [Signal(error_sum_shape(c), name=f"exact_{k}_{stage}") for stage in (3, 4, 5)]
            total = Signal(error_sum_shape(c), name=f"total_{k}")
            rounded = round_shift(sums.r_data[k], DROPPED_BITS)
            m.d.sync += over[k].eq(counted[k] & overflows(rounded, operands))
            with m.If(arrived[k]):
                m.d.sync += [operand.eq(saturate(rounded, operands)), exact[0].eq(Mux(fresh[k], 0, sums.r_data[k]))]
            # B[n] = 2^16 needs no case of its own: that product rounds to the operand itself.
            decayed = wide_product(m, operand, power[k], [multiply[k], collect[k]], f"decayed_{k}")
            with m.If(multiply[k]):
                m.d.sync += [weight.eq(self.feedback_data[k]), exact[1].eq(exact[0])]
            with m.If(collect[k]):
                m.d.sync += exact[2].eq(exact[1])
            m.d.comb += [products.en[k].eq(collect[k]), products.a[k].eq(weight), products.b[k].eq(error[k])]
            with m.If(add[k]):
                m.d.comb += total.eq(Mux(decays[k], round_shift(decayed, DECAY.fraction) << DROPPED_BITS, exact[2])
                                      + products.product[k])
            m.d.comb += [sums.w_data[k].eq(total), sums.s_addr[k].eq(self.sum_addr[k]), self.sum_data[k].eq(sums.s_data[k])]
        return m
