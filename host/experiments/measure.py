"""Something that is measured in each layer, a few times an epoch, of a device that shows its network."""

import json
from abc import ABC, abstractmethod
from pathlib import Path

from ..files import write_whole
from ..trainer import Progress

__all__ = ["Measure"]

MEASURES_PER_EPOCH = 10


class Measure(ABC):
    """Keeps what it measured in a file beside the checkpoint.

    Members
    -------
    name : of the file, and of the rows in the run's result. rows : {"update": updates until then, "layers": a value for each}.
    """

    name = ""

    def __init__(self, device, folder: Path):
        self._device, self._path = device, folder / f"{self.name}.json"
        self.rows: list[dict] = json.loads(self._path.read_text()) if self._path.exists() else []

    @property
    def network(self):
        """The golden device's network; None of other devices."""
        return getattr(self._device, "network", None)

    @abstractmethod
    def layers(self) -> list[float] | None:
        """A value for each layer, of the network as it is now; None where there is nothing to measure."""

    def forget(self, updates: int) -> None:
        """Drops what was measured after the checkpoint from which a run continues."""
        self.rows = [row for row in self.rows if row["update"] <= updates]

    def __call__(self, progress: Progress) -> None:
        """Measures when a tenth of an epoch has passed."""
        tenth = progress.batches // MEASURES_PER_EPOCH or 1
        update = (progress.epoch - 1) * progress.batches + progress.batch
        if self.network is None or (self.rows and update // tenth == self.rows[-1]["update"] // tenth):
            return
        layers = self.layers()
        if layers is not None:
            self.rows.append({"update": update, "layers": layers})
            write_whole(self._path, json.dumps(self.rows))

    def result(self) -> dict:
        """What joins the run's summary in the end."""
        return {self.name: self.rows}
