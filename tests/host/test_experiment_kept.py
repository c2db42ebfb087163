"""Bits that samples keep for their backward pass, against the hardware's memories and records of single samples."""

import numpy as np
import pytest
import torch
from amaranth.hdl import Fragment, Shape

from coldspike.host.experiments.activity import dense_record, entry_bits
from coldspike.host.experiments.kept import dense_tape_bits, learning_bits, room_bits, used_bits
from coldspike.hw.backward.active_list import ActiveList
from coldspike.hw.forward.trace_pass import TracePass
from coldspike.hw.memory.ram import Ram
from coldspike.hw.memory.step_tapes import StepTapes
from coldspike.hw.memory.tapes import SampleTapes
from coldspike.model.exact import RateNetwork, SparseBpttNetwork, TtfsNetwork
from coldspike.spec.config import CoreConfig, Rule
from coldspike.spec.lif import LifSettings
from coldspike.spec.rate import RateFormats, RateSettings

LAYERS, STEPS = (9, 11, 6, 4), 5
PARTS = {Rule.TTFS: (SampleTapes, ActiveList), Rule.RATE: (SampleTapes, ActiveList, TracePass), Rule.SPARSE_BPTT: (StepTapes,)}


def built(*rules, lanes=2) -> CoreConfig:
    return CoreConfig.for_network(LAYERS, lanes=lanes, rules=rules, max_steps=8, spike_entries=200, job_entries=90)


@pytest.mark.parametrize("rules", [("ttfs",), ("rate",), ("sparse-bptt",), ("ttfs", "rate"), tuple(Rule)], ids=str)
@pytest.mark.parametrize("lanes", [2, 16])
def test_a_build_has_the_memories_that_its_hardware_has(monkeypatch, rules, lanes):
    """Potentials, which the trace pass has as well, are no learning memory: the forward pass alone needs them."""
    config, bits, elaborate = built(*rules, lanes=lanes), [], Ram.elaborate

    def counted(self, platform):
        bits.append(Shape.cast(self._shape).width * self._depth)
        return elaborate(self, platform)

    monkeypatch.setattr(Ram, "elaborate", counted)
    for part in {part for rule in rules for part in PARTS[Rule(rule)]}:
        Fragment.get(part(config), None)
    potentials = RateFormats(config).membrane.bits * config.neuron_blocks * lanes * (Rule.RATE in rules)
    assert room_bits(config) == sum(bits) - potentials


def test_the_most_that_a_sample_of_rule_rate_uses():
    # Rates of 9 bits and a mark; 4 bits of a neuron's number and two factors; 4 bits of a count up to 8, 25 + 3 of an eligibility.
    assert learning_bits(built("rate"), LAYERS) == {"rates": 10 * 26, "lists": 36 * 21, "traces": 32 * 17,
                                                    "spikes": {"single-step": 11, "multi-step": 88}}


def test_the_tape_of_a_dense_sample():
    """Against the entries of such a sample."""
    for steps in (1, STEPS):
        net = SparseBpttNetwork(built("sparse-bptt"), LAYERS, LifSettings(steps=steps, window=0, scales=(0, 0, 0)))
        record, (spike, job) = dense_record(net), entry_bits(net.config)
        entries = sum(int(each.sum()) for each in record.spikes), sum(int(each.sum()) for each in (*record.active, record.jobs[-1]))
        assert entries == (steps * 26, (steps - 1) * 17 + 4)
        assert dense_tape_bits(net.config, LAYERS, steps) == entries[0] * spike + entries[1] * job


def trained(rule: str):
    """A network after seven samples: its lists' lengths, from the last sample's or the record, and a result as a run leaves it."""
    config, generator, labels = built(rule), torch.Generator().manual_seed(3), torch.arange(7) % LAYERS[-1]
    settings = {"ttfs": (), "rate": (RateSettings(steps=STEPS),),
                "sparse-bptt": (LifSettings(steps=STEPS, window=4000, scales=(0, 0, 0), beta=0.9),)}[rule]
    kind = {"ttfs": TtfsNetwork, "rate": RateNetwork, "sparse-bptt": SparseBpttNetwork}[rule]
    net = kind(config, LAYERS, *settings)
    for matrices in (net.weights, net.feedback[1:]):
        for values in matrices:
            values[:] = (torch.randn(values.shape, generator=generator) * 3000).long()
    if rule == "sparse-bptt":
        record = net.train(torch.rand(7, STEPS, LAYERS[0], generator=generator) < 0.3, labels)[3]
    else:
        levels = torch.randint(0, 257, (7, LAYERS[0]), generator=generator)
        record = net.train(levels, levels > 0, labels)[2]
    return record, {"layers": list(LAYERS), "counters": dict(net.counters)}, config


@pytest.mark.parametrize("rule", ["ttfs", "rate"])
def test_what_samples_of_one_visit_use(rule):
    """A place for each neuron on the tape, entries of listed neurons, and traces of rule rate."""
    record, result, config = trained(rule)
    listed = sum(float(each.double().mean()) for each in record.listed)
    used = used_bits(config, rule, result)
    assert used == pytest.approx(10 * 26 + 36 * listed + 32 * 17 * (rule == "rate"))
    assert used <= 10 * 26 + 36 * 21 + 32 * 17 * (rule == "rate") < room_bits(config) and 4 < listed < 21


def test_what_samples_over_time_use():
    """Entries of spikes, and of active neurons and jobs."""
    record, result, config = trained("sparse-bptt")
    spikes = np.sum([each.sum((1, 2)).numpy() for each in record.spikes], axis=0)
    jobs = np.sum([each.sum((1, 2)).numpy() for each in (*record.active, record.jobs[-1])], axis=0)
    spike, job = entry_bits(config)
    assert bool(record.learned.all()) and len(set(jobs.tolist())) > 1
    assert used_bits(config, "sparse-bptt", result) == pytest.approx(float((spikes * spike + jobs * job).mean()))
