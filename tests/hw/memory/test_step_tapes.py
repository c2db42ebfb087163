"""StepTapes against Python lists: all ports at once, layers of even and odd index, replacement of the layer below, overflow."""

import random

import pytest

from coldspike.hw.memory.step_tapes import StepTapes
from coldspike.spec.config import CoreConfig

from ..cycles import play

READERS = ("spikes_r", "error", "gradient", "active")


def build(depth, spikes, jobs):
    return CoreConfig.for_network((3,) * (depth + 1), lanes=2, rules="sparse-bptt", max_steps=9, spike_entries=spikes,
                                  job_entries=jobs)


def spike(rng, config):
    return {"step": rng.randrange(config.max_steps), "index": rng.randrange(config.max_neurons)}


def job(rng, config):
    return {"step": rng.randrange(1, config.max_steps + 1), "index": rng.randrange(config.max_neurons),
            "value": rng.randrange(-1 << 17, 1 << 17)}


def plain(entry):
    return {name: int(getattr(entry, name)) for name in entry.shape().members}


def written(rng, spikes, jobs):
    """Cycles that write ``spikes`` and ``jobs``, (list, entries) in this order, side by side, each with idle cycles; nothing is
    left out where there is room."""
    def side(lists, begins, adds):
        cycles = []
        for which, entries in lists:
            cycles.append(begins(which))
            for entry in entries:
                cycles += [adds(which, None)] * rng.choice((0, 0, 1)) + [adds(which, entry)]
        return cycles

    one = side(spikes, lambda l: {"spikes_w_list": l, "spikes_w_begin": 1},
               lambda l, entry: {"spikes_w_list": l} | ({"spikes_w_en": 1, "spikes_w_entry": entry} if entry else {}))
    two = side(jobs, lambda l: {"jobs_w_layer": l, "jobs_w_begin": 1},
               lambda l, entry: {"jobs_w_layer": l} | ({"jobs_w_en": 1, "jobs_w_entry": entry} if entry else {}))
    return [(one[n] if n < len(one) else {}) | (two[n] if n < len(two) else {}) for n in range(max(len(one), len(two)))]


