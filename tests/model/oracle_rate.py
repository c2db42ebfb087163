"""docs/numerics.md "Rate-based backpropagation" transcribed word for word: one sample at a time, plain Python integers, no arrays.

What it shares with rule ttfs (softmax, backward pass, update, transport) is the oracle of that.
"""

import math

from coldspike.spec.config import Rule
from coldspike.spec.network import Readout

from .oracle import Oracle, down, sat


def derivative(u):
    """f(u)."""
    s = 1 / (1 + math.exp(-4 * (u - 1)))
    return 4 * s * (1 - s)


TABLE = [min(round(2**8 * derivative(1 + (n + 0.5) / 32)), 255) for n in range(64)]


class RateOracle(Oracle):
    """State and packets of one network; ``u``, ``f``, ``spiked``: potentials, sums F and spikes of the hidden layers' neurons;
    ``active``: the active neurons of each layer, last sample."""

    def __init__(self, config, layers, steps, leak, coded, **more):
        super().__init__(config, layers, Readout.POTENTIAL, 0, 0, **more)
        self.set_rule(steps, leak, coded)
        if Rule.TTFS not in config.rules:
            del self.count["LEVEL_CLIPS"], self.count["SLOPE_CLIPS"]
        self.count["MEMBRANE_SATURATIONS"] = 0
        self.active = {l: {} for l in range(1, self.L + 1)}
        self.u, self.f, self.spiked = ({l: [0] * layers[l] for l in range(1, self.L)} for _ in range(3))

    def set_rule(self, steps, leak, coded):
        """What the host sends."""
        self.T, self.coded = steps, coded
        self.leak, self.p, rho = round(2**16 * leak), {}, 0.0
        for t in range(1, steps + 1):
            rho = 1 + leak * rho
            self.p[t] = round(2**16 * rho / steps)
        self.K = round(2 ** (self.c.time_bits + 8) / steps)

    def currents(self, l, t, trains):
        """I_j[t] of layer l; ``trains``: the set of spikes (t, i) of the layer before."""
        tau = self.c.time_bits
        if l == 1 and not self.coded:
            return [(A + (1 << (tau - 1))) >> tau for A in self.level[1]]
        self.slope[l] = [sum(w for i, w in enumerate(row) if (t, i) in trains) for row in self.w[l]]
        return self.slope[l]

    def hidden(self, l, trains):
        """Runs layer l; returns its spikes."""
        one = 1 << self.c.weight_fraction
        self.u[l], self.f[l], self.spiked[l] = ([0] * self.n[l] for _ in range(3))
        out = set()
        for t in range(1, self.T + 1):
            for j, current in enumerate(self.currents(l, t, trains)):
                x = self.u[l][j] - (one if self.u[l][j] > one else 0)
                new = ((x * self.leak + 2**15) >> 16) + current
                u = self.u[l][j] = max(-(2**17), min(2**17 - 1, new))
                self.count["MEMBRANE_SATURATIONS"] += u != new
                if u > one:
                    out.add((t, j))
                    self.spiked[l][j] += 1
                n = (abs(u - one) << 5) >> self.c.weight_fraction
                self.f[l][j] += (TABLE[n] if n < 64 else 0) * self.p[t]
        return out

    def sample(self, levels, trains=(), label=None):
        """``levels`` {i: a}, ``trains`` spikes (t, i), t from 1; label None infers.

        Returns (logits, prediction, spikes of each layer 0 to L - 1, active neurons of each layer 1 to L, lowest layer visited)."""
        c, f, tau, L = self.c, self.c.weight_fraction, self.c.time_bits, self.L
        train, trains = label is not None, {0: set(trains)}
        assert self.coded or not trains[0]
        self.spikes[0] = [(levels.get(i, 0), i in levels) for i in range(self.n[0])]
        self.active = lists = {}
        for l in range(1, L + 1):
            into = [[(w, a) for w, (a, fired) in zip(row, self.spikes[l - 1], strict=True) if fired] for row in self.w[l]]
            if l == L or l == 1 and not self.coded:
                self.slope[l] = [sum(w for w, _ in row) for row in into]
                self.level[l] = [sum(w * a for w, a in row) for row in into]
            else:
                self.level[l] = [0] * self.n[l]  # the slopes are those of the last step
            if l == L:
                self.spikes[L] = [(0, False)] * self.n[L]
                lists[L] = dict.fromkeys(range(self.n[L]), (1 << 12, 1 << 12))
                break
            trains[l] = self.hidden(l, trains[l - 1])
            self.spikes[l], lists[l] = [], {}
            for j, (count, total) in enumerate(zip(self.spiked[l], self.f[l], strict=True)):
                g = min((total + 2**11) >> 12, 65535)
                self.spikes[l].append((min((count * self.K + 2**7) >> 8, 1 << tau), count > 0))
                if g > 0:
                    lists[l][j] = (g, g)
        for l in range(L):
            if l == 0:
                seen = len(trains[0]) if self.coded and L > 1 else len(levels)  # the output layer sees rates alone
            elif l == L - 1:
                seen = sum(fired for _, fired in self.spikes[l])
            else:
                seen = len(trains[l])
            self.count[f"EVENTS_{l}"] += seen
        self.count["SAMPLES_TRAINED" if train else "SAMPLES_INFERRED"] += 1
        logits = [sat(down(A, f + tau - 10), c.logit) for A in self.level[L]]
        prediction = logits.index(max(logits))
        lowest = self.backward(logits, label, lists) if train else L + 1
        return logits, prediction, trains, [len(lists[l]) for l in range(1, L + 1)], lowest
