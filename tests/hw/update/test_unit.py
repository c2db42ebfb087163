"""UpdateUnit against docs/numerics.md, "Update": exact stochastic rounding, saturations, ports in their cycles."""

import random

import pytest

from coldspike.hw.update.unit import UpdateUnit
from coldspike.spec.config import CoreConfig, Optimizer
from coldspike.spec.random import lane_seeds, xorshift_step

from ..cycles import play, read_port

LANES, LAYERS, TILES = 4, 3, 6
WORD = ("address", "tile", "column", "layer", "neuron")


def update(config, g, w, u, m, s, d):
    """(new weight, saturated, kept)."""
    sign = (g > 0) - (g < 0)
    if config.optimizer is Optimizer.SGD:
        n, kept = g * m + w * d, 0
    else:
        n, kept = (sign * m << 16) + w * d, sign * (abs(g) * 230 >> 8)
    new = w - (((n >> s) + u) >> 16)
    return config.weight.clamp(new), config.weight.clamp(new) != new, kept


@pytest.mark.parametrize("optimizer, gap, weight_decay", [
    (Optimizer.SGD, 0.0, True), (Optimizer.SGD, 0.6, True), (Optimizer.SGD, 0.1, False), (Optimizer.SIGN_MOMENTUM, 0.3, True),
    (Optimizer.SIGN_MOMENTUM, 0.0, False), (Optimizer.SIGN_MOMENTUM, 0.5, False)])
def test_words(optimizer, gap, weight_decay):
    rng = random.Random(gap)
    config = CoreConfig(lanes=LANES, max_layers=LAYERS, optimizer=optimizer, weight_bits=8, weight_fraction=5, gradient_bits=20,
                        weight_decay=weight_decay, weight_tiles=TILES, gradient_words=64, neuron_blocks=4)
    weight, gradient = config.weight, config.gradient
    rates = [{"mantissa": 200, "shift": 8}, {"mantissa": 7, "shift": 0}, {"mantissa": 90, "shift": 14}]
    decays = [0, 40_000, 300] if weight_decay else [0] * LAYERS
    settings = {"rate": rates} | ({"decay": decays} if weight_decay else {})
    weights = {(tile, column): [rng.choice((weight.min, weight.max, rng.randint(weight.min, weight.max))) for _ in range(LANES)]
               for tile in range(TILES) for column in range(LANES)}
    places = [(tile, column) for tile in range(TILES) for column in range(LANES)]
    rng.shuffle(places)
    words = []
    for tile, column in places:
        while rng.random() < gap:
            words.append(None)
        words.append({"address": rng.randrange(64), "tile": tile, "column": column, "layer": rng.randrange(LAYERS),
                      "neuron": rng.randrange(16)})

    states = lane_seeds(7, LANES)
    cycles = [{"random_load": 1}, {"random_in": states}] + [
        {"word_en": 1, "word": word} if word else {"word": {"layer": 1, "tile": 3}} for word in words]
    cycles += [{} for _ in range(11)]
    writes, kept, saturated = {}, [], {}
    for n, word in enumerate(words, start=2):
        g = [rng.choice((0, gradient.min, gradient.max, rng.randint(-3000, 3000))) for _ in range(LANES)]
        cycles[n + UpdateUnit.OPERAND_LATENCY]["gradient"] = g  # noise where there is no word
        if word:
            place, rate = (word["tile"], word["column"]), rates[word["layer"]]
            results = [update(config, a, w, state >> 16, rate["mantissa"], rate["shift"], decays[word["layer"]])
                       for a, w, state in zip(g, weights[place], states, strict=True)]
            states = [xorshift_step(state) for state in states]
            writes[n + UpdateUnit.WRITE_LATENCY] = (*place, [new for new, _, _ in results])
            kept.append((n, word, [k for _, _, k in results]))
            saturated[n + UpdateUnit.WRITE_LATENCY + 1] = sum(over for _, over, _ in results)
    assert any(saturated.values())

    dut = UpdateUnit(config)
    outputs = ["w_en", "write_en", "write_tile", "write_index", "write_data", "kept_en", "kept_word", "kept", "saturated",
               "busy", "random_state"]
    trace = play(dut, cycles, outputs, rest=3, stable={"settings": settings}, background=[
        read_port(dut.w_en, [dut.w_tile, dut.w_index], dut.w_data, lambda tile, column: weights[tile, column],
                  latency=UpdateUnit.OPERAND_LATENCY)])
    for n, t in enumerate(trace):
        assert t["write_en"] == (n in writes), n
        assert n not in writes or (t["write_tile"], t["write_index"], t["write_data"]) == writes[n], n
        assert t["saturated"] == saturated.get(n, 0), n
    seen = [(n, {name: int(getattr(t["kept_word"], name)) for name in WORD}, t["kept"])
            for n, t in enumerate(trace) if t["kept_en"]]
    delay = seen[0][0] - kept[0][0]  # the same for every word, and the unit is busy until the last is written
    assert seen == [(n + delay, word, values) for n, word, values in kept] and delay == UpdateUnit.KEPT_LATENCY == 7
    assert trace[-1]["random_state"] == states
    last = len(words) + 1
    assert trace[last + 10]["busy"] and not trace[last + 11]["busy"]
