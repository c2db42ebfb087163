"""What the core asks of the units of a rule, and of several rules' units as those of the one that runs."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from amaranth.hdl import Module, Mux
from amaranth.lib import wiring
from amaranth.lib.wiring import Flow, Out

from ...spec.config import CoreConfig, Rule
from ...spec.packets import Space
from ..layouts import runs

__all__ = ["RuleUnits", "joint", "of_running", "take_turns"]


class RuleUnits(ABC):
    """The units that a rule has for itself, and how they hang together and on the core.

    Parameters
    ----------
    lent : parts of lanes that the rules of a build take turns with (hw/rules/shared.py).

    Members
    -------
    rule : the learning rule. gradient_memory : the class of the memory that takes its contributions in a build of this rule alone.
    forward, backward : engines with the ports FORWARD and BACKWARD.
    saturated : errors that saturated. working, reading : the forward engine works and does not wait; errors are computed.
    """

    FORWARD = ("network", "start", "train", "count", "i_payload", "w_en", "w_tile", "w_row", "w_data", "busy", "done", "event")
    BACKWARD = ("network", "layer", "start", "feedback_en", "feedback_addr", "feedback_data", "word_en", "contribution", "mark_en",
                "mark", "busy", "done", "active")

    rule: Rule
    gradient_memory: type

    def __init__(self, config: CoreConfig):
        self._config = config

    def _add(self, m: Module, **units) -> None:
        """Make ``units`` submodules of the core; beside other rules' they carry the rule's name, too."""
        prefix = f"{self.rule.name.lower()}_" if len(self._config.rules) > 1 else ""
        for name, unit in units.items():
            m.submodules[prefix + name] = unit

    @abstractmethod
    def add(self, m: Module, core) -> dict:
        """Make the units submodules of the core, and connect them to each other and to its ports. What they tell the softmax
        readout, by the names of its ports."""

    @abstractmethod
    def connect_access(self, m: Module, core, reads: dict, writes: dict) -> dict[Space, list]:
        """Let the host reach the units' memories; the lanes of each space."""

    def single(self, m: Module, core):
        """The element last read of the spaces that hold one a word."""
        return core.readout.error_data

    @abstractmethod
    def gradient_word(self):
        """Where the backward engine's contributions go, as the build's gradient memory takes it."""

    @abstractmethod
    def count(self, m: Module, core, count, running) -> None:
        """Increments that only this rule has, while it is ``running``."""


def of_running(config: CoreConfig, settings, values: Sequence):
    """Of one value for each of the build's rules that of the rule that runs."""
    chosen = values[0]
    for rule, value in zip(config.rules[1:], values[1:], strict=True):
        chosen = Mux(runs(config, settings, rule), value, chosen)
    return chosen


def joint(m: Module, config: CoreConfig, settings, engines: Sequence[wiring.Component], ports: Sequence[str]):
    """The engines of the build's rules as one with ``ports``: outputs come from that of the rule that runs, it alone is started,
    and all other inputs go to all."""
    if len(engines) == 1:
        return engines[0]
    signature = wiring.Signature({name: engines[0].signature.members[name] for name in ports})
    one = signature.create(path=(type(engines[0]).__name__,))
    take_turns(m, config, settings, signature, one, engines, gathered=Out, gated=("start",))
    return one


def take_turns(m: Module, config: CoreConfig, settings, signature: wiring.Signature, one, each: Sequence, *, gathered: Flow,
               gated: Sequence[str] = ()) -> None:
    """Connect ``one`` with those of ``each`` rule, all of one signature: members that flow ``gathered`` come from that of the rule
    that runs, the others go to all, those that are ``gated`` to it alone."""
    for (path, member, mine), *theirs in zip(*(signature.flatten(ports) for ports in (one, *each)), strict=True):
        values = [value for _, _, value in theirs]
        if member.flow is gathered:
            m.d.comb += mine.eq(of_running(config, settings, values))
        else:
            for rule, value in zip(config.rules, values, strict=True):
                m.d.comb += value.eq(mine & runs(config, settings, rule) if path[0] in gated else mine)
