"""Cycles of rule sparse-bptt against a walk through the schedules as the docstrings of hw/ word them, entry by entry."""

import itertools
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from coldspike.hw.backward.decayed_lanes import DecayedLanes
from coldspike.hw.backward.error_lanes import ErrorLanes
from coldspike.hw.backward.error_sweep import ErrorSweep
from coldspike.hw.backward.gradient_sweep import GradientSweep
from coldspike.hw.forward.leaky_accumulator import LeakyAccumulator
from coldspike.hw.forward.step_engine import StepForwardEngine
from coldspike.model.exact import OverTimeRecord
from coldspike.model.timing import TimingModel
from coldspike.model.timing_over_time import backward, forward, gradient_sweep, jobs_written, least_backward
from coldspike.spec.lif import GradientForm, OverTime
from coldspike.spec.pipeline import READOUT_FIXED

from .test_over_time import Both, settings


def forward_cycles(network, record, n):
    """hw/forward/step_engine.py, step after step."""
    lanes, steps = network.config.lanes, network.settings.steps
    cycles = StepForwardEngine.LOAD + sum(row.count(True) for row in record.spikes[0][n].tolist())
    for l, (place, spikes) in enumerate(zip(network.layout, record.spikes, strict=True), start=1):
        is_output = l == network.depth
        cycles += StepForwardEngine.LAYER
        for t in range(steps + is_output):
            events = spikes[n, t].tolist().count(True) if t < steps else 0
            adding, scanning = LeakyAccumulator.TURN + place.out_blocks * (1 + events), 0
            if t > 0:
                sent = [True] * place.n_out if is_output else record.scanned[l - 1][n, t].tolist()
                scanning = StepForwardEngine.SCAN + sum(max(1, sent[b:b + lanes].count(True)) for b in range(0, place.n_out, lanes))
            cycles += max(adding, scanning)
    return cycles


