"""What the core asks of the units of rules, and of several rules' units as those of the one that runs."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux
from amaranth.lib import wiring
from amaranth.lib.wiring import Flow, Out

from ...spec.config import CoreConfig, Rule
from ...spec.packets import Space
from ..layouts import runs

__all__ = ["Owners", "RuleUnits", "connect_joint", "joint", "of_running", "runs_any", "take_turns"]

Owners = Sequence[tuple[Rule, ...]]
"""Of each of several units or engines the rules with which it runs."""


class RuleUnits(ABC):
    """The units that one rule or some have for themselves, and how they hang together and on the core.

    Parameters
    ----------
    lent : parts of lanes that the rules of a build take turns with (hw/rules/shared.py).

    Members
    -------
    RULES : the learning rules that they may serve. rules : those of them that the build has.
    gradient_memory : the class of the memory that takes their contributions in a build without other units.
    forward, backward : engines with the ports FORWARD and BACKWARD.
    saturated : errors that saturated. working, reading : the forward engine works and does not wait; errors are computed.
    """

    FORWARD = ("network", "start", "train", "count", "i_payload", "w_en", "w_tile", "w_row", "w_data", "busy", "done", "event")
    BACKWARD = ("network", "layer", "start", "feedback_en", "feedback_addr", "feedback_data", "word_en", "contribution", "mark_en",
                "mark", "busy", "done", "active")

    RULES: tuple[Rule, ...]
    gradient_memory: type

    def __init__(self, config: CoreConfig):
        self._config, self.rules = config, tuple(rule for rule in config.rules if rule in self.RULES)

    def _add(self, m: Module, **units) -> None:
        """Make ``units`` submodules of the core; beside other rules' they carry their rules' names, too."""
        prefix = "".join(f"{rule.name.lower()}_" for rule in self.rules) if self.rules != self._config.rules else ""
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
        """Increments that only these rules have, while one of them is ``running``."""

    def membrane_saturations(self):
        """How many potentials saturated."""
        return Const(0)


def runs_any(config: CoreConfig, settings, rules: Sequence[Rule]):
    """Whether one of ``rules`` runs."""
    return Cat(runs(config, settings, rule) for rule in rules).any() if len(rules) > 1 else runs(config, settings, rules[0])


def of_running(config: CoreConfig, settings, owners: Owners, values: Sequence):
    """Of one value for each of ``owners`` that of the one whose rule runs."""
    chosen = values[0]
    for rules, value in zip(owners[1:], values[1:], strict=True):
        chosen = Mux(runs_any(config, settings, rules), value, chosen)
    return chosen


def joint(engines: Sequence[wiring.PureInterface], ports: Sequence[str]):
    """Engines of several rules as one with ``ports``, which ``connect_joint`` connects; an engine alone is that itself."""
    if len(engines) == 1:
        return engines[0]
    signature = wiring.Signature({name: engines[0].signature.members[name] for name in ports})
    return signature.create(path=("joint", type(engines[0]).__name__))


def connect_joint(m: Module, config: CoreConfig, settings, owners: Owners, one, engines: Sequence) -> None:
    """Outputs of ``one`` come from the engine whose rule runs, it alone is started, and all other inputs go to all."""
    if len(engines) > 1:
        take_turns(m, config, settings, owners, one, engines, gathered=Out, gated=("start",))


def take_turns(m: Module, config: CoreConfig, settings, owners: Owners, one, each: Sequence, *, gathered: Flow,
               gated: Sequence[str] = ()) -> None:
    """Connect ``one`` with ``each``, which has the ports of ``one`` and runs with the rules of the owner in its place: members that
    flow ``gathered`` come from that whose rule runs, the others go to all, those that are ``gated`` to it alone."""
    for (path, member, mine), *theirs in zip(*(one.signature.flatten(ports) for ports in (one, *each)), strict=True):
        values = [value for _, _, value in theirs]
        if member.flow is gathered:
            m.d.comb += mine.eq(of_running(config, settings, owners, values))
        else:
            for rules, value in zip(owners, values, strict=True):
                m.d.comb += value.eq(mine & runs_any(config, settings, rules) if path[0] in gated else mine)
