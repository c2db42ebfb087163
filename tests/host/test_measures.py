import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldspike.host import measures

LAYERS = (10, 6, 3)
COUNTERS = {
    "SAMPLES_TRAINED": 4, "SAMPLES_INFERRED": 0, "UPDATES": 2, "WEIGHTS_TRANSPORTED": 18,
    "EVENTS_0": 20, "EVENTS_1": 12, "ACTIVE_1": 8, "ACTIVE_2": 12,
    "TOTAL_CYCLES": 100, "FORWARD_CYCLES": 60, "READOUT_CYCLES": 5, "BACKWARD_CYCLES": 50, "UPDATE_CYCLES": 7,
    "TRANSPORT_CYCLES": 3,
}


def test_figures_follow_their_definitions():
    assert measures.events_per_sample(COUNTERS, LAYERS) == [5.0, 3.0]
    assert measures.active_fraction(COUNTERS, LAYERS) == [8 / 4 / 6, 1.0]
    # forward: 20 events x 6 + 12 x 3; backward: 8 active x 10 + 12 x 6
    assert measures.lane_utilization(COUNTERS, LAYERS, 2) == {"forward": 156 / 120, "backward": 152 / 100}
    # lanes 4: forward 20 x 2 + 12 x 1, backward 8 x 3 + 12 x 2
    assert measures.ideal_interval(COUNTERS, LAYERS, 4) == 52 / 4
    assert measures.transport_reduction(COUNTERS, LAYERS) == 2.0
    assert measures.transport_reduction({**COUNTERS, "WEIGHTS_TRANSPORTED": 0}, LAYERS) is None
    assert measures.cycles(COUNTERS) == {"total": 100, "forward": 60, "readout": 5, "backward": 50, "update": 7, "transport": 3}


def test_counters_add_by_name():
    assert measures.add({}, {"A": 1}, {"A": 2, "B": 3}) == {"A": 3, "B": 3}


@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 999))
def test_cross_entropy_is_that_of_the_softmax(samples, outputs, seed):
    random = np.random.default_rng(seed)
    logits, labels = random.integers(-(1 << 20), 1 << 20, (samples, outputs)), random.integers(0, outputs, samples)
    expected = 0.0
    for z, label in zip((logits / 1024).tolist(), labels, strict=True):
        expected += math.log(sum(math.exp(x - max(z)) for x in z)) + max(z) - z[label]
    assert math.isclose(measures.cross_entropy(logits, labels), expected, rel_tol=1e-9, abs_tol=1e-9)


@pytest.mark.parametrize("layers, weights", [((10, 3), 0), ((10, 6, 3), 18), ((10, 6, 5, 3), 45)])
def test_the_first_layer_is_never_transported(layers, weights):
    assert measures.feedback_weights(layers) == weights
