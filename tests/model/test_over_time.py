"""Networks of rule sparse-bptt against plain integers: batches, counters, what the last sample leaves, tapes without room."""

import math
from collections import Counter

import pytest
import torch

from coldspike.model.exact import OverTimeRecord, SparseBpttNetwork, over_time
from coldspike.model.exact.readout import output_errors
from coldspike.spec.config import CoreConfig
from coldspike.spec.lif import LifSettings, OverTime, RateLoss

from .oracle_lif import Oracle

SATURATIONS = ("membrane_saturations", "error_saturations", "gradient_saturations")


class Plain(Oracle):
    """Sample after sample in plain integers, with the tape's memories, counters, and what the last sample leaves.

    Members
    -------
    count : counters by name. touched : for each weight layer the neurons with jobs since the last update.
    lost : for each sample the memories that were too small, of "spikes", 0 and 1 (the halves), and "output" for output jobs.
    lost_errors : output errors that saturated of samples whose output jobs found no room: they are counted all the same.
    heard, lists, eps, sums : spike_list, job_list, output_error and sums of the network. entries, scanned : as in its record.
    """

    def __init__(self, config, settings, *matrices):
        super().__init__(config, settings, *matrices)
        self.depth, self.count, self.lost, self.lost_errors = len(self.w), Counter(), [], 0
        self.touched, self.eps = [set() for _ in self.w], [0] * len(self.w[-1])

    def sample(self, events, label):
        """Logits, prediction, and whether the sample found no room; ``label`` None is inference."""
        train, lost = label is not None, set()
        room = {"spikes": self.c.spike_entries, 0: self.c.job_entries, 1: self.c.job_entries}

        def keep(entries, memory, name):
            fit = sorted(entries)[:room[memory]]
            room[memory] -= len(fit)
            lost.update([name] * (len(fit) < len(entries)))
            return fit

        self.heard, self.active, self.scanned, entries = [keep(events, "spikes", "spikes")], [], [], []
        for l in range(1, self.depth):
            fired, active = self.layer(l, self.heard[-1], True)
            self.active.append(active)
            self.scanned.append(fired | set(active if train else ()))
            self.heard.append(keep(fired, "spikes", "spikes"))
            entries.append(keep([(t, j) for t, j in active if train and t > 0], l % 2, l % 2))
        self.spikes = [set(spikes) for spikes in self.heard]
        self.potentials = self.layer(self.depth, self.spikes[-1], False)
        self.sums = [self.last_sums(l) for l in range(1, self.depth + 1)]
        logits, written = self.logits(), []
        if train:
            columns = list(zip(*self.potentials, strict=True))
            places = ([(column.index(max(column)), k) for k, column in enumerate(columns)] if self.s.over_time == OverTime.MAX
                      else [(m, k) for m in range(self.s.steps) for k in range(len(columns))])
            errors = output_errors(self.c, torch.tensor([logits]), torch.tensor([label]))[0].tolist()
            self.eps = errors
            if not lost:
                written = keep(places, self.depth % 2, "output")
                self.lost_errors += len(lost) and sum(c != self.limited(c) for c in map(self.error, errors))
            if not lost:
                self.learn_from(errors)
        self.entries = entries
        self.lists = [[(t, j, self.jobs[l][t - 1, j] if train and not lost else self.active[l - 1][t, j]) for t, j in layer]
                      for l, layer in enumerate(entries, start=1)]
        self.lists.append([(m + 1, k, self.limited(self.error(errors[k]))) for m, k in written])
        self.lost.append(lost)
        self.count["SAMPLES_TRAINED" if train else "SAMPLES_INFERRED"] += 1
        self.count["OVERFLOWS"] += bool(lost)
        for l, spikes in enumerate(self.heard):
            self.count[f"EVENTS_{l}"] += len(spikes)
        for name in SATURATIONS:
            self.count[name.upper()] = getattr(self, name)
        self.count["ERROR_SATURATIONS"] += self.lost_errors
        self.count["GRADIENT_WORDS"] = self.words
        return logits, logits.index(max(logits)), bool(lost)

    def learn_from(self, errors):
        self.backward(errors)
        for l, jobs in self.jobs.items():
            self.count[f"ACTIVE_{l}"] += len(jobs)
            self.touched[l - 1] |= {j for _, j in jobs}

    def error(self, eps):
        return -eps << (self.s.gain + self.s.scales[-1])

    def limited(self, c):
        return min(max(c, self.c.error.min), self.c.error.max)

    def last_sums(self, l):
        """decay(V) - reset + I of step T - 1, unsaturated."""
        one, out = 1 << self.c.weight_fraction, []
        for row in self.w[l - 1]:
            v = 0
            for t in range(self.s.steps):
                reset = one if l < self.depth and v > one else 0
                x = self.decay(v, 1) - reset + sum(row[i] for step, i in self.spikes[l - 1] if step == t)
                v = min(max(x, -(1 << 17)), (1 << 17) - 1)
            out.append(x)
        return out


