"""The register map: one description for RTL, driver, documentation and JSON. 32-bit registers, byte addresses."""

import json
from dataclasses import dataclass
from enum import StrEnum

from .config import CoreConfig, Rule
from .lif import STRENGTH_BITS
from .transport import PROBABILITY_BITS, TEMPERATURE_BITS, TEMPERATURE_FRACTION, LayerTransport, Precision

__all__ = ["DECAY_BITS", "GAIN_BITS", "RULE_BITS", "SCALE_BITS", "SHIFT_BITS", "STEP_BITS", "TICK_BITS", "VERSION", "WINDOW_BITS",
           "Access", "Control", "Field", "Interrupt", "Register", "core_digest", "counters", "register_map"]

VERSION = 2


class Access(StrEnum):
    """READ_ONLY: set by the core. CONFIG: written by the host while stopped (else error BUSY).
    ALWAYS: written by the host at any time. COMMAND: writing ones acts, reads as zero."""

    READ_ONLY = "ro"
    CONFIG = "config"
    ALWAYS = "rw"
    COMMAND = "command"


@dataclass(frozen=True, kw_only=True)
class Field:
    """Bits ``low`` to ``low + bits - 1`` of a register."""

    name: str
    low: int
    bits: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Register:
    """One register. A 64-bit counter is a pair NAME (low half) and NAME_HI."""

    name: str
    address: int
    access: Access
    text: str
    fields: tuple[Field, ...] = ()
    reset: int = 0
    bits: int = 32


class Control:
    """Bit positions of CONTROL."""

    START, STOP, CLEAR_ERROR, CLEAR_COUNTERS = range(4)


class Interrupt:
    """Bit positions of INTERRUPT_ENABLE and INTERRUPT_STATUS."""

    BATCH, ERROR = range(2)


def counters(config: CoreConfig) -> list[tuple[str, str]]:
    """Names and meanings of the 64-bit event counters, in address order."""
    named = [
        ("TOTAL_CYCLES", "cycles in which a sample, an update or a transport was being worked on"),
        ("FORWARD_CYCLES", "cycles the forward engine worked, waiting excluded"),
        ("READOUT_CYCLES", "cycles the readout computed output errors, waiting excluded"),
        ("BACKWARD_CYCLES", "cycles the backward engine worked"),
        ("UPDATE_CYCLES", "cycles of weight updates"),
        ("TRANSPORT_CYCLES", "cycles of weight transport"),
        ("EXPOSED_CYCLES", "cycles of weight transport in which the forward engine did not work"),
        ("SAMPLES_TRAINED", "training samples"),
        ("SAMPLES_INFERRED", "inference samples"),
        ("UPDATES", "weight updates"),
        ("TRANSPORTS", "updates after which weights were transported"),
        ("WEIGHTS_READ", "weights that transport looked at"),
        ("WEIGHTS_TRANSPORTED", "weights whose value was copied into the feedback memory"),
        ("SIGNS_TRANSPORTED", "weights whose sign alone was copied into the feedback memory"),
        ("TRANSPORT_WORDS", "words of P weights read for transport"),
        ("FEEDBACK_WORDS", "words of P feedback weights written by transport"),
        ("LEVEL_CLIPS", "active neurons whose |ds/dI| was clipped (training samples)"),
        ("SLOPE_CLIPS", "active neurons whose |ds/dW| was clipped (training samples)"),
        ("ERROR_SATURATIONS", "values e, g or h that saturated (sparse-bptt: c, and decaying error sums)"),
        ("GRADIENT_SATURATIONS", "gradient accumulations that saturated"),
        ("WEIGHT_SATURATIONS", "weight updates that saturated"),
        ("PACKETS_DROPPED", "packets dropped as bad"),
    ]
    if Rule.TTFS not in config.rules:
        named = [each for each in named if each[0] not in ("LEVEL_CLIPS", "SLOPE_CLIPS")]
    if config.runs_over_time:
        named.append(("MEMBRANE_SATURATIONS", "membrane potentials that saturated, all samples"))
    if Rule.SPARSE_BPTT in config.rules:
        named += [("OVERFLOWS", "samples that found no room on the tape: not learned from, and spikes lost"),
                  ("GRADIENT_WORDS", "words of P gradients that contributions were added to")]
    named += [(f"EVENTS_{l}", f"spikes of layer {l} {'(input events)' if l == 0 else ''}".strip() + ", all samples")
              for l in range(config.max_layers)]
    named += [(f"ACTIVE_{l}", f"active neurons of weight layer {l} walked by the backward engine (output layer included)")
              for l in range(1, config.max_layers + 1)]
    return named


COUNTER_BASE = 0x200
DECAY_BITS = 16
RULE_BITS, STEP_BITS, WINDOW_BITS, GAIN_BITS, SCALE_BITS, SHIFT_BITS, TICK_BITS = 2, 13, 19, 4, 5, 6, 19


