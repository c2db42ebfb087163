"""Network layout: every word of every memory belongs to one element; parsing of layer sizes."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldspike.spec.config import CoreConfig
from coldspike.spec.network import layout, parse_layers

LAYERS = st.lists(st.integers(1, 25), min_size=2, max_size=5).map(tuple)
LANES = st.sampled_from([2, 4, 8, 16])


@settings(max_examples=60)
@given(LAYERS, LANES)
def test_places_are_disjoint_and_dense(layers, lanes):
    places = layout(layers, lanes)
    config = CoreConfig.for_network(layers, lanes=lanes)
    assert [(p.index, p.n_in, p.n_out) for p in places] == [
        (l, layers[l - 1], layers[l]) for l in range(1, len(layers))]
    tiles, words, feedback, blocks = [], [], [], []
    for p in places:
        tiles += [p.tile_base + i * p.out_blocks + j for i in range(p.in_blocks) for j in range(p.out_blocks)]
        words += [p.column_base + j * p.in_blocks + i for j in range(p.n_out) for i in range(p.in_blocks)]
        if p.index > 1:
            feedback += [p.feedback_base + j * p.in_blocks + i for j in range(p.n_out) for i in range(p.in_blocks)]
        blocks += [p.block_base + j for j in range(p.out_blocks)]
    assert places[0].feedback_base is None
    assert tiles == list(range(config.weight_tiles))
    assert words == list(range(config.gradient_words)) and len(words) == sum(p.words for p in places)
    assert feedback == list(range(config.feedback_words if len(places) > 1 else 0))
    assert blocks == list(range(config.neuron_blocks))


@given(LAYERS, LANES)
def test_blocks_hold_all_neurons(layers, lanes):
    for p in layout(layers, lanes):
        assert 0 <= p.in_blocks * lanes - p.n_in < lanes and 0 <= p.out_blocks * lanes - p.n_out < lanes


@given(st.lists(st.integers(1, 9999), min_size=2, max_size=6).map(tuple))
def test_parse_layers(layers):
    assert parse_layers("-".join(map(str, layers))) == layers


@pytest.mark.parametrize("text", ["", "5", "5-", "-5-3", "5-0-3", "5-a", "5--3"])
def test_parse_layers_refuses(text):
    expected = f"layers {text!r}: write at least two positive sizes joined by '-', such as 784-256-10"
    with pytest.raises(ValueError, match=rf"^{re.escape(expected)}$"):
        parse_layers(text)
