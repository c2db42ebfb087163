"""Deliberate faults, each with the cheapest comparison or test that must find it."""

from dataclasses import dataclass

from tests import faulty

__all__ = ["FAULTS", "Check", "Fault", "UnitTest"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """A comparison of RTL and golden model; parameters as those of ``coldspike verify``, ``over_time`` and ``rate`` those of
    OverTimeOptions and RateOptions as pairs of name and value, for rules sparse-bptt and rate."""

    layers: tuple[int, ...] = (7, 2, 5, 3)
    lanes: int = 2
    batches: int = 6
    batch_size: int = 4
    interval: int = 2
    seed: int = 1
    stall: float = 0.0
    readout: str = "potential"
    optimizer: str = "sgd"
    weight_decay: bool = True
    gradient_memory: bool = True
    gradient_bits: int = 32
    partial_transport: bool = False
    scheme: tuple = ()
    over_time: tuple = ()
    rate: tuple = ()
    rules: tuple[str, ...] = ()

    def words(self) -> str:
        """What sets it apart, for people."""
        parts = ["-".join(map(str, self.layers)), f"{self.lanes} lanes", self.readout, self.optimizer]
        parts += ["no gradient memory"] * (not self.gradient_memory) + ["no weight decay"] * (not self.weight_decay)
        parts += [" of ".join(self.scheme[1::-1])] * bool(self.scheme)
        parts += [f"build of {' and '.join(self.rules)}"] * bool(self.rules)
        given = {"sparse-bptt": self.over_time, "rate": self.rate}
        parts += [f"{rule} over {dict(pairs)['steps']} steps" for rule, pairs in given.items() if pairs]
        parts += [f"{name} {value}" for name, value in (("batches", self.batches), ("seed", self.seed), ("stall", self.stall))
                  if value != getattr(Check, name)]
        return ", ".join(parts)


@dataclass(frozen=True, kw_only=True)
class UnitTest:
    """A file of tests, for what stands beside the accelerator, where no comparison of devices gets to."""

    file: str

    def words(self) -> str:
        """The file, for people."""
        return self.file


@dataclass(frozen=True, kw_only=True)
class Fault(faulty.Fault):
    """``why`` says what breaks, ``check`` must find it."""

    why: str
    check: Check | UnitTest


SGD = Check()  # the hidden layers have one and three blocks of lanes, the last one not full
OTHER_SEED = Check(seed=2)  # hidden layers in which no neuron fires; no decay, columns are skipped
SCHEMES = Check(layers=(9, 7, 5, 4, 3), batches=8, partial_transport=True,
                scheme=("fbp-signs,fbp,fbp-signs", "random,change,top-k", (0.2,), (0.3,), (0.5,)))
# Transport that outlasts the next forward pass, most of whose changes are nothing: ties.
TOP_K = Check(layers=(9, 7, 5, 4, 3), batches=8, interval=1, partial_transport=True, scheme=("fbp", "top-k", (0.9,)))
SPIKE_TIME = Check(readout="spike-time")
MOMENTUM = Check(layers=(7, 5, 3), optimizer="sign-momentum", gradient_bits=24)
NO_DECAY = Check(layers=(7, 5, 3), optimizer="sign-momentum", weight_decay=False)
EVERY_SAMPLE = Check(layers=(7, 5, 3), gradient_memory=False)
FOUR_LANES = Check(layers=(6, 5, 3), lanes=4)
SPARSE = Check(layers=(6, 5, 3), lanes=4, readout="spike-time", batch_size=1, batches=12, seed=2)  # last columns are skipped
# Hidden layers of one and of several blocks, steps enough for decays of many lengths; with a tape that most samples overflow.
STEPS = (("steps", 24), ("tau", 6.0), ("window", 0.6), ("over_time", "max"))
OVER_TIME = Check(layers=(7, 9, 3, 4), batches=8, over_time=STEPS)
SHORT_TAPE = Check(layers=(7, 9, 3, 4), batches=8, over_time=(*STEPS, ("spike_entries", 200), ("job_entries", 60)))
BOTH = Check(layers=(7, 9, 3, 4), batches=6, over_time=STEPS, rules=("ttfs", "sparse-bptt"))
# Hidden layers of several blocks behind each other; currents step by step, spikes layer by layer.
RATE = Check(layers=(7, 9, 5, 4), batches=8, rate=(("steps", 5), ("leak", 0.4)))
LONG_SCAN = Check(layers=(3, 33, 2, 4), batches=8, rate=(("steps", 1),))
RATE_CODED = Check(layers=(7, 9, 5, 4), batches=8,
                   rate=(("steps", 4), ("leak", 0.4), ("coding", "spikes"), ("schedule", "multi-step")))
BY_SPIKES = Check(layers=(7, 9, 3, 4), batches=8, over_time=(*STEPS, ("gradients", "spikes")))

OVER_TIME_FAULTS = [
    Fault(name="no-reset", file="hw/forward/leaky_accumulator.py", check=OVER_TIME, old="Mux(fired, reset, half)", new="half",
          why="what fires keeps its potential"),
    Fault(name="no-error-decay", file="hw/backward/error_sweep.py", check=OVER_TIME,
          old="decays.eq(loaded & (after.step != next_job.step))", new="decays.eq(0)", why="errors do not fade between steps"),
    Fault(name="look-later", file="hw/backward/error_sweep.py", check=OVER_TIME,
          old="taken.steps.eq(u - next_look.step)", new="taken.steps.eq(u - next_look.step + 1)",
          why="an active neuron sees errors as of a step before its own"),
    Fault(name="trace-rounding", file="hw/backward/decayed_lanes.py", check=OVER_TIME,
          old="seen.eq(round_shift(products.product[k], DECAY.fraction))", new="seen.eq(products.product[k] >> DECAY.fraction)",
          why="decayed sums are rounded down"),
    Fault(name="delta-shift", file="hw/backward/decayed_lanes.py", check=BY_SPIKES,
          old="Mux(self.by_spikes, values[6] << trace.fraction, trace.one)", new="Mux(self.by_spikes, values[6], trace.one)",
          why="errors lack the fractional bits of gradients"),
    Fault(name="delta-order", file="hw/backward/gradient_sweep.py", check=BY_SPIKES,
          old="Mux(by_spikes, ~early, early)", new="Mux(by_spikes, spike.step + 1 >= job.step, early)",
          why="an input spike misses the errors of its own step"),
    Fault(name="gradient-row", file="hw/backward/transposable_gradients.py", check=BY_SPIKES,
          old="(word.index ^ Mux(word.row, 0, bank))", new="Mux(word.row, 0, word.index ^ bank)",
          why="contributions of an input spike reach another input's weights"),
    Fault(name="form-choice", file="hw/backward/step_engine.py", check=OVER_TIME,
          old="(by_active > by_spike)", new="(by_active < by_spike)", why="gradients are summed in the form with more additions"),
    Fault(name="overflow-learned", file="hw/backward/step_engine.py", check=SHORT_TAPE,
          old="with m.If(self.overflow):", new="with m.If(0):", why="a sample that lost spikes is learned from"),
    Fault(name="model-halves", file="model/exact/over_time.py", check=SHORT_TAPE,
          old="active.append(halves[l % 2].keep(entries))", new="active.append(halves[0].keep(entries))",
          why="all hidden layers' active neurons share one half of the tape"),
    Fault(name="timing-trace", file="model/timing_over_time.py", check=OVER_TIME,
          old="known = begin + at.SUM_WRITTEN - index // lanes", new="known = begin + at.SUM_WRITTEN",
          why="a reading is thought to wait for a sum that it reaches later"),
]

RATE_FAULTS = [
    Fault(name="rate-reset", file="hw/forward/trace_pass.py", check=RATE,
          old="rest.eq(Mux(held > membrane.one, held - membrane.one, held))", new="rest.eq(held)",
          why="what fires keeps its potential"),
    Fault(name="rate-counts", file="hw/forward/trace_pass.py", check=RATE, old="Mux(fresh[k], 0, counts.r_data[k]) + fired[k]",
          new="counts.r_data[k] + fired[k]", why="spikes are counted on from the sample before"),
    Fault(name="rate-bins", file="hw/forward/trace_pass.py", check=RATE, old="entry = (distance << BIN_BITS) >> membrane.fraction",
          new="entry = ((distance + 1) << BIN_BITS) >> membrane.fraction", why="the surrogate table begins a unit early"),
    Fault(name="rate-profile", file="hw/forward/rate_engine.py", check=RATE, old="profile.r_addr.eq(step + 1)",
          new="profile.r_addr.eq(step)", why="a step weighs what the one before should"),
    Fault(name="rate-list", file="hw/forward/rate_engine.py", check=RATE,
          old="least = formats.eligibility.fraction - c.factor.fraction - 1",
          new="least = formats.eligibility.fraction - c.factor.fraction + 4",
          why="neurons of small eligibility are not scanned"),
    Fault(name="rate-pass-early", file="hw/forward/rate_engine.py", check=RATE, old="LEAD = TracePass.DEPTH ",
          new="LEAD = TracePass.DEPTH - 1 ", why="neurons are scanned before their traces are written"),
    Fault(name="rate-masks", file="hw/forward/rate_engine.py", check=RATE_CODED, old="Cat(scan.r_addr[0], step)",
          new="Cat(scan.r_addr[0], written)", why="a step hears the spikes of another"),
    Fault(name="rate-levels", file="hw/io/packet_decoder.py", check=RATE_CODED, old="tape.i.valid.eq(good & taped & level)",
          new="tape.i.valid.eq(good & taped)", why="spikes are written to the tape of levels"),
    Fault(name="model-rate-rounding", file="model/exact/traces.py", check=RATE,
          old="round_shift(rest * leak, DECAY.fraction)", new="(rest * leak >> DECAY.fraction)", why="leaks are rounded down"),
    Fault(name="model-rate-list", file="model/exact/rate.py", check=RATE, old="fired, factor > 0, factor, factor, no, no",
          new="fired, fired, factor, factor, no, no", why="only neurons that fired pass gradient"),
    Fault(name="timing-rate-pass", file="model/timing_rate.py", check=RATE, old="idle, opened = start + blocks + at.TRACE_DEPTH",
          new="idle, opened = start + at.TRACE_DEPTH", why="a pass is thought to be over before its last block"),
    Fault(name="timing-rate-scan", file="model/timing_rate.py", check=LONG_SCAN, old="start = np.maximum(start, through)",
          new="start = np.maximum(start, 0)", why="a layer's scan is not thought to wait for the one before"),
]

HARDWARE = [
    Fault(name="saturate", file="hw/arithmetic/rounding.py", check=SGD,
          old="return Mux(value > q.max, q.max, Mux(", new="return Mux(value > q.max, q.max - 1, Mux(",
          why="the largest value is one unit too small"),
    Fault(name="round-half", file="hw/arithmetic/rounding.py", check=SGD,
          old="(value + (1 << (amount - 1))) >> amount", new="value >> amount", why="rounds down instead of to nearest"),
    Fault(name="divider-remainder", file="hw/arithmetic/reciprocal.py", check=Check(batches=24),
          old="remainder.eq(1 << (BITS - 1))", new="remainder.eq((1 << (BITS - 1)) - 1)",
          why="some quotients are a unit or two of 18 bits too small"),
    Fault(name="xorshift", file="hw/arithmetic/random_lanes.py", check=SGD,
          old="left, right, again = XORSHIFT", new="left, right, again = 13, 17, 6", why="another random sequence"),
    Fault(name="transposable-index", file="hw/memory/transposable.py", check=FOUR_LANES,
          old="w_row.eq(Mux(writing[2], w_indices[2], self.s_index) ^ bank)",
          new="w_row.eq(Mux(writing[2], ~w_indices[2], self.s_index) ^ bank)", why="columns are written to other rows"),
    Fault(name="scan-last-lane", file="hw/forward/scan.py", check=SGD,
          old="(((block << low) | k) < count)", new="(((block << low) | k) <= count)",
          why="a neuron too many in a block that is not full"),
    Fault(name="accumulator-first", file="hw/forward/accumulator.py", check=SGD,
          old="slope.eq(Mux(fresh[k], 0, slope_sums.r_data[k]) + weight)",
          new="slope.eq(slope_sums.r_data[k] + weight)",
          why="sums of the sample before stay"),
    Fault(name="accumulator-forwarding", file="hw/memory/lane_ram.py", check=SGD,
          old="self.r_en & w_en & (self.r_addr == w_addr)", new="self.r_en & w_en",
          why="a sum is taken for that of another block"),
    Fault(name="accumulator-behind", file="hw/memory/lane_ram.py", check=SGD,
          old="for late in range(1 + behind)]", new="for late in (0,) * (1 + behind)]",
          why="a sum that waits to be written is not found"),
    Fault(name="scan-address", file="hw/forward/lane_scan.py", check=Check(layers=(6, 13, 3)),
          old="address.eq(addresses[0] + read)", new="address.eq(addresses[0] + 1)", why="a waiting scan skips blocks"),
    Fault(name="accumulator-early", file="hw/forward/accumulator.py", check=SGD,
          old="memory.w_en.eq(pipe[arrived - ahead + 1].issue)", new="memory.w_en.eq(pipe[arrived - ahead].issue)",
          why="sums are written before their event's weight came"),
    Fault(name="rest-of-the-window", file="hw/forward/rule.py", check=SGD,
          old="(1 << digits - 1) - 1 - product)", new="-product)",
          why="the time is rounded up where it is taken from 2 T"),
    Fault(name="accumulator-transparent", file="hw/forward/accumulator.py", check=SGD,
          old="transparent=True, second=True", new="transparent=False, second=True",
          why="an event reads the sum before the last one was added, in layers of one block"),
    Fault(name="fires-at-zero", file="hw/forward/rule.py", check=SGD,
          old="saturated | (z >= 0)", new="saturated | (z > 0)", why="a potential that just reaches the threshold does not fire"),
    Fault(name="clip", file="hw/forward/rule.py", check=SGD,
          old="Mux(over, self.slope_clip, factor)", new="factor", why="large derivatives are not clipped"),
    Fault(name="clip-inference", file="hw/forward/engine.py", check=SGD,
          old="rule.spike.slope_clipped & sample.train)", new="rule.spike.slope_clipped)",
          why="clips of inference samples are counted"),
    Fault(name="tape-stale", file="hw/forward/tape_writer.py", check=SGD,
          old="with m.If(self.start | self.en):", new="with m.If(self.start):", why="spikes of a block show up in the next one"),
    Fault(name="readout-tie", file="hw/readout/softmax.py", check=SPIKE_TIME,
          old="self.spike.logit > best", new="self.spike.logit >= best", why="the last of equal logits wins"),
    Fault(name="readout-longer", file="hw/readout/softmax.py", check=SGD,
          old="wait.eq(pause)]", new="wait.eq(pause + 1)]", why="right results, a cycle late"),
    Fault(name="feed-rounding", file="hw/backward/feed.py", check=SGD,
          old="round_shift(summed, c.weight.fraction), Signal", new="summed >> c.weight.fraction, Signal",
          why="hidden errors are rounded down"),
    Fault(name="error-saturation", file="hw/backward/feed.py", check=SGD,
          old="Mux(self.output, direct, saturate(rounded, q))", new="Mux(self.output, direct, rounded)",
          why="large hidden errors wrap"),
    Fault(name="silent-input", file="hw/backward/lanes.py", check=SGD,
          old="fired.eq(spike.fired)", new="fired.eq(1)", why="silent neurons' weights get a gradient"),
    Fault(name="gradient-saturation", file="hw/backward/gradient_memory.py", check=MOMENTUM,
          old="Mux(added_here[k], saturate(total, c.gradient),", new="Mux(added_here[k], total,", why="large gradients wrap"),
    Fault(name="decay", file="hw/update/optimizers.py", check=SGD,
          old="shrink[0].eq(self.weight[k] * self.decay)", new="shrink[0].eq(0)", why="weights do not decay"),
    Fault(name="momentum-rounding", file="hw/update/optimizers.py", check=MOMENTUM,
          old="(sign[2].negative & product", new="(~sign[2].negative & product", why="momentum is rounded away from zero"),
    Fault(name="momentum-step", file="hw/update/optimizers.py", check=NO_DECAY,
          old="Mux(sign[2].negative, down, up)", new="Mux(sign[1].negative, down, up)", why="a step goes against its momentum"),
    Fault(name="walker-skip", file="hw/control/column_walker.py", check=SPARSE,
          old="skipped.eq(self.skip)", new="skipped.eq(self.skip & following.valid & ahead.valid)",
          why="the last column is never skipped"),
    Fault(name="touched-stays", file="hw/update/engine.py", check=SGD,
          old="touched.drop_en.eq(walker.valid)", new="touched.drop_en.eq(0)",
          why="columns that moved once are never skipped again"),
    Fault(name="transport-address", file="hw/transport/path.py", check=SGD,
          old="address.eq(self.word.address - self.offset)", new="address.eq(self.word.address - self.offset + 1)",
          why="feedback weights land one word further"),
    Fault(name="transport-unwaited", file="hw/rules/one_shot.py", check=TOP_K,
          old='"backward_ready": ~backward.busy & ~core.transport.busy', new='"backward_ready": ~backward.busy',
          why="the backward pass meets feedback weights on their way"),
    Fault(name="transport-port", file="hw/memory/transposable.py", check=FOUR_LANES,
          old="Mux(reading[1], index, self", new="Mux(reading[1], ~index, self",
          why="columns read for transport come with their lanes exchanged"),
    Fault(name="transport-ties", file="hw/transport/choice.py", check=TOP_K,
          old="before[k] < left", new="before[k] <= left", why="a tie too many is copied"),
    Fault(name="transport-bin", file="hw/transport/choice.py", check=TOP_K,
          old="above[k].eq(self.bin[k] > self.limit)", new="above[k].eq(self.bin[k] >= self.limit)",
          why="all ties are copied"),
    Fault(name="transport-generators", file="hw/transport/path.py", check=SCHEMES,
          old="Mux(self.values, self.mode, Values.NONE)", new="self.mode", why="generators step when signs alone are copied"),
    Fault(name="transport-signs", file="hw/transport/precision.py", check=SCHEMES,
          old="keeps = (stored < 0) == (weight < 0)", new="keeps = (stored < 0) | (weight > 0)",
          why="negative signs stay"),
    Fault(name="early-start", file="hw/control/sequencer.py", check=EVERY_SAMPLE,
          old="can_overlap = settled | (~runs(self._config, self, Rule.SPARSE_BPTT) if self._config.gradient_memory else 0)",
          new="can_overlap = 1",
          why="without a gradient memory a sample starts before the weights of the one before are written"),
    Fault(name="overlap-of-both", file="hw/control/sequencer.py", check=BOTH,
          old="~runs(self._config, self, Rule.SPARSE_BPTT) if self", new="1 if self",
          why="beside rule ttfs a sample over time begins before the one before it is through"),
    Fault(name="active-before", file="hw/control/sequencer.py", check=UnitTest(file="tests/hw/control/test_sequencer.py"),
          old="since.eq(0)", new="since.eq(since)", why="a layer that was active once is so for ever"),
    Fault(name="columns-of-both", file="hw/rules/one_shot.py", check=BOTH, old="Cat(word.tile, word.column, Const(0, 1))",
          new="Cat(word.tile, word.column, Const(1, 1))", why="rule ttfs adds its gradients to rows"),
    Fault(name="lists-of-both", file="hw/io/memory_access.py", check=BOTH, old="listed = runs(c, self, Rule.SPARSE_BPTT) & ",
          new="listed = ", why="spikes of rule ttfs are read as a list"),
    Fault(name="lanes-of-both", file="hw/rules/units.py", check=BOTH, old="mine.eq(of_running(config, settings, owners, values))",
          new="mine.eq(of_running(config, settings, owners, values) if gathered is Out else values[0])",
          why="rule ttfs keeps the lanes while the other one runs"),
]

MODEL = [
    Fault(name="model-fires-at-zero", file="model/exact/forward.py", check=SGD,
          old="timed = ~saturated & (potential >= 0)", new="timed = ~saturated & (potential > 0)",
          why="a potential that just reaches the threshold does not fire"),
    Fault(name="model-active", file="model/exact/forward.py", check=SGD,
          old="timed & (a > 0) & (a < window)", new="timed & (a < window)",
          why="neurons that fire at the window's end pass gradient"),
    Fault(name="model-first-maximum", file="model/exact/readout.py", check=SPIKE_TIME,
          old="torch.from_numpy(np.argmax(logit.numpy(), axis=1))",
          new="logit.shape[1] - 1 - torch.from_numpy(np.argmax(logit.numpy()[:, ::-1], axis=1))",
          why="the last of equal logits wins"),
    Fault(name="model-exponential", file="model/exact/readout.py", check=Check(batches=24),
          old="EXP_LOW[difference & 127] + (1 << 16)", new="EXP_LOW[difference & 127]", why="exponentials are rounded down"),
    Fault(name="model-error-rounding", file="model/exact/backward.py", check=SGD,
          old="saturate(round_shift(error_sum, config.weight_fraction), config.error)",
          new="saturate(error_sum >> config.weight_fraction, config.error)", why="hidden errors are rounded down"),
    Fault(name="model-momentum", file="model/exact/update.py", check=MOMENTUM,
          old="product.add_(towards_zero)", new="product", why="negative momentum is rounded away from zero"),
    Fault(name="model-interval", file="model/exact/transport.py", check=SGD,
          old="            self.position = 0\n", new="            self.position = 1\n", why="the second transport comes early"),
    Fault(name="model-touched", file="model/exact/one_shot.py", check=SGD,
          old="self.touched[l - 1] |= listed.any(0)", new="self.touched[l - 1] |= listed.all(0)",
          why="a column moves only if all samples of the batch reached it"),
    Fault(name="model-clip-inference", file="model/exact/ttfs.py", check=SGD,
          old='        if train:\n            self.counters["LEVEL_CLIPS"]',
          new='        if True:\n            self.counters["LEVEL_CLIPS"]',
          why="clips of inference samples are counted"),
    Fault(name="model-padding-lanes", file="model/exact/update.py", check=EVERY_SAMPLE,
          old="u = (states >> np.uint32(32 - ROUNDING_BITS))", new="u = (states >> np.uint32(31 - ROUNDING_BITS) & 0xFFFF)",
          why="other bits of the random states round"),
]

TIMING = [
    Fault(name="timing-null-event", file="model/timing.py", check=OTHER_SEED,
          old="np.where(events > 0, 1, blocks)", new="np.where(events > 0, 1, 1)",
          why="a layer without events is thought to take one cycle"),
    Fault(name="timing-empty-block", file="model/timing.py", check=OTHER_SEED,
          old="slots = np.maximum(fired, 1)", new="slots = fired", why="a block without spikes is thought to take no cycle"),
    Fault(name="timing-overlap", file="model/timing.py", check=EVERY_SAMPLE,
          old="self.forward_free if config.gradient_memory else max(self.forward_free, self.settled + 1)", new="self.forward_free",
          why="samples are thought to overlap without a gradient memory"),
    Fault(name="timing-exposed", file="model/timing.py", check=TOP_K,
          old="hidden += self._under_transport(scan, through)", new="hidden += 0",
          why="the output scan is not thought to hide transport"),
    Fault(name="timing-drain", file="model/timing.py", check=SPARSE,
          old="max(0, at.UPDATE_DRAIN - record.skipped_tail)", new="at.UPDATE_DRAIN",
          why="skipped columns are not thought to hide the pipeline's drain"),
]

UART, FRAMES, QUEUE, LINK = (UnitTest(file=f"tests/hw/link/test_{name}.py")
                             for name in ("uart", "frames", "replay_queue", "serial_link"))

LINK_FAULTS = [
    Fault(name="link-stop-bit", file="hw/link/uart_receiver.py", check=UART, old="self.valid.eq(rx)", new="self.valid.eq(1)",
          why="a byte without stop bit is taken"),
    Fault(name="link-crc", file="hw/link/frame_receiver.py", check=FRAMES, old="crc.match_detected & (count == CRC_BYTES)",
          new="(count == CRC_BYTES)", why="a frame that was changed on the wire is taken"),
    Fault(name="link-rewind", file="hw/link/replay_queue.py", check=QUEUE, old="fetched.eq(released), loaded.eq(0)",
          new="loaded.eq(0)", why="words of a lost reply do not come again"),
    Fault(name="link-rollback", file="hw/link/request_server.py", check=LINK, old="self.rollback.eq(self.end)",
          new="self.rollback.eq(0)", why="words of a broken frame arrive with the next one's"),
    Fault(name="link-twice", file="hw/link/request_server.py", check=LINK,
          old="last.eq(asked.sequence), kind.eq(asked.kind), count.eq(0)]",
          new="last.eq(asked.sequence - 1), kind.eq(asked.kind), count.eq(0)]",
          why="a request that is sent again is carried out again"),
    Fault(name="link-clear", file="hw/link/serial_link.py", check=LINK, old="outbound.clear.eq(server.clear)",
          new="outbound.clear.eq(0)", why="results from before a HELLO come after it"),
]

FAULTS = HARDWARE + MODEL + TIMING + OVER_TIME_FAULTS + RATE_FAULTS + LINK_FAULTS
