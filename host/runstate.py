"""Where a training run stands between two batches."""

import dataclasses
from dataclasses import dataclass, field

__all__ = ["RunState"]


@dataclass(kw_only=True)
class RunState:
    """Everything of a run that is not in the accelerator's memories; plain JSON values.

    Members
    -------
    epoch : epochs completed.
    batch : batches trained in the current epoch.
    position : updates since the last weight transport.
    loss_sum, correct : over the current epoch's training samples so far.
    samples : training samples so far in the current epoch.
    epoch_counters : accelerator counters of the current epoch's training (testing and memory accesses are apart).
    run_counters : the same, of all completed epochs.
    epoch_seconds, train_seconds : time that training took in the current epoch, and in all completed epochs.
    wall_seconds : time that the run took so far, set-up excluded.
    clock_cycles : clock cycles of the device while it trained (None: the device has no clock).
    rows : rows of metrics.csv.
    warnings : lines that a person should read.
    """

    epoch: int = 0
    batch: int = 0
    position: int = 0
    loss_sum: float = 0.0
    correct: int = 0
    samples: int = 0
    epoch_counters: dict[str, int] = field(default_factory=dict)
    run_counters: dict[str, int] = field(default_factory=dict)
    epoch_seconds: float = 0.0
    train_seconds: float = 0.0
    wall_seconds: float = 0.0
    clock_cycles: int = 0
    rows: list[dict] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def plain(self) -> dict:
        """Values by name."""
        return dataclasses.asdict(self)
