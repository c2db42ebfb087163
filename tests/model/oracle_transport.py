"""docs/numerics.md "Transport" transcribed word for word, a part of the oracle: plain Python integers, one weight at a time."""

import math

from coldspike.spec.random import xorshift_step
from coldspike.spec.transport import Precision, Signs, Values

FEEDBACK = {Precision.EIGHT: (8, 6), Precision.FOUR: (4, 4)}
"""Bits and fractional bits of stored feedback weights; full: those of the weights, sign: one bit."""


class TransportOracle:
    """Feedback weights of the oracle (c, n, L, phi, position, schemes, w, b, transport_random, count)."""

    def after_update(self):
        """Whether the interval ends or not, layers 2 to L follow their schemes; returns whether any copied."""
        self.position = (self.position + 1) % 2**32
        ends = self.phi != 0 and self.position == self.phi
        if ends:
            self.position = 0
        moved = [self.transport(l, ends) for l in range(2, self.L + 1)]
        self.count["TRANSPORTS"] += any(moved)
        return any(moved)

    def feedback_format(self):
        """(least, greatest, n) of stored feedback weights; n: the fractional bits that they lack against the weights."""
        c = self.c
        bits, fraction = FEEDBACK.get(c.feedback_precision, (c.weight_bits, c.weight_fraction))
        return -(1 << (bits - 1)), (1 << (bits - 1)) - 1, c.weight_fraction - fraction

    def decode(self, l, b):
        """B of a stored feedback weight b of layer l."""
        if self.c.feedback_precision is Precision.SIGN:
            return -self.schemes[l].scale if b else self.schemes[l].scale
        return b << self.feedback_format()[2]

    def code(self, w):
        if self.c.feedback_precision is Precision.SIGN:
            return int(w < 0)
        least, greatest, n = self.feedback_format()
        return max(least, min(greatest, (w + ((1 << n) >> 1)) >> n))

    def signed(self, b, w):
        if self.c.feedback_precision is Precision.SIGN:
            return self.code(w)
        return -abs(b) if w < 0 else min(abs(b), self.feedback_format()[1])

    def change(self, l, j, i):
        return abs(self.w[l][j][i] - self.decode(l, self.b[l][j][i]))

    @staticmethod
    def bin(c):
        p = max(0, c.bit_length() - 4)
        return (p << 3) + (c >> p)

    @staticmethod
    def neglog(x):
        """N(x)."""
        z = 32 - x.bit_length()
        m = ((x << z) >> 25) & 63
        return ((z + 1) << 8) - round(2**8 * math.log2(1 + (m + 0.5) / 64))

    def chosen(self, l):
        """The (j, i) that VALUES chooses."""
        scheme, P = self.schemes[l], self.c.lanes
        every = [(j, i) for j in range(self.n[l]) for i in range(self.n[l - 1])]
        s = scheme.select
        if scheme.values is Values.ALL:
            return set(every)
        if scheme.values is Values.TOP_K:
            order = sorted(every, key=lambda at: (-self.bin(self.change(l, *at)), *at))
            return set(order[:min(s, len(every))])
        out = set()
        for j in range(self.n[l]):
            for block in range(-(-self.n[l - 1] // P)):
                for lane, x in enumerate(self.transport_random):
                    i = block * P + lane
                    if i >= self.n[l - 1]:
                        continue
                    if scheme.values is Values.RANDOM:
                        take = x >> 8 < s
                    else:
                        take = self.change(l, j, i) << (22 - self.c.weight_fraction) > (s & (1 << 18) - 1) * self.neglog(x)
                    if take:
                        out.add((j, i))
                self.transport_random = [xorshift_step(x) for x in self.transport_random]
        return out

    def transport(self, l, ends):
        """Layer l after an update; returns whether its values or signs are copied."""
        scheme, n_in, n_out = self.schemes[l], self.n[l - 1], self.n[l]
        values = scheme.values is not Values.NONE and (scheme.every_update or ends)
        signs = scheme.signs is Signs.EVERY_UPDATE or (scheme.signs is Signs.AT_INTERVAL and ends)
        if not values and not signs:
            return False
        chosen = self.chosen(l) if values else set()
        words = set()
        for j in range(n_out):
            for i in range(n_in):
                w, b = self.w[l][j][i], self.b[l][j][i]
                if (j, i) in chosen:
                    self.b[l][j][i] = self.code(w)
                elif signs:
                    self.b[l][j][i] = self.signed(b, w)
                    self.count["SIGNS_TRANSPORTED"] += 1
                if (j, i) in chosen or signs:
                    words.add((j, i // self.c.lanes))
        times = 2 if values and scheme.values is Values.TOP_K else 1
        self.count["WEIGHTS_READ"] += times * n_in * n_out
        self.count["TRANSPORT_WORDS"] += times * n_out * -(-n_in // self.c.lanes)
        self.count["WEIGHTS_TRANSPORTED"] += len(chosen)
        self.count["FEEDBACK_WORDS"] += len(words)
        return True
