"""One comparison of simulated RTL and golden model, as ``coldspike verify`` makes it, in a process of its own.

``python -P check.py ROOT '{"layers": [7, 5, 3], ...}'`` with ROOT's parent on PYTHONPATH prints the result as JSON.
Exit code 0: all values equal, 1: some differ. Anything else is a crash.
"""

import functools
import json
import sys
from pathlib import Path

import numpy as np

QUICK = ("-O0", "-fvisibility=hidden")  # a device that runs for a second is not worth optimising


def compare(*, layers, lanes, batches, batch_size, interval, seed, stall, readout, scheme=None, over_time=None, rate=None,
            rules=None, **options) -> dict:
    """Mismatches by kind of state, and how many values were compared. Arguments as those of ``coldspike verify``; ``scheme`` are
    those of ``schemes`` behind the depth, ``over_time`` and ``rate`` those of OverTimeOptions and RateOptions in pairs, for rules
    sparse-bptt and rate, ``rules`` those of a build of several."""
    from coldspike.host.builds import joined
    from coldspike.host.devices import open_device
    from coldspike.host.options import READOUTS
    from coldspike.host.over_time import OverTimeOptions
    from coldspike.host.rate_based import RateOptions
    from coldspike.host.schemes import schemes
    from coldspike.host.stimuli import random_settings
    from coldspike.host.verify import Verification
    from coldspike.sim import device
    from coldspike.spec.config import CoreConfig, Rule

    device.build_library = functools.partial(device.build_library, cxx_flags=QUICK)
    runs = OverTimeOptions(**dict(over_time)) if over_time else None
    traced = RateOptions(**dict(rate)) if rate else None
    needs = joined([each.build(tuple(layers)) for each in (runs, traced) if each])
    config = CoreConfig.for_network(tuple(layers), lanes=lanes, **options, **needs | ({"rules": rules} if rules else {}))
    settings = random_settings(np.random.default_rng([seed, 2]), config, tuple(layers), batch_size=batch_size,
                               readout=READOUTS[readout], interval=interval,
                               schemes=schemes(len(layers) - 1, *scheme) if scheme else (),
                               over_time=runs and runs.random_settings(config, np.random.default_rng([seed, 3]), tuple(layers)),
                               rate=traced and traced.settings())
    simulated = open_device("simulated", config, stall=stall, stall_seed=seed)
    try:
        turns = [settings.of(Rule(rule)) for rule in rules] if rules else [settings]
        check = Verification(open_device("golden", config), simulated, turns, seed=seed, total_cycles=not stall)
        check.run(batches, batch_size)
    finally:
        simulated.close()
    return {"values": check.values, "first": {kind: tally.first for kind, tally in check.tallies.items() if tally.first},
            "mismatches": {kind: tally.mismatches for kind, tally in check.tallies.items() if tally.mismatches}}


def main() -> int:
    """Runs the comparison that the command line describes."""
    root, options = Path(sys.argv[1]).resolve(), json.loads(sys.argv[2])
    from coldspike import host, hw, model, sim, spec
    for package in (spec, hw, model, sim, host):
        if not Path(package.__file__).resolve().is_relative_to(root):
            raise RuntimeError(f"{package.__name__} comes from {package.__file__}, not from {root}")
    result = compare(**options)
    print(json.dumps(result))
    return 1 if result["mismatches"] else 0


if __name__ == "__main__":
    try:
        status = main()
    except BaseException:  # Python would end with 1, which means a mismatch here
        sys.excepthook(*sys.exc_info())
        status = 3
    sys.exit(status)