def swept(rng, config, spikes, jobs, layer):
    """Random cycles of both sweeps of ``layer``, in which all entries of the layer below are replaced; changes ``jobs``. Beside
    each cycle what its ports show: counts at once, entries in the cycle after."""
    below, cycles = jobs[layer - 1] if layer > 1 else [], []
    waiting = list(range(len(below)))
    while waiting or len(cycles) < 25:
        heard = rng.randrange(len(spikes))
        inputs, shows = {"layer": layer, "spikes_r_list": heard}, {}
        lists = {"spikes_r": spikes[heard], "error": jobs[layer], "gradient": jobs[layer], "active": below}
        counts = {name: len(entries) for name, entries in lists.items()}
        if waiting and rng.random() < 0.6:
            index = waiting.pop()
            inputs |= {"replace_en": 1, "replace_index": index, "replace_entry": job(rng, config)}
        for name, entries in lists.items():
            if entries and rng.random() < 0.8:
                index = rng.randrange(len(entries))
                if name != "active" or index != inputs.get("replace_index"):
                    inputs |= {f"{name}_en": 1, f"{name}_index": index}
                    shows[name] = entries[index]
        if "replace_en" in inputs:
            below[inputs["replace_index"]] = inputs["replace_entry"]
        cycles.append((inputs, counts, shows))
    return cycles


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_a_sample(depth):
    """Written side by side, then swept from the last layer down: a layer's jobs are what replaced its active neurons. Twice: the
    second sample finds nothing of the first."""
    rng = random.Random(depth)
    config = build(depth, 40, 24)
    stimulus, expected = [], {}
    for _ in range(2):
        spikes = {l: [spike(rng, config) for _ in range(rng.randint(1, 40 // depth))] for l in range(depth)}
        jobs = {l: [job(rng, config) for _ in range(rng.randint(1, 24 // (depth // 2 + 1)))] for l in range(1, depth + 1)}
        if depth > 3:
            spikes[1], jobs[2] = [], []
        stimulus += [{"clear": 1}, *written(rng, spikes.items(), jobs.items())]
        for layer in range(depth, 0, -1):
            for inputs, counts, shows in swept(rng, config, spikes, jobs, layer):
                expected.setdefault(len(stimulus), {}).update({f"{name}_count": count for name, count in counts.items()})
                stimulus.append(inputs)
                expected[len(stimulus)] = {f"{name}_entry": entry for name, entry in shows.items()}
            stimulus.append({"layer": layer})  # the next one's counts are another's
    trace = play(StepTapes(config), stimulus, ["overflow", *(f"{name}_{side}" for name in READERS for side in ("count", "entry"))],
                 rest=1)
    assert not any(t["overflow"] for t in trace)
    for n, values in expected.items():
        for name, value in values.items():
            assert (plain(trace[n][name]) if name.endswith("entry") else trace[n][name]) == value, (n, name)
    assert depth == 1 or any(inputs.get("replace_en") for inputs in stimulus)


FULL = {"spikes": (5, 4, 4), "even": (4, 5, 4), "odd": (4, 4, 5)}
"""Entries of the spikes', the even and the odd layers' memory, one of which has no room for its last one."""


@pytest.mark.parametrize("which", [None, *FULL])
def test_overflow(which):
    """Each memory reports it; ``clear`` forgets it, and the lists. The others keep all they were given."""
    rng, depth, room = random.Random(5), 4, 4
    config = build(depth, room, room)
    spike_count, even, odd = FULL.get(which, (4, 4, 4))
    spikes = [(0, [spike(rng, config) for _ in range(3)]), (2, [spike(rng, config) for _ in range(spike_count - 3)])]
    jobs = [(l, [job(rng, config) for _ in range(count)]) for l, count in ((1, 2), (2, 1), (3, odd - 2), (4, even - 1))]
    writing = written(rng, spikes, jobs)
    given = {"spikes_r": dict(spikes), "gradient": dict(jobs)}
    kept = {"spikes_r": {0: spikes[0][1], 2: spikes[1][1][:room - 3]},
            "gradient": {1: jobs[0][1], 2: jobs[1][1], 3: jobs[2][1][:room - 2], 4: jobs[3][1][:room - 1]}}
    reads = []
    for name, list_of in (("spikes_r", "spikes_r_list"), ("gradient", "layer")):
        for l, entries in kept[name].items():
            for n, entry in enumerate(entries):
                reads.append(({list_of: l, f"{name}_en": 1, f"{name}_index": n}, name, entry, len(entries)))
            reads.append(({list_of: l}, name, None, len(entries)))  # the layer stays until its last entry is seen
    first = len(writing) + 1
    second = first + len(reads) + 1
    lists = [{"spikes_r_list": l % depth, "layer": l} for l in range(1, depth + 1)]
    trace = play(StepTapes(config), [*writing, {}, *(inputs for inputs, *_ in reads), {"clear": 1}, *lists, {"clear": 1},
                                     *writing],
                 ["overflow", "spikes_r_count", "spikes_r_entry", "gradient_count", "gradient_entry", "error_count",
                  "active_count"], rest=1)
    last = {"spikes": ("spikes_w_en", None), "even": ("jobs_w_en", 0), "odd": ("jobs_w_en", 1)}
    if which is None:
        assert not any(t["overflow"] for t in trace) and kept == given
    else:
        en, parity = last[which]
        at = max(n for n, c in enumerate(writing) if c.get(en) and parity in (None, c["jobs_w_layer"] % 2))
        assert [t["overflow"] for t in trace[:second]] == [0] * (at + 1) + [1] * (second - at - 1)
        assert [t["overflow"] for t in trace[second:]] == [0] * (len(lists) + 1 + at + 1) + [1] * (len(writing) - at)
    for n, (_, name, entry, count) in enumerate(reads, start=first):
        assert trace[n][f"{name}_count"] == count and (entry is None or plain(trace[n + 1][f"{name}_entry"]) == entry)
    for t in trace[second:second + len(lists)]:
        assert not any(t[f"{name}_count"] for name in ("spikes_r", "gradient", "error", "active"))
