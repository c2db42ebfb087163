"""How long the serial link waits for a reply, and how much it sends at once. In words: docs/link.md."""

from dataclasses import dataclass

__all__ = ["FrameSize", "RoundTrip", "Times"]


@dataclass(frozen=True, kw_only=True)
class Times:
    """How long a link waits, in seconds.

    Parameters
    ----------
    first : for a reply before a round trip was measured.
    floor, ceiling : least wait beyond the mean round trip, and the longest between two sendings.
    opening : for the reply to HELLO.
    silence : for any other reply, while there is a connection.
    progress : for a word to pass either way in an exchange while the board answers.
    patience : of a request, for connections that broke to come back; again : between two attempts to open one.
    """

    first: float = 0.1
    floor: float = 0.01
    ceiling: float = 1.0
    opening: float = 5.0
    silence: float = 30.0
    progress: float = 30.0
    patience: float = 30.0
    again: float = 0.2


class RoundTrip:
    """Time from a request to its reply, without that of the bytes on the line, and how long to wait for one, as RFC 6298 has both.

    Members
    -------
    mean : seconds; None before the first. patience : seconds after which a reply is taken for lost.
    """

    def __init__(self, times: Times):
        self._times = times
        self.mean: float | None = None
        self._deviation = 0.0
        self.patience = times.first

    def add(self, seconds: float) -> None:
        """One measured round trip."""
        if self.mean is None:
            self.mean, self._deviation = seconds, seconds / 2
        else:
            self._deviation += (abs(seconds - self.mean) - self._deviation) / 4
            self.mean += (seconds - self.mean) / 8
        self.patience = min(self._times.ceiling, self.mean + max(self._times.floor, 4 * self._deviation))

    def in_vain(self) -> None:
        """Nothing came in time. Until the next measurement later requests wait longer, too: else one that takes longer than the
        first wait would be sent twice each time, and be never measured."""
        self.patience = min(self._times.ceiling, 1.5 * self.patience)


class FrameSize:
    """Words of an exchange and of its reply: half as many after each loss, for a long frame meets more of the line's faults; more
    where that many passed: twice as many up to the size that passed last before the loss, a sixteenth beyond."""

    START, MOST = 8, 4096

    def __init__(self):
        self.words = self.START
        self._passed = self._known = self.MOST  # the size that passed last, and that before the last loss
        self._last = self.words, self._passed, self._known, 0, 0

    def adapt(self, lost: int, passed: int) -> None:
        """After an exchange that was sent ``lost`` times in vain and carried ``passed`` words one way."""
        self._last = self.words, self._passed, self._known, lost, passed
        if lost:
            self.words, self._known = max(1, self.words >> lost), self._passed
        elif passed >= self.words:
            self._passed, more = self.words, self.words + 1 + self.words // 16
            self.words = min(self.MOST, max(more, min(2 * self.words, self._known)))

    def forgive(self) -> None:
        """One sending of that exchange was not in vain: its reply came, late."""
        self.words, self._passed, self._known, lost, passed = self._last
        self.adapt(max(0, lost - 1), passed)