def transport_registers(config: CoreConfig, l: int) -> list[Register]:
    """The scheme of weight layer l >= 2 (spec/transport.py)."""
    cfg, partial = Access.CONFIG, config.partial_transport
    codes = "0 none, 1 all" + ", 2 top-K, 3 random, 4 change-weighted" * partial
    out = [Register(
        name=f"TRANSPORT_{l}", address=0x100 + 4 * l, access=cfg, bits=6 if partial else 4,
        reset=LayerTransport().register, text=f"transport into the feedback weights of weight layer {l}", fields=(
            Field(name="SIGNS", low=0, bits=2, text="signs are copied: 0 never, 1 after every update, 2 at the interval"),
            Field(name="EVERY_UPDATE", low=2, bits=1, text="values are copied after every update, not only at the interval"),
            Field(name="VALUES", low=3, bits=3 if partial else 1, text=f"values copied: {codes}")))]
    if partial:
        out.append(Register(name=f"SELECT_{l}", address=0x140 + 4 * l, access=cfg,
                            text=f"weight layer {l}: K, or probability UQ1.{PROBABILITY_BITS}, or temperature alpha ln 2, "
                                 f"UQ{TEMPERATURE_BITS - TEMPERATURE_FRACTION}.{TEMPERATURE_FRACTION}"))
    if config.feedback_precision is Precision.SIGN:
        out.append(Register(name=f"SCALE_{l}", address=0x180 + 4 * l, access=cfg, bits=config.weight_bits - 1,
                            text=f"size of the feedback weights of weight layer {l}, in the weight format"))
    return out


def rule_registers(config: CoreConfig) -> list[Register]:
    """Settings of the build's rules that are not a layer's, and which of several rules runs."""
    cfg, out = Access.CONFIG, []
    if len(config.rules) > 1:
        codes = ", ".join(f"{rule.code}: {rule}" for rule in config.rules)
        out.append(Register(name="RULE", address=0x03C, access=cfg, bits=RULE_BITS, reset=config.rules[0].code,
                            text=f"learning rule, {codes}"))
    if Rule.TTFS in config.rules:
        out += [
            Register(name="READOUT", address=0x024, access=cfg, bits=1,
                     text="0: potential at the window's end, 1: negated spike times"),
            Register(name="LEVEL_CLIP", address=0x028, access=cfg, bits=16, reset=1 << 12, text="clip of |ds/dI|, UQ4.12"),
            Register(name="SLOPE_CLIP", address=0x02C, access=cfg, bits=16, reset=1 << 12, text="clip of |ds/dW|, UQ4.12")]
    if config.runs_over_time:
        out.append(Register(name="STEPS", address=0x440, access=cfg, bits=STEP_BITS, reset=1,
                            text="time steps T, 1 to the build's max_steps"))
    if Rule.SPARSE_BPTT in config.rules:
        out += [
            Register(name="WINDOW", address=0x444, access=cfg, bits=WINDOW_BITS,
                     text="w of the active neurons |V - 1| < w, in units of the weights' last bit"),
            Register(name="LOGIT", address=0x448, access=cfg, bits=10, text="readout", fields=(
                Field(name="OVER_TIME", low=0, bits=1, text="the logit is the readout potentials' 0: maximum, 1: sum"),
                Field(name="GAIN", low=1, bits=GAIN_BITS, text="times 2^y"),
                Field(name="SCALE", low=5, bits=SCALE_BITS, text="output errors have s_L more fractional bits"))),
            Register(name="GRADIENTS", address=0x44C, access=cfg, bits=2,
                     text="gradients are summed 1: by active neuron, 2: by input spike, else: by what is cheaper")]
    if Rule.RATE in config.rules:
        out += [
            Register(name="CODING", address=0x450, access=cfg, bits=1,
                     text="inputs are 0: currents, the same in each step, 1: spikes"),
            Register(name="TICKS", address=0x454, access=cfg, bits=TICK_BITS,
                     text="K: ticks that each spike of a neuron adds to its rate, UQ11.8")]
    return out


def rate_loss_registers(config: CoreConfig) -> list[Register]:
    """Losses of firing rates."""
    cfg = Access.CONFIG
    out = [Register(name="RATE_BOUNDS", address=0x400, access=cfg, text="spikes of a neuron and sample that cost nothing", fields=(
        Field(name="LEAST", low=0, bits=16, text="fewer cost"), Field(name="MOST", low=16, bits=16, text="more cost")))]
    for l in range(2, config.max_layers + 1):
        out.append(Register(
            name=f"RATE_LOSS_{l}", address=0x400 + 4 * l, access=cfg, text=f"losses of rates in layer {l - 1}", fields=(
                Field(name="LOWER", low=0, bits=STRENGTH_BITS, text="what each spike too few takes from a neuron's error"),
                Field(name="UPPER", low=STRENGTH_BITS, bits=STRENGTH_BITS, text="what each spike too many adds to it"))))
    return out