class Both:
    """A network and plain integers with the same memories."""

    def __init__(self, layers, settings, seed, spread=1.5, **build):
        self.config = CoreConfig.for_network(layers, rules="sparse-bptt", **{"lanes": 2, "max_steps": settings.steps + 2, **build})
        self.random = torch.Generator().manual_seed(seed)
        self.exact = SparseBpttNetwork(self.config, layers, settings, rates=[(150, 12)] * (len(layers) - 1))
        for matrices, form in ((self.exact.weights, self.config.weight), (self.exact.feedback[1:], self.config.feedback)):
            for values in matrices:
                drawn = torch.randn(values.shape, generator=self.random) * spread * form.one / math.sqrt(values.shape[1])
                values[:] = drawn.long().clamp(form.min, form.max)
        self.plain = Plain(self.config, settings, *([m.tolist() for m in matrices] for matrices in (
            self.exact.weights, self.used_feedback(), self.exact.gradients)))

    def used_feedback(self):
        """B of layers 1 (which nobody uses) to L, in the weights' format."""
        return [self.exact.weights[0], *(b << self.config.feedback_shift for b in self.exact.feedback[1:])]

    def inputs(self, samples, density):
        shape = (samples, self.exact.settings.steps, self.exact.layers[0])
        return (torch.rand(shape, generator=self.random) < density,
                torch.randint(0, self.exact.layers[-1], (samples,), generator=self.random))

    def batch(self, spikes, labels):
        """Runs samples on both (``labels`` None: inference) and compares all that comes of them."""
        exact, plain = self.exact, self.plain
        logits, predicted, over, record = exact.infer(spikes) if labels is None else exact.train(spikes, labels)
        for n in range(len(spikes)):
            result = plain.sample([tuple(e) for e in spikes[n].nonzero().tolist()], None if labels is None else int(labels[n]))
            assert (logits[n].tolist(), int(predicted[n]), bool(over[n])) == result
            self.check_record(record, n, not result[2] and labels is not None)
        assert record.train == (labels is not None) and record.samples == len(spikes)
        self.check()

    def check_record(self, record, n, learned):
        plain = self.plain
        assert bool(record.learned[n]) == learned
        assert [each[n].nonzero().tolist() for each in record.spikes] == [[list(e) for e in each] for each in plain.heard]
        assert [each[n].nonzero().tolist() for each in record.active] == [[list(e) for e in each] for each in plain.entries]
        assert [{tuple(e) for e in each[n].nonzero().tolist()} for each in record.scanned] == plain.scanned
        for l, jobs in enumerate(record.jobs, start=1):
            assert {tuple(e) for e in jobs[n].nonzero().tolist()} == set(plain.jobs[l] if learned else ())

    def check(self):
        exact, plain = self.exact, self.plain
        assert {name: count for name, count in exact.counters.items() if count} == +plain.count
        assert [each.tolist() for each in exact.sums] == plain.sums
        assert [each.tolist() for each in exact.spike_list] == [[list(e) for e in each] for each in plain.heard]
        assert [each.tolist() for each in exact.job_list] == [[list(e) for e in each] for each in plain.lists]
        assert exact.output_error.tolist() == plain.eps
        assert [each.tolist() for each in exact.gradients] == plain.g
        assert [set(each.nonzero()[:, 0].tolist()) for each in exact.touched] == plain.touched

    def update(self):
        """UPDATE, which the rules share: the plain integers go on from what it leaves."""
        exact, plain = self.exact, self.plain
        assert exact.update().active == [bool(listed) for listed in plain.touched]
        assert not any(each.any() for each in (*exact.touched, *exact.gradients))
        plain.w, plain.g = [w.tolist() for w in exact.weights], [g.tolist() for g in exact.gradients]
        plain.b = [b.tolist() for b in self.used_feedback()]
        plain.touched = [set() for _ in plain.w]
        for name in ("UPDATES", "TRANSPORTS", "WEIGHTS_READ", "WEIGHTS_TRANSPORTED", "TRANSPORT_WORDS", "FEEDBACK_WORDS",
                     "WEIGHT_SATURATIONS"):
            plain.count[name] = exact.counters[name]

    def run(self, batches=2, density=0.3):
        for _ in range(batches):
            for samples, train in ((3, True), (2, False), (1, True), (2, True), (1, False)):
                spikes, labels = self.inputs(samples, density)
                self.batch(spikes, labels if train else None)
            self.update()


