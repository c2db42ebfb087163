"""Memories and multipliers of the lanes that the rules of a build take turns with."""

from amaranth.hdl import Module, Shape, signed
from amaranth.lib.wiring import In

from ...spec.config import CoreConfig, Rule
from ...spec.lif import DECAY, LifFormats
from ..arithmetic.lane_products import LaneProducts
from ..forward.leaky_accumulator import membrane_sum
from ..lane_parts import Parts
from ..layouts import shape_of
from ..memory.lane_ram import LaneRam
from .units import take_turns

__all__ = ["SharedLanes"]


def widest(*shapes: Shape) -> Shape:
    """A signed shape that holds the values of all."""
    return signed(max(shape.width + (not shape.signed) for shape in shapes))


class SharedLanes:
    """Of a build of rules ttfs and sparse-bptt; in any cycle the rule that runs has them all.

    Members
    -------
    lent : for each rule what its engines are lent.
    """

    def __init__(self, config: CoreConfig):
        self._config, formats, lanes = config, LifFormats(config), config.lanes

        def memory(*shapes):
            return LaneRam(widest(*shapes), lanes, config.neuron_blocks, transparent=True, second=True, ahead=True)

        weight, membrane, error = shape_of(config.weight), shape_of(formats.membrane), shape_of(config.error)
        time, decay = shape_of(config.time), shape_of(DECAY)
        self._parts = {
            ("level_sums", "sums"): memory(shape_of(config.level), shape_of(membrane_sum(config))),
            ("slope_sums", "potentials"): memory(shape_of(config.slope), membrane),
            ("event_products", "leak_products"): LaneProducts(widest(weight, membrane), widest(time, decay), lanes),
            ("error_products", "error_products"): LaneProducts(weight, error, lanes),
            ("time_products", "decay_products"): LaneProducts(widest(error, shape_of(formats.delta)), widest(time, decay), lanes),
        }
        self.lent: dict[Rule, Parts] = {rule: {} for rule in config.rules}
        for names, component in self._parts.items():
            for rule, name in zip(config.rules, names, strict=True):
                self.lent[rule][name] = component.signature.create(path=(rule.name.lower(), name))

    def add(self, m: Module, settings) -> None:
        """Make the parts submodules, at the service of the rule that runs."""
        for names, component in self._parts.items():
            m.submodules[names[0]] = component
            users = [self.lent[rule][name] for rule, name in zip(self._config.rules, names, strict=True)]
            take_turns(m, self._config, settings, component.signature, component, users, gathered=In)
