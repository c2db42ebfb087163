"""Parameters of commands that take the options of a training run, made from their one description."""

import inspect
from collections.abc import Collection
from typing import Annotated

import typer

from .defaults import defaults_by_data
from .option_values import options_of
from .options import TrainOptions

__all__ = ["parameter", "signature"]


def default_text(name: str, default) -> str:
    """How the help shows an option's default: one value, or, where they differ, one for each data set."""
    if default is not None:
        return str(default).lower() if isinstance(default, bool) else str(default)
    shown = {data: "-".join(map(str, v)) if name == "layers" else ",".join(map(str, v)) if isinstance(v, tuple) else v
             for data, v in defaults_by_data(name).items()}
    alike = list(dict.fromkeys(shown.values()))
    return str(alike[0]) if len(alike) == 1 else ", ".join(f"{data}: {value}" for data, value in shown.items())


def parameter(name: str, kind: type, default, *names: str, **details) -> inspect.Parameter:
    """One parameter of a command; ``names`` and ``details`` as for ``typer.Option``."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default,
                             annotation=Annotated[kind, typer.Option(*names, **details)])


def signature(*own: inspect.Parameter, without: Collection[str] = ()) -> inspect.Signature:
    """A command's own parameters, then every option of ``TrainOptions`` but those named, absent unless given."""
    out = list(own)
    for f in options_of(TrainOptions).values():
        if f.name not in without:
            text = f.metadata["help"] + (f": {', '.join(f.metadata['choices'])}" if f.metadata["choices"] else "")
            out.append(parameter(f.name, f.metadata["kind"] | None, None, help=text,
                                 show_default=default_text(f.name, f.default) or False))
    return inspect.Signature(out)