def settings(depth=3, steps=12, window=0.4, **options):
    """``window`` in potential."""
    defaults = {"beta": 0.9, "scales": tuple(range(2 * depth - 2, -1, -2)), "gain": 1}
    return LifSettings(steps=steps, window=int(window * 4096), **defaults | options)


CASES = {  # layers, settings, more
    "usual": ((7, 6, 5, 3), settings(), {}),
    "one layer": ((6, 4), settings(1), {}),
    "four layers": ((5, 6, 5, 4, 3), settings(4, 10, 0.8), {}),
    "sum over time": ((6, 7, 4), settings(2, 9, over_time=OverTime.SUM), {}),
    "one step": ((5, 4, 3), settings(2, 1, 2.0), {"spread": 2.5}),
    "one step, sum": ((5, 4, 3), settings(2, 1, 2.0, over_time=OverTime.SUM), {}),
    "two steps": ((5, 4, 3), settings(2, 2, 2.0), {}),
    "everything active": ((5, 4, 3), settings(2, 8, 100.0), {}),
    "nothing active": ((5, 4, 3), settings(2, 8, 0.0), {}),
    "saturating": ((6, 5, 5, 4), settings(3, 12, 30.0, scales=(12, 9, 4), gain=3), {"spread": 60.0, "gradient_bits": 22}),
    "rates": ((7, 6, 5, 3), settings(3, rates=RateLoss(least=1, most=2, upper=(9000, 700), lower=(400, 6000))),
              {"rate_loss": True}),
    "8-bit feedback": ((6, 5, 5, 4), settings(3), {"feedback_precision": "8-bit"}),
}


@pytest.mark.parametrize("name", CASES)
def test_batches_equal_plain_integers(name):
    layers, chosen, more = CASES[name]
    both = Both(layers, chosen, len(name), **more)
    both.run()
    count = both.plain.count
    assert count["OVERFLOWS"] == 0 and count["SAMPLES_TRAINED"] == 12 and count["SAMPLES_INFERRED"] == 6
    assert name != "saturating" or all(count[each.upper()] for each in SATURATIONS)
    assert (len(layers) == 2 or count["ACTIVE_1"] > 0) == (name not in ("nothing active", "one step", "one step, sum"))


@pytest.mark.parametrize("name", ["usual", "sum over time", "four layers"])
@pytest.mark.parametrize("chunk", [1, 2, 3])
def test_chunks_change_nothing(name, chunk, monkeypatch):
    layers, chosen, more = CASES[name]
    room = {"spike_entries": 30, "job_entries": 40} if name == "sum over time" else {"spike_entries": 40, "job_entries": 20}
    whole, parts = (Both(layers, chosen, 5, **room, **more) for _ in range(2))
    (spikes, labels), (others, _) = whole.inputs(7, 0.3), whole.inputs(4, 0.3)
    expected = [whole.exact.train(spikes, labels), whole.exact.infer(others)]
    monkeypatch.setattr(over_time, "_CHUNK", chunk)
    found = [parts.exact.train(spikes, labels), parts.exact.infer(others)]
    assert 0 < int(expected[0][2].sum()) < 7  # some samples overflow
    for (*results, record), (*results_found, record_found) in zip(expected, found, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(results, results_found, strict=True))
        same_record(record, record_found)
    same_state(whole.exact, parts.exact)


def same_record(record: OverTimeRecord, other: OverTimeRecord):
    assert record.train == other.train and torch.equal(record.learned, other.learned)
    for name in ("spikes", "scanned", "active", "jobs"):
        assert all(torch.equal(a, b) for a, b in zip(getattr(record, name), getattr(other, name), strict=True)), name


def same_state(network, other):
    assert network.counters == other.counters and torch.equal(network.output_error, other.output_error)
    for name in ("gradients", "touched", "sums", "spike_list", "job_list"):
        assert all(torch.equal(a, b) for a, b in zip(getattr(network, name), getattr(other, name), strict=True)), name


def test_no_samples_are_refused():
    both = Both((5, 4, 3), settings(2), 1)
    with pytest.raises(ValueError, match="^no samples$"):
        both.exact.infer(both.inputs(0, 0.5)[0])


