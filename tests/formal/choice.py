"""Choice of single weights: the histogram's limit, and the ties at it.

The histogram is proven with fewer bins than it has; their number is nowhere else in the logic.
"""

from unittest.mock import patch

from amaranth.hdl import Cat, Const, Mux, Signal

from coldspike.hw.transport import histogram
from coldspike.hw.transport.choice import WeightChoice
from coldspike.hw.transport.histogram import ChangeHistogram
from coldspike.spec.config import CoreConfig
from coldspike.spec.transport import BIN_MANTISSA, CHANGE_BITS, PROBABILITY_BITS, Values

from .bench import Bench
from .proof import Fault, Proof

__all__ = ["PROOFS"]

BINS, LANES, WORDS = 4, 2, 3
"""Of the histogram; it counts up to so many words between two clears."""
SEARCH = BINS + 4
"""Cycles of a search over two lanes."""


def total(items):
    return sum(items, Const(0, 1))


def weight_choice():
    """Words come and go; a pass begins when none is on its way."""
    bench = Bench(dut := WeightChoice(CoreConfig(lanes=LANES, weight_bits=4, weight_fraction=2)), fixed=("mode", "select"))
    m, late = bench.m, WeightChoice.LATENCY
    generators = bench.cut("random")
    on_the_way = total(bench.before(dut.en, n) for n in range(1, late)) != 0
    bench.assume(~dut.start | ~dut.en & ~on_the_way)
    bench.assume(dut.start | ~on_the_way & ~dut.en | bench.steady(dut.limit))

    word = bench.signal(dut.en & ~dut.counting, "word")
    bins = []
    for k in range(LANES):
        place = Const(0)
        for p in range(1, CHANGE_BITS - BIN_MANTISSA):
            place = Mux(dut.change[k] >= 1 << BIN_MANTISSA + p, p, place)
        bins.append(bench.signal((place << BIN_MANTISSA) + (dut.change[k] >> place), f"bin_of_{k}"))
    # What the pass has seen of ties, and how many it may choose.
    seen, quota, chosen_ties = Signal(33, name="seen"), Signal(32, name="quota"), Signal(33, name="chosen_ties")
    bench.assume(seen < 1 << 32)
    limit = [bench.before(value, late - 1) for value in bins], bench.before(dut.limit, late - 2)
    here, present = bench.before(word, late - 1), bench.before(dut.present, late - 1)
    ties = [bench.signal(present[k] & (limit[0][k] == dut.limit), f"tie_{k}") for k in range(LANES)]
    due = [bench.signal((present[k] & (limit[0][k] > dut.limit)) | (ties[k] & (seen + total(ties[:k]) < quota)), f"due_{k}")
           for k in range(LANES)]
    with m.If(dut.start):
        m.d.sync += [seen.eq(0), quota.eq(dut.remaining), chosen_ties.eq(0)]
    with m.Elif(here):
        m.d.sync += [seen.eq(seen + total(ties)), chosen_ties.eq(chosen_ties + total(t & d for t, d in zip(ties, due)))]
    bench.require(chosen_ties == Mux(seen < quota, seen, quota))
    bench.invariant(bench.state("left") == Mux(seen < quota, quota - seen, 0))

    drawn = Cat(bench.before(generators.state[k] >> 32 - PROBABILITY_BITS < dut.select, late - 1) for k in range(LANES))
    expected = {Values.ALL: present, Values.TOP_K: Cat(due), Values.RANDOM: drawn & present}
    for mode, mask in expected.items():
        bench.require(~bench.before(here) | (dut.mode != mode) | (dut.chosen == bench.before(mask)))
    bench.require(~bench.before(here) | ((dut.chosen & ~bench.before(present)) == 0))
    bench.require(~bench.before(here) | (dut.mode != Values.NONE) | (dut.chosen == 0))
    bench.require(generators.step == (word & ((dut.mode == Values.RANDOM) | (dut.mode == Values.CHANGE))))
    bench.require(dut.bin_en == bench.before(dut.en & dut.counting))
    for k in range(LANES):
        bench.require(~dut.bin_en | (dut.bin[k] == bench.before(bins[k])))
    return bench


