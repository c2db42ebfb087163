"""Build configuration: every size and format of one generated accelerator, in one place."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from .formats import Q
from .network import layout
from .transport import Precision

__all__ = ["CoreConfig", "Optimizer", "Rule", "Schedule"]


class Rule(StrEnum):
    """TTFS: single-spike neurons, exact gradients. SPARSE_BPTT: leaky integrate-and-fire neurons over time steps, gradients through
    active neurons. RATE: such neurons, traces of their rates, one backward pass whatever the number of steps."""

    TTFS = "ttfs"
    SPARSE_BPTT = "sparse-bptt"
    RATE = "rate"

    @property
    def code(self) -> int:
        """The rule in register RULE."""
        return list(Rule).index(self)


class Schedule(StrEnum):
    """Of rule rate. SINGLE_STEP (rate_S): the layers advance step by step, the spikes of one step are kept. MULTI_STEP (rate_M): a
    layer runs all steps before the next, and the spikes of all are kept. The numbers are the same."""

    SINGLE_STEP = "single-step"
    MULTI_STEP = "multi-step"


class Optimizer(StrEnum):
    """SGD: plain gradient step. SIGN_MOMENTUM: Lion, its momentum kept in the gradient memory."""

    SGD = "sgd"
    SIGN_MOMENTUM = "sign-momentum"


def bits_for(count: int) -> int:
    """Bits of an index that runs from 0 to ``count - 1`` (at least one)."""
    return max(1, (count - 1).bit_length())


@dataclass(frozen=True, kw_only=True)
class CoreConfig:
    """One accelerator build. The network that runs is set at run time and may be anything that fits.

    Parameters
    ----------
    lanes : multiply-accumulate lanes P; a power of two, 2 to 128.
    max_layers : weight layers, 1 to 15.
    max_neurons : neurons of the largest layer, the input layer included.
    max_outputs : neurons of the largest output layer.
    weight_tiles : tiles of lanes x lanes forward weights.
    gradient_words : words of lanes gradients (columns of all layers).
    feedback_words : words of lanes feedback weights (columns of all layers but the first).
    neuron_blocks : blocks of lanes neurons in all layers but the input layer.
    time_bits : the window T has 2**time_bits ticks; 4 to 10.
    weight_bits, weight_fraction : forward weights (signed).
    gradient_bits : gradient memory (signed; fraction derived: error_fraction + time_bits; a stream word holds one).
    error_bits, error_fraction : output errors, hidden errors and the factors g and h (signed).
    optimizer : update rule built in.
    weight_decay : builds decoupled weight decay, a product for each lane.
    gradient_memory : false builds update-every-sample: no gradient memory, SGD only, no
        overlap of forward and backward passes.
    feedback_precision : width of the feedback weights.
    partial_transport : builds the choice of single weights: top-K, random, change-weighted.
    result_words : depth of the result queue, 32-bit words.
    rules : learning rules built in, one or several; at run time register RULE chooses.
    max_steps : most time steps T of a sample; rules sparse-bptt and rate only, as the next.
    spike_entries : rule sparse-bptt: spikes of a sample, of input and hidden layers together, that the tape holds; rule rate: most
        levels and input spikes of a sample.
    schedule : order of layers and steps; rule rate only.
    job_entries : active neurons of a sample that each of the tape's two halves holds: of layers with even and with odd index; rule
        sparse-bptt only.
    rate_loss : builds losses of firing rates, a counter for each neuron; rule sparse-bptt only.
    """

    lanes: int = 16
    max_layers: int = 4
    max_neurons: int = 1024
    max_outputs: int = 32
    weight_tiles: int = 1024
    gradient_words: int = 16384
    feedback_words: int = 4096
    neuron_blocks: int = 64
    time_bits: int = 8
    weight_bits: int = 16
    weight_fraction: int = 12
    gradient_bits: int = 32
    error_bits: int = 18
    error_fraction: int = 14
    optimizer: Optimizer = Optimizer.SGD
    weight_decay: bool = True
    gradient_memory: bool = True
    feedback_precision: Precision = Precision.FULL
    partial_transport: bool = False
    result_words: int = 64
    rules: tuple[Rule, ...] = (Rule.TTFS,)
    max_steps: int = 128
    spike_entries: int = 2048
    job_entries: int = 1024
    schedule: Schedule = Schedule.SINGLE_STEP
    rate_loss: bool = False

    def __post_init__(self):
        limits = {
            "lanes": (2, 128), "max_layers": (1, 15), "max_neurons": (1, 65535), "max_outputs": (1, 4096),
            "weight_tiles": (1, 1 << 20), "gradient_words": (1, 1 << 24), "feedback_words": (1, 1 << 24),
            "neuron_blocks": (1, 1 << 16), "time_bits": (4, 10), "weight_bits": (4, 18),
            "weight_fraction": (2, 17), "gradient_bits": (8, 32), "error_bits": (8, 18),
            "error_fraction": (4, 16), "result_words": (4, 1 << 16), "max_steps": (1, 1 << 12),
            "spike_entries": (1, 65535), "job_entries": (1, 1 << 20),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise ValueError(f"{name} = {value!r}: an integer from {low} to {high} is needed")
        if self.lanes & (self.lanes - 1):
            raise ValueError(f"lanes = {self.lanes}: the lane count must be a power of two (2, 4, 8, ... 128)")
        if self.weight_fraction >= self.weight_bits:
            raise ValueError(f"weight_fraction = {self.weight_fraction} needs more than {self.weight_bits} weight bits")
        if self.error_fraction > self.error_bits - 2:
            raise ValueError(f"error_fraction = {self.error_fraction}: at most error_bits - 2 = {self.error_bits - 2}")
        object.__setattr__(self, "optimizer", Optimizer(self.optimizer))
        given = (self.rules,) if isinstance(self.rules, str) else tuple(self.rules)
        object.__setattr__(self, "rules", tuple(sorted({Rule(rule) for rule in given}, key=list(Rule).index)))
        object.__setattr__(self, "feedback_precision", Precision(self.feedback_precision))
        object.__setattr__(self, "schedule", Schedule(self.schedule))
        if self.optimizer is Optimizer.SIGN_MOMENTUM and not self.gradient_memory:
            raise ValueError("optimizer = 'sign-momentum' keeps its momentum in the gradient memory: "
                             "gradient_memory = False allows 'sgd' only")
        if not self.rules:
            raise ValueError(f"rules = (): a build has one at least, of {', '.join(Rule)}")
        if Rule.SPARSE_BPTT in self.rules and not self.gradient_memory:
            raise ValueError("rule 'sparse-bptt' adds up gradients over time steps: gradient_memory = False allows the others only")
        if self.rate_loss and Rule.SPARSE_BPTT not in self.rules:
            raise ValueError("rate_loss = True counts the spikes of neurons over time: rule 'sparse-bptt' alone has it")
        signs = self.feedback_precision is Precision.SIGN
        if not signs and (self.feedback_shift < 0 or self.feedback.max << self.feedback_shift > self.weight.max):
            raise ValueError(f"feedback_precision = '{self.feedback_precision}' ({self.feedback}) is finer or wider than the "
                             f"weights ({self.weight}): use 'full'")
        if self.partial_transport and self.feedback_precision is Precision.SIGN:
            raise ValueError("partial_transport = True chooses among values, feedback_precision = 'sign' keeps none")

    @property
    def runs_over_time(self) -> bool:
        """Whether one of the rules has time steps."""
        return bool({Rule.SPARSE_BPTT, Rule.RATE} & set(self.rules))

    # -- number formats ----------------------------------------------------------------------------
    @cached_property
    def weight(self) -> Q:
        """Forward weights."""
        return Q(bits=self.weight_bits, fraction=self.weight_fraction)

    @cached_property
    def feedback(self) -> Q:
        """Stored feedback weights; of a build that keeps signs only, 1 is negative."""
        return {
            Precision.FULL: self.weight, Precision.EIGHT: Q(bits=8, fraction=6), Precision.FOUR: Q(bits=4, fraction=4),
            Precision.SIGN: Q(bits=1, fraction=0, signed=False),
        }[self.feedback_precision]

    @property
    def feedback_shift(self) -> int:
        """Fractional bits that feedback weights lack."""
        return self.weight_fraction - self.feedback.fraction

    @cached_property
    def time(self) -> Q:
        """Time before the window's end in ticks, 0 to T inclusive (unit of the real value: T)."""
        return Q(bits=self.time_bits + 1, fraction=self.time_bits, signed=False)

    @cached_property
    def slope(self) -> Q:
        """W_j, the sum of the fired inputs' weights; the width excludes overflow."""
        return Q(bits=self.weight_bits + bits_for(self.max_neurons + 1), fraction=self.weight_fraction)

    @cached_property
    def level(self) -> Q:
        """A_j = V_j(T), the sum of w a; the width excludes overflow."""
        return Q(bits=self.weight_bits + self.time_bits + bits_for(self.max_neurons + 1),
                 fraction=self.weight_fraction + self.time_bits)

    @cached_property
    def potential(self) -> Q:
        """z_j = V_j(2T) = T W_j + A_j; the width excludes overflow."""
        return Q(bits=self.level.bits + 1, fraction=self.level.fraction)

    @cached_property
    def logit(self) -> Q:
        """Readout value that softmax and results use."""
        return Q(bits=min(32, max(self.potential.bits - self.potential.fraction + 10, 13)), fraction=10)

    @cached_property
    def factor(self) -> Q:
        """Clipped derivatives |ds/dI| and |ds/dW|."""
        return Q(bits=16, fraction=12, signed=False)

    @cached_property
    def error(self) -> Q:
        """Errors e and the backward factors g and h."""
        return Q(bits=self.error_bits, fraction=self.error_fraction)

    @cached_property
    def error_sum(self) -> Q:
        """Error accumulators, sums of B g; the width excludes overflow."""
        return Q(bits=self.weight_bits + self.error_bits + bits_for(self.max_neurons + 1),
                 fraction=self.weight_fraction + self.error_fraction)

    @cached_property
    def gradient(self) -> Q:
        """Gradient memory (saturates, counted). With sign-momentum it holds the momentum. Without a gradient
        memory: one sample's contribution, wide enough for all."""
        bits = self.gradient_bits if self.gradient_memory else self.error_bits + self.time_bits + 2
        return Q(bits=bits, fraction=self.error_fraction + self.time_bits)

    @property
    def window(self) -> int:
        """T in ticks."""
        return 1 << self.time_bits

    # -- builds ------------------------------------------------------------------------------------
    @classmethod
    def for_network(cls, layers: tuple[int, ...], **options) -> "CoreConfig":
        """Smallest build that runs ``layers``; ``options`` are further parameters."""
        lanes = options.pop("lanes", 16)
        placed = layout(tuple(layers), lanes)
        words = sum(p.words for p in placed)
        return cls(
            lanes=lanes, max_layers=len(placed), max_neurons=max(layers), max_outputs=layers[-1],
            weight_tiles=sum(p.in_blocks * p.out_blocks for p in placed), gradient_words=words,
            feedback_words=max(1, words - placed[0].words),
            neuron_blocks=sum(p.out_blocks for p in placed), **options,
        )

    def misfit(self, layers: tuple[int, ...]) -> str | None:
        """Why a network does not fit this build, or None."""
        placed = layout(tuple(layers), self.lanes)
        words = sum(p.words for p in placed)
        checks = (
            ("weight layers", len(placed), self.max_layers),
            ("neurons in the largest layer", max(layers), self.max_neurons),
            ("output neurons", layers[-1], self.max_outputs),
            ("weight tiles", sum(p.in_blocks * p.out_blocks for p in placed), self.weight_tiles),
            ("gradient words", words, self.gradient_words),
            ("feedback words", words - placed[0].words, self.feedback_words),
            ("neuron blocks", sum(p.out_blocks for p in placed), self.neuron_blocks),
        )
        for what, needed, available in checks:
            if needed > available:
                return f"network {'-'.join(map(str, layers))} needs {needed} {what}, this build has {available}"
        return None

    def as_dict(self) -> dict:
        """Plain values, for JSON and TOML."""
        plain = {k: str(v) if isinstance(v, StrEnum) else v for k, v in dataclasses.asdict(self).items()}
        return plain | {"rules": [str(rule) for rule in self.rules]}

    @classmethod
    def from_dict(cls, plain: dict) -> "CoreConfig":
        """The configuration that ``as_dict`` gave. Raises ValueError, with one line, for another release's, or what is none."""
        if not isinstance(plain, dict):
            raise ValueError("a configuration is an object")
        if different := sorted(plain.keys() ^ cls.__dataclass_fields__.keys()):
            raise ValueError(f"another release's configuration, it differs in {', '.join(different)}")
        try:
            return cls(**plain)
        except (TypeError, AttributeError) as error:
            raise ValueError(str(error)) from error

    def digest(self, *facts: str) -> int:
        """32-bit identity of this configuration together with ``facts`` (such as the register map)."""
        text = json.dumps([self.as_dict(), *facts], sort_keys=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