OVERFLOWS = {  # what is too small, layers, settings, room
    "spikes": ((6, 5, 5, 3), settings(3, 10, 0.3), {"spike_entries": 17}),
    "spikes, one layer": ((6, 3), settings(1, 10), {"spike_entries": 16}),
    "odd half": ((6, 6, 3), settings(2, 10, 0.6), {"job_entries": 14}),
    "odd half, two layers": ((6, 5, 4, 5, 3), settings(4, 10, 0.5), {"job_entries": 10}),
    "even half": ((6, 3, 9, 3), settings(3, 10, 0.8), {"job_entries": 18}),
    "output jobs, max": ((6, 4, 8), settings(2, 10, 0.05), {"job_entries": 7}),
    "output jobs behind hidden ones": ((6, 5, 5, 6), settings(3, 10, 0.5), {"job_entries": 14}),
    "output jobs, sum": ((6, 3, 4, 4), settings(3, 8, 0.8, over_time=OverTime.SUM), {"job_entries": 44}),
    "output jobs that saturate": ((6, 4, 6), settings(2, 10, 0.1, gain=8), {"job_entries": 5}),
    "everything": ((6, 5, 5, 6), settings(3, 12, 0.6), {"job_entries": 18, "spike_entries": 24}),
    "one entry": ((4, 3, 2), settings(2, 5, 0.5), {"job_entries": 1, "spike_entries": 1}),
}
EXPECTED = {"spikes": "spikes", "odd": 1, "even": 0, "output": "output"}


@pytest.mark.parametrize("name", OVERFLOWS)
def test_overflow_equals_plain_integers(name):
    """An overflowed sample is counted and not learned from; the layers behind see the spikes that fit."""
    layers, chosen, room = OVERFLOWS[name]
    both = Both(layers, chosen, 3, **room)
    both.run(density=0.25)
    lost = both.plain.lost
    assert (both.plain.lost_errors > 0) == (name == "output jobs that saturate")
    assert both.plain.count["OVERFLOWS"] == sum(map(bool, lost)) > 0
    if name.split()[0].strip(",") in EXPECTED:
        assert {EXPECTED[name.split()[0].strip(",")]} in lost
    nothing_fits = ("output jobs, max", "output jobs that saturate", "one entry")
    assert (both.plain.count[f"ACTIVE_{len(layers) - 1}"] > 0) == (name not in nothing_fits)


@pytest.mark.parametrize("name", ["spikes", "odd half", "even half", "output jobs behind hidden ones", "output jobs, sum",
                                  "everything"])
def test_other_samples_are_as_without_the_overflow(name):
    layers, chosen, room = OVERFLOWS[name]
    small, large = Both(layers, chosen, 3, **room), Both(layers, chosen, 3)
    spikes, labels = small.inputs(12, 0.25)
    logits, predicted, over, record = small.exact.train(spikes, labels)
    fits = ~over
    assert 0 < int(over.sum()) < 12 and torch.equal(record.learned, fits)
    expected = large.exact.train(spikes[fits], labels[fits])
    assert torch.equal(logits[fits], expected[0]) and torch.equal(predicted[fits], expected[1]) and not expected[2].any()
    for l in range(len(layers) - 1):
        assert torch.equal(small.exact.gradients[l], large.exact.gradients[l])
        assert torch.equal(small.exact.touched[l], large.exact.touched[l])
        assert torch.equal(record.jobs[l][fits], expected[3].jobs[l]) and not record.jobs[l][over].any()
        assert small.exact.counters[f"ACTIVE_{l + 1}"] == large.exact.counters[f"ACTIVE_{l + 1}"]


def test_later_layers_see_the_spikes_that_fit():
    """Of what finds no room, the later steps, and of one step the higher indices, are lost."""
    both = Both((6, 5, 3), settings(2, 8, 0.3), 2, spike_entries=20)
    spikes = torch.ones(1, 8, 6, dtype=torch.bool)
    logits, _, over, record = both.exact.infer(spikes)
    kept = torch.zeros_like(spikes)
    kept[0].view(-1)[:20] = True
    assert bool(over) and torch.equal(record.spikes[0], kept) and not record.spikes[1].any()
    ample = Both((6, 5, 3), settings(2, 8, 0.3), 2)
    assert ample.exact.infer(kept)[3].spikes[1].any()  # they would fire
    silent = ample.exact.infer(torch.zeros_like(spikes))[0]
    assert torch.equal(logits, silent)

