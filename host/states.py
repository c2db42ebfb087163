"""Every architectural state of an accelerator, read through its ports, in a form that can be compared."""

from dataclasses import dataclass

import numpy as np

from ..spec.config import CoreConfig, Rule
from ..spec.packets import LIST_SPACES, Space, layer_ranges, random_columns
from ..spec.rate import RateFormats
from ..spec.registers import Access, register_map
from .driver import Accelerator
from .memories import spaces

__all__ = ["State", "read_states", "words_state"]

KIND_NAMES = {
    Space.WEIGHT: "weights W", Space.FEEDBACK: "feedback weights B", Space.GRADIENT: "gradients G",
    Space.RANDOM: "random states", Space.SLOPE: "slopes W_j", Space.LEVEL: "levels A_j", Space.SPIKES: "spikes a_j",
    Space.ERROR_SUM: "error sums", Space.OUTPUT_ERROR: "output errors", Space.JOBS: "active neurons and jobs",
    Space.MEMBRANE: "potentials u", Space.ELIGIBILITY: "eligibilities F",
}
RULE_NAMES = {Rule.SPARSE_BPTT: {Space.SLOPE: "membrane sums", Space.SPIKES: "spikes on the tape"},
              Rule.RATE: {Space.SPIKES: "rates r_j"}}
COUNTS, CYCLES, REGISTERS, RESULTS = "event counters", "cycle counters", "registers", "result words"
OVERLAPPED = ("TOTAL_CYCLES", "EXPOSED_CYCLES")  # depend on how fast the host sends and takes words
TIMELESS = ("STATUS", "INTERRUPT_STATUS")  # show the moment of the read, not only what was computed


@dataclass(frozen=True, kw_only=True)
class State:
    """Values of one kind that lie together.

    Members
    -------
    kind : what they are, as the report names it.
    place : where they lie, such as "layer 2".
    values : int64 array of one or two dimensions.
    axes : name of each dimension's index, or the names of all elements of a vector.
    bits : width of a value; a single-bit fault is placed within it.
    """

    kind: str
    place: str
    values: np.ndarray
    axes: tuple[str, ...]
    bits: int = 32

    def locate(self, index: tuple[int, ...]) -> str:
        """Where the element at ``index`` lies, in words."""
        if len(self.axes) == self.values.ndim:
            steps = ", ".join(f"{axis} {n}" for axis, n in zip(self.axes, index, strict=True))
        else:
            steps = self.axes[index[0]]
        return ", ".join(part for part in (self.place, steps) if part)


def words_state(words: np.ndarray, starts: np.ndarray) -> State:
    """Words of an exchange's results, each with a mark (bit 32) where a packet starts."""
    values = words.astype(np.int64)
    values[starts] |= 1 << 32
    return State(kind=RESULTS, place="", values=values, axes=("word",), bits=33)


def formats(config: CoreConfig) -> dict[Space, int]:
    """Bits of a value of each space."""
    return {
        Space.WEIGHT: config.weight.bits, Space.FEEDBACK: config.feedback.bits, Space.GRADIENT: config.gradient.bits,
        Space.RANDOM: 32, Space.SLOPE: config.slope.bits, Space.LEVEL: config.level.bits,
        Space.SPIKES: config.time.bits, Space.ERROR_SUM: config.error_sum.bits, Space.OUTPUT_ERROR: config.error.bits,
        Space.JOBS: 32 + config.error.bits, Space.MEMBRANE: RateFormats(config).membrane.bits,
        Space.ELIGIBILITY: RateFormats(config).eligibility.bits,
    }


def read_states(accelerator: Accelerator, *, total_cycles: bool) -> list[State]:
    """All memories, counters and registers.

    ``total_cycles`` includes the counters in OVERLAPPED.
    """
    settings, bits = accelerator.settings, formats(accelerator.config)
    depth = settings.depth
    # Counters first: reading memories adds to the cycles of both sides, and to their order.
    out = read_counters(accelerator, total_cycles)
    for _, space, l in spaces(accelerator):
        out.append(State(kind=KIND_NAMES[space], place=f"layer {l}", values=accelerator.read_matrix(space, l),
                         axes=("input", "neuron"), bits=bits[space]))
    ranges = layer_ranges(accelerator.config, settings.rule, depth)
    names = KIND_NAMES | RULE_NAMES.get(settings.rule, {})
    for space in (Space.SLOPE, Space.LEVEL, Space.SPIKES, Space.JOBS, Space.MEMBRANE, Space.ELIGIBILITY, Space.ERROR_SUM,
                  Space.OUTPUT_ERROR, Space.RANDOM):
        for l in range(*ranges.get(space, (0, 0))):
            place = "" if space in (Space.OUTPUT_ERROR, Space.RANDOM) else f"layer {l}"
            listed = space in LIST_SPACES and settings.rule is Rule.SPARSE_BPTT
            axis = "lane" if space is Space.RANDOM else "entry" if listed else "neuron"
            columns = random_columns(accelerator.config) if space is Space.RANDOM else 1
            for column, values in enumerate(accelerator.read_space(space, l, columns).T):
                out.append(State(kind=names[space], place=place or "of transport" * column, values=values, axes=(axis,),
                                 bits=bits[space]))
    return out


def read_counters(accelerator: Accelerator, total_cycles: bool) -> list[State]:
    """Event counters, cycle counters and the registers that tell the host something."""
    counters = accelerator.counters()
    if not total_cycles:
        counters = {name: value for name, value in counters.items() if name not in OVERLAPPED}
    groups = {COUNTS: {}, CYCLES: {}}
    for name, value in counters.items():
        groups[CYCLES if name.endswith("_CYCLES") else COUNTS][name] = value
    names = {r.name for r in register_map(accelerator.config) if r.access is not Access.COMMAND}
    names -= {name for counter in counters for name in (counter, f"{counter}_HI")}
    names -= {*OVERLAPPED, *(f"{name}_HI" for name in OVERLAPPED), *TIMELESS}
    groups[REGISTERS] = {name: accelerator.read(name) for name in sorted(names)}
    groups[REGISTERS]["STATUS.ERROR"] = accelerator.status("ERROR")
    return [State(kind=kind, place="", values=np.array(list(values.values()), np.int64), axes=tuple(values))
            for kind, values in groups.items()]
