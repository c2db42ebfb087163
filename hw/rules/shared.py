"""Memories and multipliers of the lanes that the rules of a build take turns with."""

from amaranth.hdl import Module, Shape, signed
from amaranth.lib.wiring import In

from ...spec.config import CoreConfig
from ...spec.lif import DECAY, LifFormats
from ..arithmetic.lane_products import LaneProducts
from ..forward.leaky_accumulator import membrane_sum
from ..lane_parts import Parts
from ..layouts import shape_of
from ..memory.lane_ram import LaneRam
from .one_shot import OneShotUnits
from .sparse_bptt import SparseBpttUnits
from .units import RuleUnits, take_turns

__all__ = ["KINDS", "SharedLanes"]

KINDS: tuple[type[RuleUnits], ...] = (OneShotUnits, SparseBpttUnits)
"""All units that there are."""


def widest(*shapes: Shape) -> Shape:
    """A signed shape that holds the values of all."""
    return signed(max(shape.width + (not shape.signed) for shape in shapes))


class SharedLanes:
    """Of a build with the units of both KINDS; in any cycle those of the rule that runs have them all.

    Members
    -------
    lent : for each kind of units what its engines are lent.
    """

    def __init__(self, config: CoreConfig):
        self._config, formats, lanes = config, LifFormats(config), config.lanes

        def memory(*shapes):
            return LaneRam(widest(*shapes), lanes, config.neuron_blocks, transparent=True, second=True, ahead=1)

        weight, membrane, error = shape_of(config.weight), shape_of(formats.membrane), shape_of(config.error)
        time, decay = shape_of(config.time), shape_of(DECAY)
        self._parts = {
            ("level_sums", "sums"): memory(shape_of(config.level), shape_of(membrane_sum(config))),
            ("slope_sums", "potentials"): memory(shape_of(config.slope), membrane),
            ("event_products", "leak_products"): LaneProducts(widest(weight, membrane), widest(time, decay), lanes),
            ("error_products", "error_products"): LaneProducts(weight, error, lanes),
            ("time_products", "decay_products"): LaneProducts(widest(error, shape_of(formats.delta)), widest(time, decay), lanes),
        }
        self.lent: dict[type[RuleUnits], Parts] = {kind: {} for kind in KINDS}
        for names, component in self._parts.items():
            for kind, name in zip(KINDS, names, strict=True):
                self.lent[kind][name] = component.signature.create(path=(kind.__name__, name))

    def add(self, m: Module, settings) -> None:
        """Make the parts submodules, at the service of the rule that runs."""
        for names, component in self._parts.items():
            m.submodules[names[0]] = component
            users = [self.lent[kind][name] for kind, name in zip(KINDS, names, strict=True)]
            owners = [[rule for rule in self._config.rules if rule in kind.RULES] for kind in KINDS]
            take_turns(m, self._config, settings, owners, component, users, gathered=In)
