"""Requests to stop (Ctrl-C, termination) become a flag, so that a batch is never cut in two."""

import contextlib
import signal
import threading
from collections.abc import Iterator

__all__ = ["StopRequest", "stop_requests"]


class StopRequest:
    """Whether, and by which signal, a stop was asked for.

    Members
    -------
    signal : number of the signal, or None.
    """

    def __init__(self):
        self.signal: int | None = None


@contextlib.contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Within the block SIGINT and SIGTERM set the request; a second one acts as it would without the block."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request  # only the main thread may handle signals
        return
    before = {}

    def handle(number, frame):
        request.signal = number
        signal.signal(number, before[number])

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, handle)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
