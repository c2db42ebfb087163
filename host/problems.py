"""Expected failures: each carries one line that names the value and the remedy. The command line prints that line."""

__all__ = ["CheckpointError", "DataError", "DriverError", "Interrupted", "OptionError", "Problem", "reason"]


def reason(error: Exception) -> str:
    """What a library says of an error, on one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]


class Problem(Exception):
    """Base of all expected failures; ``str(problem)`` is one complete line."""


class OptionError(Problem):
    """An option, or a combination of options, that cannot run."""


class DataError(Problem):
    """A data set that is missing, damaged or holds values that cannot be encoded."""


class CheckpointError(Problem):
    """A checkpoint that is missing, damaged or belongs to another network."""


class DriverError(Problem):
    """The accelerator refused a packet or command, or does not match its configuration."""


class Interrupted(Problem):
    """Training stopped on request after its state was saved.

    Members
    -------
    place : how far it had come. again : command that continues there.
    signal : number of the signal that asked for it (2 for Ctrl-C).
    """

    def __init__(self, place: str, again: str, signal: int = 2):
        super().__init__(f"{place}; continue with: {again}")
        self.place, self.again, self.signal = place, again, signal