def change_histogram():
    with patch.object(histogram, "BINS", BINS):
        bench = Bench(dut := ChangeHistogram(CoreConfig(lanes=LANES, feedback_words=WORDS)))
    m, count = bench.m, dut.count
    counted = bench.before(dut.en)
    bench.assume(~(dut.clear & dut.search))
    bench.assume(~(dut.clear | dut.search) | ~(dut.busy | dut.en | counted))
    bench.assume(~dut.en | ~dut.busy)
    bench.assume(Cat(dut.bin[k] < BINS for k in range(LANES)).all())
    words = Signal(range(WORDS + 1), name="words")
    bench.assume(~dut.en | (words < WORDS))
    with m.If(dut.clear):
        m.d.sync += words.eq(0)
    with m.Elif(dut.en):
        m.d.sync += words.eq(words + 1)

    # What lies in each bin, a cycle after the word.
    held = [[Signal(range(WORDS + 1), name=f"held_{k}_{b}") for b in range(BINS)] for k in range(LANES)]
    for k in range(LANES):
        late, present = bench.before(dut.bin[k]), bench.before(dut.present[k])
        for b in range(BINS):
            with m.If(dut.clear):
                m.d.sync += held[k][b].eq(0)
            with m.Elif(counted & present & (late == b)):
                m.d.sync += held[k][b].eq(held[k][b] + 1)
    wanted, left, clears = Signal(32, name="wanted"), Signal(range(64), name="left"), Signal(name="clears")
    with m.If(dut.clear | dut.search):
        m.d.sync += [wanted.eq(count), left.eq(Mux(dut.clear, BINS, SEARCH)), clears.eq(dut.clear)]
    with m.Elif(left != 0):
        m.d.sync += left.eq(left - 1)
    bench.assume((left == 0) | clears | (count == wanted))
    bench.require(dut.busy == (left != 0))

    sizes = [bench.signal(total(held[k][b] for k in range(LANES)), f"size_{b}") for b in range(BINS)]
    tops = [Const(0, 1)]  # how many lie in the bins from this one up, for every bin and one beyond
    for b in reversed(range(BINS)):
        tops.insert(0, bench.signal((tops[0] + sizes[b])[:6], f"top_{b}"))
    everything, above = tops[0], bench.signal(bench.chosen(tops[1:], dut.limit), "above")
    at_limit = bench.signal(bench.chosen(sizes, dut.limit), "at_limit")
    found = bench.before((left == 1) & ~clears)
    bench.require(~found | (above + Mux(dut.remaining < at_limit, dut.remaining, at_limit)
                            == Mux(wanted < everything, wanted, everything)))
    bench.require(~found | (wanted == 0) | (above < wanted))

    # Induction: the bins hold what was counted, or are about to be cleared.
    for k in range(LANES):
        for b in range(BINS):
            stored = bench.memory(f"lane_{k}", "memory", address=Const(b, range(BINS)))
            bench.invariant((stored == held[k][b]) | (clears & (b < left)))
            bench.invariant(~clears | (left == 0) | (held[k][b] == 0))
        bench.invariant(~counted | (bench.part(f"lane_{k}").r_data == bench.chosen(held[k], bench.before(dut.bin[k]))))
    # A search asks for bin left - 5, gets bin left - 4, adds bin left - 3 and compares bin left - 2.
    index, clearing, searching, below, sum_so_far, met = (
        bench.state(name) for name in ("index", "clearing", "searching", "above", "total", "found"))
    searches = bench.signal(~clears & (left != 0), "searches")
    from_here, from_next = (bench.signal(Mux(left < n, tops[0], bench.chosen(tops, left - n)), name)
                            for n, name in ((2, "from_here"), (1, "from_next")))
    bench.invariant(clearing == (clears & (left != 0)))
    bench.invariant(searching == (searches & (left >= 5)))
    bench.invariant(~(clearing | searching) | (index == Mux(clears, left - 1, left - 5)))
    for n in range(1, 5):
        inside = searches & (left >= 5 - n) & (left <= SEARCH - n)
        bench.invariant(bench.state(f"here_{n}") == inside)
        bench.invariant(~inside | (bench.state(f"place_{n}") == left - 5 + n))
    for k in range(LANES):
        data = bench.part(f"lane_{k}").r_data
        bench.invariant(~bench.state("here_1") | (data == bench.chosen(held[k], left - 4)))
    bench.invariant(~bench.state("here_2") | (bench.state("sum_0_0") == bench.chosen(sizes, left - 3)))
    bench.invariant(~searches | (sum_so_far == Mux(left > SEARCH - 2, 0, from_here)))
    bench.invariant(~bench.state("here_3") | (below == from_next))
    bench.invariant(~searches | (met == ((left <= SEARCH - 4) & (from_next >= wanted))))
    right = (above < wanted) & (wanted <= above + at_limit) & (dut.remaining == wanted - above)
    nothing = (wanted == 0) & (dut.limit == BINS - 1) & (dut.remaining == 0)
    bench.invariant(~searches | Mux(met, right | nothing, (dut.limit == 0) & (dut.remaining == wanted)))
    return bench


PROOFS = (
    Proof(name="weight-choice", build=weight_choice, depth=6, fault_depth=12,
          claim="top-K: all above the limit and the first ties, as many as remain, over the borders of words; all; random; bins; "
                "the generators step for chosen words alone",
          faults=(
              Fault(name="ties-of-a-word", file="hw/transport/choice.py",
                    old="(before[k] < left)", new="(before[k] <= left)"),
              Fault(name="left-wraps", file="hw/transport/choice.py",
                    old="Mux(count >= left, 0, left - count)", new="left - count"),
              Fault(name="absent-ties", file="hw/transport/choice.py",
                    old="(self.bin[k] == self.limit) & present[1][k]", new="(self.bin[k] == self.limit)"),
              Fault(name="counting-chooses", file="hw/transport/choice.py",
                    old="delays(m, self.en & ~self.counting,", new="delays(m, self.en,"),
          )),
    Proof(name="change-histogram", build=change_histogram, depth=4, fault_depth=24,
          claim=f"{BINS} bins, {LANES} lanes, up to {WORDS} words after a clear: limit and remaining choose min(K, n), and no bin "
                "too many; busy",
          faults=(
              Fault(name="not-transparent", file="hw/transport/histogram.py",
                    old="BINS, transparent=True)", new="BINS, transparent=False)"),
              Fault(name="goes-on", file="hw/transport/histogram.py",
                    old="& ~found & (total >= self.count)", new="& (total >= self.count)"),
              Fault(name="a-bin-too-few", file="hw/transport/histogram.py",
                    old="index.eq(BINS - 1)", new="index.eq(BINS - 2)"),
              Fault(name="absent-lanes", file="hw/transport/histogram.py",
                    old="(counting & present[k])", new="counting"),
          )),
)