def register_map(config: CoreConfig) -> list[Register]:
    """All registers of a build, in address order."""
    ro, cfg, always, command = Access.READ_ONLY, Access.CONFIG, Access.ALWAYS, Access.COMMAND
    out = [
        Register(name="DIGEST", address=0x000, access=ro, text="identity of build and register map"),
        Register(name="VERSION", address=0x004, access=ro, text="register map version", reset=VERSION),
        Register(name="CONTROL", address=0x008, access=command, text="commands", fields=(
            Field(name="START", low=Control.START, bits=1, text="latch and check the network description, accept packets"),
            Field(name="STOP", low=Control.STOP, bits=1, text="finish the work in flight, then stop"),
            Field(name="CLEAR_ERROR", low=Control.CLEAR_ERROR, bits=1, text="clear the sticky error code"),
            Field(name="CLEAR_COUNTERS", low=Control.CLEAR_COUNTERS, bits=1, text="zero all counters"))),
        Register(name="STATUS", address=0x00C, access=ro, text="state", fields=(
            Field(name="RUNNING", low=0, bits=1, text="a network is started"),
            Field(name="IDLE", low=1, bits=1, text="no packet and no work in flight"),
            Field(name="ERROR", low=8, bits=8, text="first error since the last CLEAR_ERROR"))),
        Register(name="INTERRUPT_ENABLE", address=0x010, access=always, bits=2, text="interrupts that drive the irq pin",
                 fields=(Field(name="BATCH", low=Interrupt.BATCH, bits=1, text="an update finished"),
                         Field(name="ERROR", low=Interrupt.ERROR, bits=1, text="an error was recorded"))),
        Register(name="INTERRUPT_STATUS", address=0x014, access=command, bits=2,
                 text="pending interrupts; unlike other commands it reads back, and writing ones clears",
                 fields=(Field(name="BATCH", low=Interrupt.BATCH, bits=1, text="an update finished"),
                         Field(name="ERROR", low=Interrupt.ERROR, bits=1, text="an error was recorded"))),
        Register(name="SEQUENCE", address=0x018, access=ro, text="packets received since start"),
        Register(name="LAYERS", address=0x020, access=cfg, bits=4, text="number of weight layers L"),
        *rule_registers(config),
        Register(name="INTERVAL", address=0x030, access=cfg, reset=1, text="transport interval Phi in updates; 0: never"),
        Register(name="INTERVAL_START", address=0x034, access=cfg, text="updates since the last transport, loaded at start"),
        Register(name="INTERVAL_POSITION", address=0x038, access=ro, text="updates since the last transport"),
    ]
    for l in range(config.max_layers + 1):
        out.append(Register(name=f"SIZE_{l}", address=0x040 + 4 * l, access=cfg, bits=16, text=f"neurons of layer {l}"))
    for l in range(1, config.max_layers + 1):
        out.append(Register(name=f"RATE_{l}", address=0x080 + 4 * l, access=cfg, bits=13,
                            text=f"learning rate of weight layer {l}",
                            fields=(Field(name="MANTISSA", low=0, bits=8, text="multiplier m"),
                                    Field(name="SHIFT", low=8, bits=5, text="right shift s; docs/numerics.md gives the scale"))))
    for l in range(1, config.max_layers + 1 if config.weight_decay else 1):
        out.append(Register(name=f"DECAY_{l}", address=0x0C0 + 4 * l, access=cfg, bits=DECAY_BITS,
                            text=f"weight decay of weight layer {l}: multiplier d"))
    for l in range(2, config.max_layers + 1):
        out += transport_registers(config, l)
    for l in range(2, config.max_layers + 1 if Rule.SPARSE_BPTT in config.rules else 2):
        out.append(Register(name=f"ERROR_SHIFT_{l}", address=0x1C0 + 4 * l, access=cfg, bits=SHIFT_BITS,
                            text=f"right shift p from the errors of weight layer {l} to those of layer {l - 1}"))
    if config.rate_loss:
        out += rate_loss_registers(config)
    for n, (name, text) in enumerate(counters(config)):
        out.append(Register(name=name, address=COUNTER_BASE + 8 * n, access=ro, text=text))
        out.append(Register(name=f"{name}_HI", address=COUNTER_BASE + 8 * n + 4, access=ro, text=f"{name}, upper half"))
    return sorted(out, key=lambda register: register.address)


def core_digest(config: CoreConfig) -> int:
    """The value of DIGEST: configuration and register map together."""
    facts = [[r.name, r.address, str(r.access), r.bits] for r in register_map(config)]
    return config.digest(json.dumps(facts), str(VERSION))
