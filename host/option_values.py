"""One option of a run: how it is described, and how its value is read from a text or a file."""

import dataclasses
from collections.abc import Collection
from dataclasses import field, fields

from ..spec.config import Rule
from .builds import layer_sizes
from .problems import OptionError

__all__ = ["LISTS", "comma_numbers", "convert", "flag", "option", "options_of", "spelled"]

LISTS = ("lr", "fraction", "probability", "alpha", "error_scales", "initial_scale")


def option(text: str, kind: type, default=None, choices: Collection[str] = (), rules: tuple[Rule, ...] = tuple(Rule)):
    """A field of ``TrainOptions``: its help text, the type of its value on the command line, allowed words, the rules that know it:
    others refuse what is not the default."""
    owners = "" if len(rules) == len(Rule) else ", ".join(rules) + ": "
    return field(default=default, metadata={"help": owners + text, "kind": kind, "choices": tuple(choices), "rules": rules})


def options_of(described: type) -> dict[str, dataclasses.Field]:
    """Fields of a data class that ``option`` made, by name."""
    return {f.name: f for f in fields(described) if "kind" in f.metadata}


def flag(name: str) -> str:
    """An option's name on the command line."""
    return "--" + name.replace("_", "-")


def spelled(name: str, value) -> str:
    """An option as a person gave it on the command line."""
    return f"{flag(name)} {value}" if type(value) is not bool else flag(name if value else f"no_{name}")


def comma_numbers(name: str, value, source: str = "command line") -> tuple[float, ...]:
    """Numbers of a text such as 0.1,0.2, of a list or one number; none of None. Raises OptionError that names the option."""
    if value is None:
        return ()
    parts = value.split(",") if isinstance(value, str) else value if isinstance(value, (list, tuple)) else [value]
    try:
        return tuple(float(part) for part in parts)
    except (TypeError, ValueError):
        raise OptionError(f"{source}: {flag(name)} {value!r}: write numbers joined by commas") from None


def whole_numbers(name: str, value, source: str) -> tuple[int, ...]:
    """As comma_numbers, of whole numbers."""
    numbers = comma_numbers(name, value, source)
    if any(number != int(number) for number in numbers):
        raise OptionError(f"{source}: {flag(name)} {value!r}: whole numbers are needed")
    return tuple(int(number) for number in numbers)


def convert(f: dataclasses.Field, value, source: str):
    """An option's value from the command line or a file. Raises OptionError that names it."""
    kind = f.metadata["kind"]
    if f.name == "layers":
        return layer_sizes(value if isinstance(value, str) else "-".join(map(str, value)))
    if f.name == "error_scales":
        return whole_numbers(f.name, value, source)
    if f.name in LISTS:
        return comma_numbers(f.name, value, source)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        raise OptionError(f"{source}: {flag(f.name)} {value!r}: a value of type {kind.__name__} is needed")
    return value
