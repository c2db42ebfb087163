"""Payload layouts that cross component borders, built from the configuration."""

from amaranth.hdl import Const, Shape, Value, signed, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In

from ..spec.config import CoreConfig, Rule, bits_for
from ..spec.errors import ErrorCode
from ..spec.formats import Q
from ..spec.lif import STRENGTH_BITS, SURROGATE
from ..spec.packets import Kind, Space
from ..spec.registers import GAIN_BITS, RULE_BITS, SCALE_BITS, SHIFT_BITS, STEP_BITS, TICK_BITS, WINDOW_BITS
from ..spec.transport import Precision

__all__ = ["ActiveLayout", "DescriptorLayout", "EventLayout", "LogitLayout", "NetworkLayout", "RateBoundsLayout",
           "RateLossLayout", "ResultLayout",
           "SettingsLayout", "SLOTS", "SLOT_BITS", "StepJobLayout", "StepSpikeLayout", "block_count_bits", "coded_port",
           "feedback_offset", "rule_port", "runs", "shape_of", "spike_layout", "steps_port"]

SLOTS = 4
"""Samples that may be in flight: loading, waiting, in the forward engine, in the backward engine."""

SLOT_BITS = bits_for(SLOTS)


def shape_of(q: Q) -> Shape:
    """Amaranth shape of a number format."""
    return signed(q.bits) if q.signed else unsigned(q.bits)


def rule_port(config: CoreConfig) -> dict:
    """Port ``rule``, which one runs, of a component that must know it; none in a build of one rule."""
    return {"rule": In(RULE_BITS)} if len(config.rules) > 1 else {}


def steps_port(config: CoreConfig) -> dict:
    """Port ``steps``, T, of a component that must know it; none in a build without a rule over time steps."""
    return {"steps": In(STEP_BITS)} if config.runs_over_time else {}


def coded_port(config: CoreConfig) -> dict:
    """Port ``coded``, whether spikes follow a sample's levels, of a component that must know it; none in a build without rule
    rate."""
    return {"coded": In(1)} if Rule.RATE in config.rules else {}


def runs(config: CoreConfig, holder, rule: Rule) -> Value:
    """Whether ``rule`` runs: of a build of one rule a constant, else as ``holder.rule`` says, the settings' or a port."""
    if len(config.rules) == 1 or rule not in config.rules:
        return Const(rule in config.rules)
    return holder.rule == rule.code


class LogitLayout(data.StructLayout):
    """Register LOGIT of rule sparse-bptt."""

    def __init__(self):
        super().__init__({"over_time": 1, "gain": GAIN_BITS, "scale": SCALE_BITS})


class RateBoundsLayout(data.StructLayout):
    """Register RATE_BOUNDS of rule sparse-bptt."""

    def __init__(self):
        super().__init__({"least": 16, "most": 16})


class RateLossLayout(data.StructLayout):
    """A register RATE_LOSS_l of rule sparse-bptt."""

    def __init__(self):
        super().__init__({"lower": STRENGTH_BITS, "upper": STRENGTH_BITS})


class SettingsLayout(data.StructLayout):
    """Values of the CONFIG registers (names as in spec/registers.py, lower case, arrays where numbered, by l - 1)."""

    def __init__(self, config: CoreConfig):
        rate = data.StructLayout({"mantissa": 8, "shift": 5})
        partial = config.partial_transport
        transport = data.StructLayout({"signs": 2, "every_update": 1, "values": 3 if partial else 1})
        super().__init__({
            "layers": 4,
            **({"rule": RULE_BITS} if len(config.rules) > 1 else {}),
            **({"readout": 1, "level_clip": 16, "slope_clip": 16} if Rule.TTFS in config.rules else {}),
            **({"steps": STEP_BITS} if config.runs_over_time else {}),
            **({"coding": 1, "ticks": TICK_BITS} if Rule.RATE in config.rules else {}),
            **({"window": WINDOW_BITS, "logit": LogitLayout(), "gradients": 2,
                "error_shift": data.ArrayLayout(SHIFT_BITS, config.max_layers - 1)} if Rule.SPARSE_BPTT in config.rules else {}),
            **({"rate_bounds": RateBoundsLayout(), "rate_loss": data.ArrayLayout(RateLossLayout(), config.max_layers - 1)}
               if config.rate_loss else {}),
            "interval": 32,
            "interval_start": 32,
            "size": data.ArrayLayout(16, config.max_layers + 1),
            "rate": data.ArrayLayout(rate, config.max_layers),
            **({"decay": data.ArrayLayout(16, config.max_layers)} if config.weight_decay else {}),
            "transport": data.ArrayLayout(transport, config.max_layers),
            **({"select": data.ArrayLayout(32, config.max_layers)} if partial else {}),
            **({"scale": data.ArrayLayout(config.weight.bits - 1, config.max_layers)}
               if config.feedback_precision is Precision.SIGN else {}),
        })


