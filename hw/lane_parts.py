"""Parts of lanes that an engine brings along, or that it is lent in a build of several rules."""

from collections.abc import Callable

from amaranth.hdl import Module
from amaranth.lib import wiring

__all__ = ["Parts", "part"]

Parts = dict[str, wiring.PureInterface]
"""What an engine is lent, each with the ports of the component that it would bring along; empty in a build of one rule."""


def part(m: Module, lent: Parts, name: str, make: Callable[[], wiring.Component]):
    """The part ``name``: that which is lent, else one of the engine's own, a submodule of that name."""
    if name in lent:
        return lent[name]
    m.submodules[name] = own = make()
    return own
