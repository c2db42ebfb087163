"""docs/numerics.md transcribed word for word: one sample at a time, plain Python integers, no arrays.

Slow on purpose. The exact model must equal it in every state.
"""

import math

from coldspike.spec.config import CoreConfig, Optimizer
from coldspike.spec.network import Readout
from coldspike.spec.random import lane_seeds, xorshift_step
from coldspike.spec.transport import LayerTransport

from .oracle_transport import TransportOracle


def sat(x, form):
    return max(form.min, min(form.max, x))


def down(x, n):
    """x >> n, << when negative."""
    return x >> n if n >= 0 else x << -n


class Oracle(TransportOracle):
    """State and packets of one network; weights as ``w[l][j][i]`` with l from 1."""

    def __init__(self, config: CoreConfig, layers, readout, level_clip, slope_clip, rates, decays, interval,
                 interval_start, random, schemes=None):
        self.c, self.n, self.L = config, layers, len(layers) - 1
        self.random, self.transport_random = list(random), lane_seeds(1, config.lanes)
        self.start(readout, level_clip, slope_clip, rates, decays, interval, interval_start, schemes)
        def zeros():
            return {l: [[0] * layers[l - 1] for _ in range(layers[l])] for l in range(1, self.L + 1)}
        self.w, self.b, self.g = zeros(), zeros(), zeros()
        names = ["SAMPLES_TRAINED", "SAMPLES_INFERRED", "UPDATES", "TRANSPORTS", "WEIGHTS_READ", "WEIGHTS_TRANSPORTED",
                 "SIGNS_TRANSPORTED", "TRANSPORT_WORDS", "FEEDBACK_WORDS", "LEVEL_CLIPS", "SLOPE_CLIPS",
                 "ERROR_SATURATIONS", "GRADIENT_SATURATIONS", "WEIGHT_SATURATIONS", "PACKETS_DROPPED"]
        names += [f"EVENTS_{l}" for l in range(config.max_layers)]
        names += [f"ACTIVE_{l}" for l in range(1, config.max_layers + 1)]
        self.count = dict.fromkeys(names, 0)
        self.slope = {l: [0] * layers[l] for l in range(1, self.L + 1)}
        self.level = {l: [0] * layers[l] for l in range(1, self.L + 1)}
        self.spikes = {l: [(0, False)] * layers[l] for l in range(self.L + 1)}
        self.err = {l: [0] * layers[l] for l in range(1, self.L)}
        self.eps = [0] * layers[-1]

    def start(self, readout, level_clip, slope_clip, rates, decays, interval, interval_start, schemes=None):
        """START; ``schemes`` has one scheme for each weight layer, the first's unused."""
        self.readout, self.level_clip, self.slope_clip = readout, level_clip, slope_clip
        self.rates, self.decays, self.phi, self.position = rates, decays, interval, interval_start
        self.schemes = [None, *(schemes or [LayerTransport()] * self.L)]
        self.touched = {l: set() for l in range(1, self.L + 1)}

    def neuron(self, W, A, train):
        """(a, fired, listing) of one neuron; listing is (dI, dW) when active, else None."""
        c, f, tau = self.c, self.c.weight_fraction, self.c.time_bits
        T = 1 << tau
        z = (W << tau) + A
        if A >= T << f:
            return T, True, None
        if z < 0:
            return 0, False, None
        D = (1 << f) + W
        assert D > 0 and 0 <= z < D << tau
        b = D.bit_length()
        m = (D << 18) >> b
        assert 2**17 <= m < 2**18
        q = min((1 << 35) // m, 2**18 - 1)
        zn = (z << 18) >> (b + tau)
        assert 0 <= zn < 2**18
        a = (zn * q + (1 << (34 - tau))) >> (35 - tau)
        assert 0 <= a <= T
        s = b + 5 - f
        r = min(q >> s, 65535) if s >= 0 else 65535
        if not 0 < a < T:
            return a, True, None
        tr = ((2 * T - a) * r) >> tau
        if train:
            self.count["LEVEL_CLIPS"] += r > self.level_clip
            self.count["SLOPE_CLIPS"] += tr > self.slope_clip
        assert c.window == T
        return a, True, (min(r, self.level_clip), min(tr, self.slope_clip))

    def sample(self, events, label=None):
        """``events`` {i: a}; label None infers. Returns (logits, prediction, fired per layer, listed, lowest)."""
        c, f, tau, L = self.c, self.c.weight_fraction, self.c.time_bits, self.L
        train = label is not None
        self.spikes[0] = [(events.get(i, 0), i in events) for i in range(self.n[0])]
        lists = {}
        for l in range(1, L + 1):
            lists[l] = {}
            for j in range(self.n[l]):
                into = [(w, a) for w, (a, fired) in zip(self.w[l][j], self.spikes[l - 1], strict=True) if fired]
                W, A = sum(w for w, _ in into), sum(w * a for w, a in into)
                assert c.slope.min <= W <= c.slope.max and c.level.min <= A <= c.level.max
                assert c.potential.min <= (W << tau) + A <= c.potential.max
                self.slope[l][j], self.level[l][j] = W, A
            self.spikes[l] = []
            for j, (W, A) in enumerate(zip(self.slope[l], self.level[l], strict=True)):
                if l == L and self.readout is Readout.POTENTIAL:
                    a, fired, listing = 0, False, (1 << 12, 2 << 12)
                else:
                    a, fired, listing = self.neuron(W, A, train)
                self.spikes[l].append((a, fired))
                if listing:
                    lists[l][j] = listing
        for l in range(min(L + 1, c.max_layers)):
            self.count[f"EVENTS_{l}"] += sum(fired for _, fired in self.spikes[l])
        self.count["SAMPLES_TRAINED" if train else "SAMPLES_INFERRED"] += 1
        if self.readout is Readout.POTENTIAL:
            z = [(W << tau) + A for W, A in zip(self.slope[L], self.level[L], strict=True)]
            logits = [sat(down(x, f + tau - 10), c.logit) for x in z]
        else:
            logits = [a << (10 - tau) for a, _ in self.spikes[L]]
        prediction = logits.index(max(logits))
        lowest = self.backward(logits, label, lists) if train else L + 1
        fired = [sum(fired for _, fired in self.spikes[l]) for l in range(L + 1)]
        return logits, prediction, fired, [len(lists[l]) for l in range(1, L + 1)], lowest

    def softmax(self, logits):
        E = self.c.error_fraction
        d = [min(max(logits) - x, 2**14 - 1) for x in logits]
        HI = [round(2**17 * math.exp(-n / 8)) for n in range(128)]
        LO = [round(2**17 * math.exp(-n / 1024)) for n in range(128)]
        e = [(HI[x >> 7] * LO[x & 127] + 2**16) >> 17 for x in d]
        S = sum(e)
        b = S.bit_length()
        m = (S << 18) >> b
        q = min((1 << 35) // m, 2**18 - 1)
        return [(x * q + (1 << (16 - E + b))) >> (17 - E + b) for x in e]

    def backward(self, logits, label, lists):
        c, f, tau = self.c, self.c.weight_fraction, self.c.time_bits
        self.eps = [((k == label) << c.error_fraction) - p for k, p in enumerate(self.softmax(logits))]
        assert all(c.error.min <= x <= c.error.max for x in self.eps)
        def narrow(x):
            self.count["ERROR_SATURATIONS"] += sat(x, c.error) != x
            return sat(x, c.error)
        for l in range(self.L, 0, -1):
            gs = {}
            for j, (dI, dW) in sorted(lists[l].items()):
                e = self.eps[j] if l == self.L else narrow((self.err[l][j] + (1 << (f - 1))) >> f)
                g = narrow((e * dI + 2**11) >> 12)
                h = narrow((e * dW + 2**11) >> 12)
                gs[j] = g
                self.count[f"ACTIVE_{l}"] += 1
                self.touched[l].add(j)
                change = [g * ((1 << tau) - a) - (h << tau) if fired else None for a, fired in self.spikes[l - 1]]
                if c.gradient_memory:
                    for i, x in enumerate(change):
                        if x is not None:
                            total = self.g[l][j][i] + x
                            self.g[l][j][i] = sat(total, c.gradient)
                            self.count["GRADIENT_SATURATIONS"] += sat(total, c.gradient) != total
                else:
                    self.update_column(l, j, [x or 0 for x in change])
            if l == 1 or not gs:
                return l
            self.err[l - 1] = [sum(self.decode(l, self.b[l][j][i]) * g for j, g in gs.items()) for i in range(self.n[l - 1])]
            assert all(c.error_sum.min <= x <= c.error_sum.max for x in self.err[l - 1])

    def update_column(self, l, j, gradient):
        """Update column j from ``gradient``; returns the gradient that stays."""
        P, (m, s), d = self.c.lanes, self.rates[l - 1], self.decays[l - 1]
        left = []
        for block in range(-(-self.n[l - 1] // P)):
            for lane in range(P):
                u = self.random[lane] >> 16
                self.random[lane] = xorshift_step(self.random[lane])
                i = block * P + lane
                if i >= self.n[l - 1]:
                    continue
                W, G = self.w[l][j][i], gradient[i]
                sign = (G > 0) - (G < 0)
                n = (sign * m << 16) + W * d if self.c.optimizer is Optimizer.SIGN_MOMENTUM else G * m + W * d
                y = n >> s
                new = W - ((y + u) >> 16)
                self.w[l][j][i] = sat(new, self.c.weight)
                self.count["WEIGHT_SATURATIONS"] += sat(new, self.c.weight) != new
                left.append(sign * (abs(G) * 230 >> 8) if self.c.optimizer is Optimizer.SIGN_MOMENTUM else 0)
        return left

    def update(self):
        """Returns whether anything was transported."""
        if self.c.gradient_memory:
            for l in range(1, self.L + 1):
                for j in range(self.n[l]):
                    if self.c.optimizer is Optimizer.SGD and self.decays[l - 1] == 0 and j not in self.touched[l]:
                        continue
                    self.g[l][j] = self.update_column(l, j, self.g[l][j])
        self.touched = {l: set() for l in self.touched}
        self.count["UPDATES"] += 1
        return self.after_update()