def gradient_cycles(place, lanes, spikes, jobs, form):
    """hw/backward/gradient_sweep.py, cycle after cycle: ``spikes`` and ``jobs`` (step, neuron), ascending."""
    if form is GradientForm.SPIKES or form is GradientForm.CHEAPER and len(jobs) * place.n_in > len(spikes) * place.n_out:
        blocks, entries = place.out_blocks, sorted([(m, 1, j) for m, j in jobs] + [(t, 0, i) for t, i in spikes], reverse=True)
        entries = [(bool(is_job), neuron) for _, is_job, neuron in entries]
    else:
        end = jobs[-1][0] if jobs else -1
        blocks, entries = place.in_blocks, sorted([(t, 0, i) for t, i in spikes if t <= end] + [(m, 1, j) for m, j in jobs])
        entries = [(not is_job, neuron) for _, is_job, neuron in entries]
    growths, readings, free, done = [], [], max(blocks, 2), 0
    for cycle in itertools.count():
        if not entries and cycle >= done:
            return cycle + 1
        if not entries or cycle < free:
            continue
        grows, neuron = entries[0]
        if grows:
            if all(cycle >= at + DecayedLanes.WRITTEN for i, at in growths if i == neuron):
                growths.append((neuron, cycle))
                free, done = cycle + 1, cycle + 9
                entries.pop(0)
        elif not growths:
            free = done = cycle + 1
            entries.pop(0)
        elif (all(cycle >= at + DecayedLanes.WRITTEN - i // lanes for i, at in growths)
              and all(cycle >= at + GradientSweep.REUSE for i, at in readings if i == neuron)):
            readings.append((neuron, cycle))
            free, done = cycle + blocks, cycle + blocks + 8
            entries.pop(0)


def error_cycles(blocks, jobs, looks):
    """hw/backward/error_sweep.py, entry after entry in reverse time: ``jobs`` (m, j), ``looks`` (t, i)."""
    cycles = ErrorSweep.FIXED
    for _, is_look in sorted([(m, 0) for m, _ in jobs if m > 0] + [(t, 1) for t, _ in looks], reverse=True):
        cycles += 1 if is_look else max(blocks, ErrorLanes.DEPTH)
    return cycles


def backward_cycles(network, record, n):
    """hw/backward/step_engine.py, state after state."""
    if not record.train:
        return 0
    cycles = 0
    for l in range(network.depth, 0, -1):
        cycles += 1  # LOOK
        if not record.learned[n]:
            return cycles
        place, jobs = network.layout[l - 1], record.jobs[l - 1][n].nonzero().tolist()
        walk = gradient_cycles(place, network.config.lanes, record.spikes[l - 1][n].nonzero().tolist(), jobs,
                               network.settings.gradients)
        if l > 1:
            walk = max(walk, error_cycles(place.in_blocks, jobs, record.active[l - 2][n].nonzero().tolist()))
        cycles += 1 + walk  # SWEEP, WALK
    return cycles


CASES = {  # layers, settings, more
    "usual": ((7, 6, 5, 3), settings(), {}),
    "one layer": ((6, 4), settings(1), {}),
    "four layers, 4 lanes": ((13, 6, 9, 4, 3), settings(4, 10, 0.8), {"lanes": 4}),
    "sum over time": ((6, 7, 4), settings(2, 9, over_time=OverTime.SUM), {}),
    "one step": ((5, 4, 3), settings(2, 1, 2.0), {}),
    "everything active": ((15, 9, 3), settings(2, 8, 100.0), {}),
    "nothing active": ((5, 4, 3), settings(2, 8, 0.0), {}),
    "no room": ((6, 5, 5, 6), settings(3, 12, 0.6), {"job_entries": 14, "spike_entries": 45}),
}


def records(name, form=GradientForm.CHEAPER):
    """A network and what some training and some inference samples did."""
    layers, chosen, more = CASES[name]
    both = Both(layers, replace(chosen, gradients=form), 3, **more)
    made = []
    for density in (0.05, 0.3, 0.7):
        spikes, labels = both.inputs(4, density)
        made += [both.exact.train(spikes, labels)[3], both.exact.infer(spikes)[3]]
    return both.exact, made


@pytest.mark.parametrize("form", GradientForm)
@pytest.mark.parametrize("name", CASES)
def test_cycles_of_samples(name, form):
    network, made = records(name, form)
    for record in made:
        assert forward(network, record).tolist() == [forward_cycles(network, record, n) for n in range(4)]
        assert backward(network, record).tolist() == [backward_cycles(network, record, n) for n in range(4)]
    learned = torch.cat([record.learned for record in made if record.train])
    assert bool(learned.any()) and bool(learned.all()) == (name != "no room")


@pytest.mark.parametrize("name", ["usual", "no room"])
def test_samples_that_teach_nothing(name):
    """One look at the tape where it had no room, and no cycle for inference."""
    network, made = records(name)
    for record in made:
        cycles, learned = backward(network, record), record.learned.numpy()
        if record.train:
            assert (cycles[~learned] == 1).all() and (cycles[learned] > 3 * network.depth).all()
        else:
            assert not cycles.any() and not learned.any()


@pytest.mark.parametrize("name", ["usual", "sum over time", "no room"])
def test_phase_counters(name):
    """Sums over the samples, however they are grouped; the readout computes errors of training samples, and writes the jobs of
    those that are learned from."""
    network, made = records(name)
    outputs, steps = network.layers[-1], network.settings.steps
    writing = (steps if name == "sum over time" else 1) * outputs + 2
    assert jobs_written(network) == writing
    whole, split = TimingModel(), TimingModel()
    for record in made:
        found = whole(network, record)
        written = int(record.written.sum())
        assert found["FORWARD_CYCLES"] == sum(forward_cycles(network, record, n) for n in range(4))
        assert found["BACKWARD_CYCLES"] == sum(backward_cycles(network, record, n) for n in range(4))
        assert found["READOUT_CYCLES"] == record.train * 4 * (2 * outputs + READOUT_FIXED) + written * writing
        assert found["TOTAL_CYCLES"] > found["FORWARD_CYCLES"] + found["READOUT_CYCLES"] + found["BACKWARD_CYCLES"]
        parts = [split(network, single(record, n)) for n in range(4)]
        assert {key: sum(part[key] for part in parts) for key in found} == found


def single(record, n):
    """Sample ``n`` alone."""
    lists = {name: [each[n:n + 1] for each in getattr(record, name)] for name in ("spikes", "scanned", "active", "jobs")}
    return OverTimeRecord(train=record.train, learned=record.learned[n:n + 1], written=record.written[n:n + 1], **lists)


def least_cycles(network, record, n, entry):
    """docs/timing.md, entry after entry: a layer's lists by step, and whether each entry meets something of the other list."""
    cycles, lanes, form = 0, network.config.lanes, network.settings.gradients
    for l, (n_in, n_out) in enumerate(itertools.pairwise(network.layers)):
        jobs, spikes = ([step for step, _ in entries[n].nonzero().tolist()] for entries in (record.jobs[l], record.spikes[l]))
        looks = [step for step, _ in record.active[l - 1][n].nonzero().tolist()] if l else []
        by_spikes = form is GradientForm.SPIKES or form is GradientForm.CHEAPER and len(jobs) * n_in > len(spikes) * n_out
        reads = sum(any(t <= m for t in spikes) for m in jobs), sum(any(t <= m for m in jobs) for t in spikes)
        readings, growths, size = (*reversed(reads), n_out) if by_spikes else (*reads, n_in)
        errors = sum(any(t <= m for t in looks) for m in jobs) * math.ceil(n_in / lanes) + entry * len(looks)
        cycles += max(readings * math.ceil(size / lanes) + entry * growths, errors)
    return cycles if record.learned[n] else 0


WINDOWS = {"narrow": 0.1, "usual": 0.4, "wide": 0.95, "beyond rest": 1.5, "infinite": 256.0}


@pytest.mark.parametrize("form", GradientForm)
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("layers, lanes", [((13, 7, 11, 5, 3), 4), ((9, 17, 5, 2), 2), ((21, 3), 8)], ids=str)
def test_least_backward_is_a_lower_bound(layers, lanes, window, form):
    """Of each sample, and so of each mean; equal to a count entry by entry. Words alone are less."""
    depth, seen = len(layers) - 1, []
    for over_time, least_steps in itertools.product(OverTime, (1, 14)):
        chosen = settings(depth, least_steps, WINDOWS[window], gradients=form, over_time=over_time)
        both = Both(layers, chosen, 5, lanes=lanes)
        for density in (0.02, 0.1, 0.5):
            record = both.exact.train(*both.inputs(4, density))[3]
            least, words = least_backward(both.exact, record), least_backward(both.exact, record, words_only=True)
            assert least.tolist() == [least_cycles(both.exact, record, n, 1) for n in range(4)]
            assert words.tolist() == [least_cycles(both.exact, record, n, 0) for n in range(4)]
            taken = backward(both.exact, record)
            assert (words <= least).all() and (least < taken).all()
            seen += (least / taken).tolist()
    assert max(seen) > 0.5, "a bound that says something"


@pytest.mark.parametrize("form", GradientForm)
def test_least_words_of_one_layer_are_those_that_the_counter_counts(form):
    """Of a layer without an error sweep."""
    both = Both((6, 4), settings(1, 12, gradients=form), 3, lanes=4)
    records = [both.exact.train(*both.inputs(5, density))[3] for density in (0.02, 0.1, 0.4)]
    words = sum(int(least_backward(both.exact, record, words_only=True).sum()) for record in records)
    assert words == both.exact.counters["GRADIENT_WORDS"] > 0


def test_least_backward_of_samples_that_teach_nothing():
    network, made = records("no room")
    for record in made:
        assert not least_backward(network, record)[~record.learned.numpy()].any()
    assert any(least_backward(network, record).any() for record in made)


@pytest.mark.parametrize("form, spikes, jobs, looks, cycles, words", [
    (GradientForm.ACTIVE, [(2, 0)], [(2, 0)], [(2, 0)], 3 + 1, 3),  # of an output layer of two neurons, 5 inputs, 2 lanes
    (GradientForm.ACTIVE, [(2, 0)], [(1, 0), (2, 0)], [(3, 0)], 3 + 1, 3),
    (GradientForm.ACTIVE, [(2, 0), (3, 0)], [(2, 0)], [], 3 + 1, 3),
    (GradientForm.ACTIVE, [(3, 0)], [(2, 0)], [(3, 0), (3, 1)], 2, 0),
    (GradientForm.SPIKES, [(2, 0), (3, 1)], [(1, 0), (2, 0)], [(3, 0)], 1 + 1, 1),
    (GradientForm.SPIKES, [(2, 0)], [(1, 0), (2, 0)], [(2, 0)], 3 + 1, 3),
    (GradientForm.SPIKES, [(2, 0)], [(1, 0), (2, 0)], [(1, 0)], 6 + 1, 6),
])
def test_least_backward_by_hand(form, spikes, jobs, looks, cycles, words):
    """What meets nothing is not demanded: jobs before the first spike or look, spikes behind the last job. Layer 1 has no jobs."""
    network = Both((4, 5, 2), settings(2, 4, gradients=form), 3).exact
    record = OverTimeRecord(train=True, learned=torch.ones(1, dtype=torch.bool), written=torch.ones(1, dtype=torch.bool),
                            spikes=[mask([(0, 0)], 4), mask(spikes, 5)], scanned=[mask([], 5)], active=[mask(looks, 5)],
                            jobs=[mask([], 5), mask(jobs, 2)])
    assert least_backward(network, record).tolist() == [cycles]
    assert least_backward(network, record, words_only=True).tolist() == [words]


def mask(entries, size):
    """bool [1, 4, size] of (step, neuron)."""
    out = torch.zeros(1, 4, size, dtype=torch.bool)
    for step, neuron in entries:
        out[0, step, neuron] = True
    return out


def place_of(lanes, inputs, outputs):
    return SimpleNamespace(n_in=inputs, n_out=outputs, in_blocks=-(-inputs // lanes), out_blocks=-(-outputs // lanes))


@pytest.mark.parametrize("form", GradientForm)
@pytest.mark.parametrize("lanes, inputs, outputs", [(2, 1, 5), (2, 3, 5), (2, 14, 5), (2, 5, 14), (4, 4, 4), (4, 11, 3), (8, 60, 5),
                                                    (8, 5, 60)])
def test_gradient_sweep(lanes, inputs, outputs, form):
    """Few to many spikes and jobs: sums that are not back yet, rows and columns that come again, readings longer than their way."""
    rng, steps, place = np.random.default_rng(inputs), 7, place_of(lanes, inputs, outputs)
    seen = set()
    for of_spikes, of_jobs in itertools.product((0.0, 0.05, 0.3, 1.0), (0.0, 0.05, 0.4, 1.0)):
        for _ in range(3):
            spikes, jobs = rng.random((steps, inputs)) < of_spikes, rng.random((steps, outputs)) < of_jobs
            rows = [[tuple(row) for row in np.argwhere(each).tolist()] for each in (spikes, jobs)]
            found = gradient_sweep(place, lanes, *map(listed, rows), form)
            assert found == gradient_cycles(place, lanes, *rows, form)
            seen.add(found)
    assert min(seen) == 1 and len(seen) > 15


def listed(entries):
    return np.array(sorted(entries), int).reshape(-1, 2).T


@pytest.mark.parametrize("spikes, jobs, cycles", [
    ([], [], 1), ([(0, 4)], [], 1), ([], [(4, 0)], 3 + 1 + 1), ([(0, 4)], [(4, 0)], 3 + 3 + 3 + 9),
    ([(0, 4)], [(0, 0), (0, 1)], 3 + 3 + 3 + 3 + 9), ([(0, 4)], [(1, 0), (2, 0)], 3 + 3 + 5 + 3 + 9),
    ([(1, 4)], [(0, 0), (0, 1), (1, 0)], 3 + 2 + 3 + 3 + 9), ([(1, 4)], [(0, 0), (0, 1)], 3 + 1 + 1 + 1),
])
def test_gradient_sweeps_by_active_neuron_by_hand(spikes, jobs, cycles):
    """Three blocks are cleared in cycles 0 to 2; a spike of the last one begins in cycle 3, and the job not before 3 + 5 - 2."""
    assert gradient_sweep(place_of(2, 6, 2), 2, listed(spikes), listed(jobs), GradientForm.ACTIVE) == cycles


@pytest.mark.parametrize("spikes, jobs, cycles", [
    ([], [], 1), ([], [(0, 4)], 3 + 1 + 9), ([(4, 0)], [], 3 + 1 + 1), ([(0, 0)], [(4, 4)], 3 + 3 + 3 + 9),
    ([(4, 0), (4, 1)], [(4, 4)], 3 + 3 + 3 + 3 + 9), ([(3, 0), (4, 0)], [(4, 4)], 3 + 3 + 5 + 3 + 9),
    ([(3, 0), (4, 0), (4, 1)], [(3, 4)], 3 + 2 + 3 + 3 + 9), ([(3, 0), (4, 0)], [(4, 4), (2, 4), (1, 3)], 3 + 3 + 5 + 3 + 2 + 9),
])
def test_gradient_sweeps_by_input_spike_by_hand(spikes, jobs, cycles):
    """The same with the two lists' parts changed, in reverse time; jobs behind the last spike are work, too."""
    assert gradient_sweep(place_of(2, 2, 6), 2, listed(spikes), listed(jobs), GradientForm.SPIKES) == cycles


def test_the_form_with_fewer_additions():
    """Jobs of 6 inputs against 3 spikes of 2 outputs: by spikes where the jobs make more."""
    place, spikes = place_of(2, 6, 2), listed([(0, 4), (1, 4), (2, 4)])
    for count in (1, 2):
        jobs = listed([(4, 0), (4, 1)][:count])
        found = {form: gradient_sweep(place, 2, spikes, jobs, form) for form in GradientForm}
        assert found[GradientForm.CHEAPER] == found[(GradientForm.ACTIVE, GradientForm.SPIKES)[count - 1]]
        assert found[GradientForm.ACTIVE] != found[GradientForm.SPIKES]