class NetworkLayout(data.StructLayout):
    """The started network: sizes and memory layout (spec/network.py). Arrays over neurons' layers are indexed
    by l = 0 .. max_layers, arrays over weight layers by l - 1. Entries past ``layers`` are meaningless. ``outputs`` is the
    size of the last layer."""

    def __init__(self, config: CoreConfig):
        n = config.max_layers
        super().__init__({
            "layers": 4,
            "outputs": 16,
            "size": data.ArrayLayout(16, n + 1),
            "blocks": data.ArrayLayout(block_count_bits(config), n + 1),
            "tile_base": data.ArrayLayout(bits_for(config.weight_tiles), n),
            "column_base": data.ArrayLayout(bits_for(config.gradient_words), n),
            "block_base": data.ArrayLayout(bits_for(config.neuron_blocks), n),
        })


class DescriptorLayout(data.StructLayout):
    """One packet, checked and ready to be carried out in order. ``count`` payload words wait in the payload queue."""

    def __init__(self):
        super().__init__({
            "kind": Kind,
            "status": ErrorCode,
            "train": 1,
            "space": Space,
            "layer": 4,
            "label": 16,
            "column": 16,
            "count": 16,
            "slot": range(SLOTS),
            "sequence": 32,
        })


class EventLayout(data.StructLayout):
    """A spike on its way to the next layer, or the end of its layer (``end``; index and time meaningless)."""

    def __init__(self, config: CoreConfig):
        super().__init__({"index": bits_for(config.max_neurons), "time": config.time.bits, "end": 1})


class ActiveLayout(data.StructLayout):
    """Active-list entry: neuron and clipped derivatives |ds/dI|, |ds/dW| (UQ4.12)."""

    def __init__(self, config: CoreConfig):
        super().__init__({"index": bits_for(config.max_neurons), "level_factor": config.factor.bits,
                          "slope_factor": config.factor.bits})


class StepSpikeLayout(data.StructLayout):
    """Spike of neuron ``index`` in time step ``step``, of a rule that runs over time."""

    def __init__(self, config: CoreConfig):
        super().__init__({"step": bits_for(config.max_steps), "index": bits_for(config.max_neurons)})


class StepJobLayout(data.StructLayout):
    """Active neuron ``index`` at potential V[step]: ``value`` is its surrogate derivative g (UQ0.16) and, once the error sweep came
    past, its job's error c[step - 1] (docs/numerics.md, "Sparse BPTT: backward"). Of output neurons, jobs only."""

    def __init__(self, config: CoreConfig):
        super().__init__({"step": bits_for(config.max_steps + 1), "index": bits_for(config.max_neurons),
                          "value": signed(max(config.error.bits, SURROGATE.bits + 1))})


class ResultLayout(data.StructLayout):
    """A word of a result packet."""

    def __init__(self):
        super().__init__({"data": 32, "last": 1})


def block_count_bits(config: CoreConfig) -> int:
    """Bits of a number of blocks in one layer."""
    return bits_for(-(-config.max_neurons // config.lanes) + 1)


def feedback_offset(config: CoreConfig, network: data.View):
    """What a word's feedback address lies below its gradient address: the first layer's words, which have no feedback."""
    return network.column_base[1] if config.max_layers > 1 else 0


def spike_layout(config: CoreConfig) -> data.ArrayLayout:
    """A tape word: for each lane, whether the neuron fired and how long before the window's end."""
    return data.ArrayLayout(data.StructLayout({"time": config.time.bits, "fired": 1}), config.lanes)
