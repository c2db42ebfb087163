"""What a run on a board needs to know of its build, which is there already."""

from ..spec.config import CoreConfig, Rule
from .problems import OptionError

__all__ = ["build_options", "differences", "fitting_layers"]

ALWAYS = ("lanes", "weight_fraction", "optimizer", "gradient_memory", "feedback_precision")
OF_RULE = {Rule.SPARSE_BPTT: ("spike_entries", "job_entries"), Rule.RATE: ("max_steps", "schedule", "spike_entries")}


def build_options(chosen: dict, core: CoreConfig) -> dict:
    """Options that decide a build, and the rule, as the board has them; ``chosen`` are those that the user named.

    Raises OptionError, by name, where these are not the board's.
    """
    built = [str(rule) for rule in core.rules]
    rule = chosen.get("rule", built[0])
    if rule in set(Rule) and rule not in built:
        raise contradiction("rule", rule, " and ".join(built))
    rules = chosen.get("rules")
    if rules is not None and set(rules.split(",")) != set(built):
        raise contradiction("rules", rules, ",".join(built))
    facts = {name: core.as_dict()[name] for name in ALWAYS + OF_RULE.get(rule, ())}
    for name, value in facts.items():
        if chosen.get(name, value) != value:
            raise contradiction(name, chosen[name], value)
    return facts | {"rule": rule, "rules": ",".join(built) if len(built) > 1 else None}


def contradiction(name: str, asked, value) -> OptionError:
    """What to say of an option that the board contradicts."""
    return OptionError(f"--{name.replace('_', '-')} {asked}: the board has {value}; leave the option out, or configure the board "
                       "with another build")


def fitting_layers(layers: tuple[int, ...], core: CoreConfig) -> tuple[int, ...]:
    """A network for a board: ``layers`` where it fits, else with all hidden layers cut to the largest number of neurons, a multiple
    of the board's lanes, that does; ``layers`` where none does."""
    widest = max(layers[1:-1], default=0)
    for most in (widest, *range(widest // core.lanes * core.lanes, 0, -core.lanes)):
        cut = (layers[0], *(min(size, most) for size in layers[1:-1]), layers[-1])
        if core.misfit(cut) is None:
            return cut
    return layers


def differences(wanted: dict, found: dict) -> str:
    """The parameters in which two builds differ, on one line; as of ``CoreConfig.as_dict``, perhaps of different releases."""
    names = [name for name in found | wanted if wanted.get(name) != found.get(name)]
    return ", ".join(f"{name} is {found.get(name)}, not {wanted.get(name)}" for name in names)
