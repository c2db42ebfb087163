"""What a run leaves for people and programs: metrics.csv, config.toml and summary.json."""

import csv
import io
import json
from pathlib import Path

import numpy as np

from ..spec.config import CoreConfig
from . import measures
from .device import Device
from .files import write_whole
from .memories import weights_digest
from .options import TrainOptions
from .runstate import RunState

__all__ = ["row", "summary", "write_config", "write_metrics", "write_summary"]

CONFIG_NAME, METRICS_NAME, SUMMARY_NAME = "config.toml", "metrics.csv", "summary.json"
CLIP_COUNTERS = ("LEVEL_CLIPS", "SLOPE_CLIPS", "MEMBRANE_SATURATIONS", "OVERFLOWS", "ERROR_SATURATIONS", "GRADIENT_SATURATIONS",
                 "WEIGHT_SATURATIONS")


def row(state: RunState, options: TrainOptions, config: CoreConfig, test_accuracy: float) -> dict:
    """One row of metrics.csv: the epoch that ``state`` has just completed.

    Everything but ``samples_per_second`` is the same for an interrupted and an uninterrupted run.
    """
    counters, layers = state.epoch_counters, options.layers
    out = {
        "epoch": state.epoch + 1,
        "train_loss": state.loss_sum / state.samples,
        "train_accuracy": state.correct / state.samples,
        "test_accuracy": test_accuracy,
        "samples": state.samples,
        "samples_per_second": state.samples / max(state.epoch_seconds, 1e-9),
        "cycles_per_sample": counters["TOTAL_CYCLES"] / state.samples,
        "transported_weights": counters["WEIGHTS_TRANSPORTED"],
    }
    out |= {f"{phase}_cycles": count for phase, count in measures.cycles(counters).items()}
    out |= {f"events_{l}": mean for l, mean in enumerate(measures.events_per_sample(counters, layers))}
    shares = measures.active_fraction(counters, layers, options.visits)
    out |= {f"active_fraction_{l}": share for l, share in enumerate(shares, start=1)}
    out |= {name.lower(): counters[name] for name in CLIP_COUNTERS if name in counters}
    rates = options.settings(state.epoch).rates(config)
    out |= {f"learning_rate_{l}": rate.learning_rate for l, rate in enumerate(rates, start=1)}
    return out


def write_metrics(folder: Path, rows: list[dict]) -> None:
    """Writes metrics.csv: a header and a row for each epoch."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(folder / METRICS_NAME, text.getvalue())


def write_config(folder: Path, options: TrainOptions) -> None:
    """Writes config.toml: every option of the run, in the form that ``--config`` reads."""
    write_whole(folder / CONFIG_NAME, options.toml())


def summary(options: TrainOptions, device: Device, state: RunState, memories: dict[str, np.ndarray]) -> dict:
    """The figures of a completed run; means and cycles are over its training samples, tests excluded."""
    counters, layers, last = state.run_counters, options.layers, state.rows[-1]
    trained, seconds = counters["SAMPLES_TRAINED"], max(state.train_seconds, 1e-9)
    reduction = measures.transport_reduction(counters, layers)
    epoch = state.epoch - 1
    return {
        "device": options.device, "rule": options.rule, "feedback": options.feedback, "transport": options.transport,
        "interval": options.interval, "readout": options.readout, "optimizer": options.optimizer, "data": options.data,
        "layers": list(layers), "lanes": options.lanes, "seed": options.seed, "epochs": state.epoch,
        "batch_size": options.batch_size, "learning_rate": list(options.lr), "lr_decay": options.lr_decay,
        "weight_decay": options.weight_decay,
        "effective_learning_rate": [rate.learning_rate for rate in options.settings(epoch).rates(device.config)],
        "samples_trained": trained, "updates": counters["UPDATES"],
        "test_accuracy": last["test_accuracy"], "train_accuracy": last["train_accuracy"],
        "best_test_accuracy": max(r["test_accuracy"] for r in state.rows), "train_loss": last["train_loss"],
        "cycles": measures.cycles(counters), "cycles_per_sample": counters["TOTAL_CYCLES"] / trained,
        "lane_utilization": measures.lane_utilization(counters, layers, options.lanes),
        "transported_weights": counters["WEIGHTS_TRANSPORTED"], "transport_reduction": reduction,
        "events_per_sample": measures.events_per_sample(counters, layers),
        "active_fraction": measures.active_fraction(counters, layers, options.visits),
        "simulated_cycles_per_second": state.clock_cycles / seconds if state.clock_cycles else None,
        "samples_per_second": trained / seconds,
        "train_seconds": state.train_seconds, "wall_seconds": state.wall_seconds,
        "weights_digest": weights_digest(memories), "core": device.config.as_dict(), "counters": counters,
        "warnings": state.warnings,
    }


def write_summary(folder: Path, options: TrainOptions, device: Device, state: RunState,
                  memories: dict[str, np.ndarray]) -> dict:
    """Writes summary.json and returns its contents."""
    contents = summary(options, device, state, memories)
    write_whole(folder / SUMMARY_NAME, json.dumps(contents, indent=2) + "\n")
    return contents
