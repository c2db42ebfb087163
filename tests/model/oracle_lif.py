"""Sparse BPTT of one sample in plain Python integers, event by event, as docs/numerics.md words it."""


class Oracle:
    """One sample through a network: ``weights``, ``feedback`` as lists [n_out][n_in]; ``events`` (step, neuron), any order."""

    def __init__(self, config, settings, weights, feedback, gradients):
        self.c, self.s, self.w, self.b, self.g = config, settings, weights, feedback, gradients
        self.power = [round(2**16 * settings.beta**n) for n in range(settings.steps + 1)]
        self.membrane_saturations = self.error_saturations = self.gradient_saturations = self.words = 0

    def decay(self, x, n):
        return x if self.power[n] == 2**16 else (x * self.power[n] + 2**15) >> 16

    def clip(self, x, bits, count):
        limit = 1 << (bits - 1)
        clipped = min(max(x, -limit), limit - 1)
        setattr(self, count, getattr(self, count) + (clipped != x))
        return clipped

    def layer(self, l, spikes, fires):
        """Spikes and active entries {(t, j): g} of layer l, or the potentials V[1] to V[T] of the readout."""
        one, steps = 1 << self.c.weight_fraction, self.s.steps
        fired, active, potentials = set(), {}, []
        v = [0] * len(self.w[l - 1])
        for t in range(steps):
            for j, row in enumerate(self.w[l - 1]):
                current = sum(row[i] for step, i in spikes if step == t)
                spike = fires and v[j] > one
                if spike:
                    fired.add((t, j))
                if fires and abs(v[j] - one) < self.s.window:
                    active[t, j] = self.surrogate(v[j])
                if fires and t == steps - 1:
                    continue  # V[T] of a hidden layer says nothing
                v[j] = self.clip(self.decay(v[j], 1) + current - (one if spike else 0), 18, "membrane_saturations")
            potentials.append(list(v))
        return (fired, active) if fires else potentials

    def surrogate(self, v):
        f = self.c.weight_fraction
        d = (1 << f) + 100 * abs(v - (1 << f))
        b = d.bit_length()
        q = min((1 << 35) // ((d << 18) >> b), 2**18 - 1)
        return min((q >> (b - f - 1)) ** 2 >> 20, 2**16 - 1)

    def forward(self, events):
        self.spikes, self.active = [set(events)], []
        for l in range(1, len(self.w)):
            fired, active = self.layer(l, self.spikes[-1], True)
            self.spikes.append(fired)
            self.active.append(active)
        self.potentials = self.layer(len(self.w), self.spikes[-1], False)

    def logits(self):
        columns = list(zip(*self.potentials, strict=True))
        values = [max(v) if self.s.over_time == 0 else sum(v) for v in columns]
        limit = 1 << (self.c.logit.bits - 1)
        return [min(max((v << self.s.gain << 10) >> self.c.weight_fraction, -limit), limit - 1) for v in values]

    def backward(self, output_errors):
        """``output_errors`` eps_k; adds to the gradients and keeps the jobs of each layer, {(m, j): c}."""
        top, jobs = len(self.w), {}
        for k, eps in enumerate(output_errors):
            c = self.clip(-eps << (self.s.gain + self.s.scales[-1]), 18, "error_saturations")
            column = [v[k] for v in self.potentials]
            for m in [column.index(max(column))] if self.s.over_time == 0 else range(self.s.steps):
                jobs[m, k] = c
        self.jobs = {top: jobs}
        for l in range(top, 0, -1):
            self.learn(l)
            if l > 1:
                self.jobs[l - 1] = self.below(l)

    def below(self, l):
        sums, at, out = [0] * len(self.w[l - 1][0]), None, {}
        p = self.c.weight_fraction + 6 + self.s.scales[l - 1] - self.s.scales[l - 2]

        def later(i, t):
            n = 0 if at is None else at - t
            return self.decay(self.clip((sums[i] + 2**9) >> 10, 27, "error_saturations"), n)

        for t in range(self.s.steps - 1, 0, -1):
            here = sorted(j for m, j in self.jobs[l] if m == t)
            if here:
                sums, at = [later(i, t) << 10 for i in range(len(sums))], t
            for j in here:
                sums = [e + b * self.jobs[l][t, j] for e, b in zip(sums, self.b[l - 1][j], strict=True)]
            for step, i in sorted(self.active[l - 2]):
                if step == t:
                    value = self.clip(later(i, t) + self.rate_error(l, i), 27, "error_saturations")
                    product = value * self.active[l - 2][t, i]
                    out[t - 1, i] = self.clip((product + (1 << (p - 1))) >> p, 18, "error_saturations")
        return out

    def rate_error(self, l, i):
        rates = getattr(self.s, "rates", None)
        if rates is None:
            return 0
        fired = sum(j == i for _, j in self.spikes[l - 1])
        if fired > rates.most:
            return rates.upper[l - 2] * (fired - rates.most)
        return -rates.lower[l - 2] * max(rates.least - fired, 0)

    def learn(self, l):
        jobs, spikes = self.jobs[l], self.spikes[l - 1]
        n_out, n_in = len(self.w[l - 1]), len(self.w[l - 1][0])
        form = int(self.s.gradients)
        if form == 2 or form == 0 and len(jobs) * n_in > len(spikes) * n_out:
            self.learn_by_spikes(l, jobs, spikes)
        else:
            self.learn_by_active(l, jobs, spikes)

    def add(self, l, j, i, amount):
        row = self.g[l - 1][j]
        row[i] = self.clip(row[i] + amount, self.c.gradient_bits, "gradient_saturations")

    def learn_by_active(self, l, jobs, spikes):
        n_in = len(self.w[l - 1][0])
        trace, at = [0] * n_in, [0] * n_in
        for m in range(self.s.steps):
            for step, i in sorted(spikes):
                if step == m:
                    trace[i] = min(self.decay(trace[i], m - at[i]) + (1 << self.c.time_bits), 2**17 - 1)
                    at[i] = m
            for step, j in sorted(jobs):
                if step == m:
                    self.words += -(-n_in // self.c.lanes) * any(t <= m for t, _ in spikes)
                    for i in range(n_in):
                        self.add(l, j, i, jobs[m, j] * self.decay(trace[i], m - at[i]))

    def learn_by_spikes(self, l, jobs, spikes):
        n_out = len(self.w[l - 1])
        bits = max(self.c.error_bits + self.c.time_bits + 1, 18)
        delta, at = [0] * n_out, [self.s.steps] * n_out
        for t in range(self.s.steps - 1, -1, -1):
            for m, j in sorted(jobs):
                if m == t:
                    grown = self.decay(delta[j], at[j] - t) + (jobs[m, j] << self.c.time_bits)
                    delta[j], at[j] = self.clip(grown, bits, "error_saturations"), t
            for step, i in sorted(spikes):
                if step == t:
                    self.words += -(-n_out // self.c.lanes) * any(m >= t for m, _ in jobs)
                    for j in range(n_out):
                        self.add(l, j, i, self.decay(delta[j], at[j] - t))
