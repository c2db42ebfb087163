"""The command ``coldspike``: an expected failure is one line and an exit code, never a traceback."""

import os
import signal
import sys

import typer

from .command_bench import bench
from .command_board import board
from .command_experiment import experiment
from .command_generate import generate
from .command_info import info
from .command_probe import probe
from .command_reference import reference
from .command_train import train
from .command_verify import verify
from .problems import Interrupted, OptionError, Problem

__all__ = ["app", "main"]

TRACEBACK_VARIABLE = "COLDSPIKE_TRACEBACK"
INTERRUPTED = 128 + signal.SIGINT

# typer brings click under different names from release to release; the class is the same.
ClickException = typer.BadParameter.__mro__[2]

app = typer.Typer(name="coldspike", add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False,
                  help="Train spiking neural networks on an accelerator, simulated cycle by cycle from its RTL.")
for command in (train, verify, reference, experiment, generate, info, bench, board, probe):
    app.command()(command)


def main(arguments: list[str] | None = None) -> int:
    """Runs one command line; returns its exit code.

    0: done. 1: failed, or values compared were not equal. 2: an option is wrong. 128 + signal: stopped on request.
    With COLDSPIKE_TRACEBACK set, a failure shows where it came from.
    """
    try:
        code = app(args=arguments, prog_name="coldspike", standalone_mode=False) or 0
        if code == INTERRUPTED:  # some releases of typer take Ctrl-C for an end like others
            raise KeyboardInterrupt
        return code
    except Interrupted as stop:
        complain(stop)
        return 128 + stop.signal
    except Problem as problem:
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        complain(problem)
        return 2 if isinstance(problem, OptionError) else 1
    except OSError as error:  # a folder that cannot be written, a full disk
        if os.environ.get(TRACEBACK_VARIABLE) or not error.filename:
            raise
        complain(f"{error.filename}: {error.strerror}")
        return 1
    except ClickException as problem:
        if problem.format_message():
            complain(with_value(problem))
        return problem.exit_code
    except (KeyboardInterrupt, typer.Abort):
        complain("interrupted")
        return INTERRUPTED
    except typer.Exit as done:
        return done.exit_code


def with_value(problem) -> str:
    """The message of a refused option; some releases of typer leave out the value, which their validator knows."""
    errors = getattr(problem.__cause__, "errors", list)()
    option = getattr(getattr(problem, "param", None), "opts", None)
    if not errors or not option:
        return problem.format_message()
    text = errors[0]["msg"]
    return f"{option[-1]} {errors[0]['input']}: {text[0].lower()}{text[1:]}"


def complain(text) -> None:
    """Prints one line to standard error."""
    print("coldspike: " + " ".join(str(text).split()), file=sys.stderr)
