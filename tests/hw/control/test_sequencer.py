"""Sequencer among units of random speed: order, overlap, quiet, slots, results; when an UPDATE is left."""

import random

import pytest

from coldspike.hw.control.sequencer import Sequencer
from coldspike.hw.layouts import SLOTS
from coldspike.spec.config import CoreConfig, Rule
from coldspike.spec.errors import ErrorCode
from coldspike.spec.packets import Kind

from ..cycles import set_all
from ..support import simulate, sink

BAD = Kind.ERROR


class Units:
    """Forward engine, readout, backward engine, update, transport and access as countdowns; checks each start."""

    def __init__(self, dut, rng, overlap):
        self.dut, self.rng, self.overlap = dut, rng, overlap
        self.left = dict.fromkeys(("forward", "readout", "backward", "update", "transport", "access"), 0)
        self.sample = self.reading = self.walking = None  # descriptors in the forward engine, readout, backward engine
        self.handed = True
        self.slots, self.log, self.due, self.updated = set(), [], 0, False
        self.calm = False  # quiet in the last cycle
        self.active, self.told = set(), []  # layers since the last UPDATE or START; before each UPDATE
        self.overlapped = self.under = self.early = 0  # passes begun under a backward pass, under a transport; UPDATEs left early

    def quiet(self, but=None):
        return not any(left for unit, left in self.left.items() if unit != but)

    def inputs(self):
        left = self.left
        done = left["forward"] == 1 and not left["readout"]
        self.hand = not self.handed and left["readout"] < 4 and not left["backward"] and not left["transport"]
        return {
            "forward_busy": left["forward"] > 0, "forward_done": done, "readout_ready": not left["readout"],
            "backward_start": self.hand,
            "backward_slot": self.reading["slot"] if self.hand else self.rng.randrange(SLOTS),
            "backward_busy": left["backward"] > 0, "backward_done": left["backward"] == 1,
            "update_busy": left["update"] > 0, "transport_busy": left["transport"] > 0, "transport_due": self.due,
            "access_busy": left["access"] > 0, "payload_valid": self.rng.random() < 0.6,
            "active": (self.rng.random() < 0.1) << self.rng.randrange(len(self.dut.active)) if left["backward"] else 0,
            "started": self.calm and self.rng.random() < 0.02,
        }

    async def run(self, ctx):
        dut = self.dut
        names = ("forward_start", "update_start", "update_done", "access_start", "batch_done", "updating", "quiet", "slots_busy",
                 "last_slot", "trained_slot")
        last = trained = 0
        while True:
            now = self.inputs()
            set_all(ctx, dut, now)
            stream = dut.i_descriptor
            _, _, ready, valid, descriptor, claimed, claim, packet, *values = await ctx.tick().sample(
                stream.ready, stream.valid, stream.payload, dut.slot_claimed, dut.claimed, dut.packet,
                *[getattr(dut, name) for name in names])
            seen = dict(zip(names, values, strict=True))
            kind, taken, self.calm = int(descriptor.kind), valid and ready, seen["quiet"]
            assert self.quiet() or not seen["quiet"]
            assert seen["slots_busy"] == sum(1 << slot for slot in self.slots)
            assert (seen["last_slot"], seen["trained_slot"]) == (last, trained)
            assert seen["forward_start"] == (taken and kind == Kind.SAMPLE)
            assert not seen["update_start"] or (taken and kind == Kind.UPDATE)
            assert not seen["access_start"] or (taken and kind in (Kind.READ, Kind.WRITE))
            assert not taken or kind == Kind.SAMPLE or self.quiet()
            self.log += [int(descriptor.sequence)] * taken
            if self.sample:
                assert int(packet.sequence) == self.sample["sequence"]

            left, rng = self.left, self.rng
            if now["forward_done"]:
                self.reading, self.handed, left["readout"] = self.sample, not self.sample["train"], rng.randint(3, 12)
                if not self.sample["train"]:
                    self.slots.discard(self.sample["slot"])
                self.sample = None
            elif left["readout"] > 1 or self.handed:
                left["readout"] = max(0, left["readout"] - 1)
            if now["backward_done"]:
                self.slots.discard(self.walking["slot"])
            for unit in ("backward", "update", "transport", "access"):
                left[unit] = max(0, left[unit] - 1)
            if left["forward"] > 1 or now["forward_done"]:
                left["forward"] -= 1
            if now["backward_start"]:
                self.handed, self.walking, left["backward"] = True, self.reading, rng.randint(1, 20)
            if seen["forward_start"]:
                assert not now["forward_busy"] and (now["payload_valid"] or int(descriptor.count) == 0)
                assert self.overlap or self.quiet(but="transport")
                self.overlapped, self.under = self.overlapped + now["backward_busy"], self.under + now["transport_busy"]
                self.sample = {name: int(getattr(descriptor, name)) for name in ("slot", "train", "sequence")}
                left["forward"], last = rng.randint(2, 15), self.sample["slot"]
                trained = last if self.sample["train"] else trained
            if claimed:
                self.slots.add(claim)
            if seen["update_start"]:
                left["update"], self.due = rng.choice((0, 1, 9)), rng.randrange(2)
            self.active |= {l for l in range(len(dut.active)) if now["active"] >> l & 1}
            if now["started"]:
                self.active = set()
            if seen["update_done"]:
                self.told.append(sum(2 << l for l in self.active))
                self.active = set()
                assert seen["updating"] and not now["update_busy"]
                left["transport"], self.updated = rng.choice((1, 9, 30)) * self.due, True
                self.log += ["due"] * self.due
            elif self.updated:
                waits = valid and kind == Kind.SAMPLE
                assert seen["batch_done"] == (waits or not now["transport_busy"]) and not seen["updating"]
                self.updated, self.early = not seen["batch_done"], self.early + (seen["batch_done"] and now["transport_busy"])
                self.log += ["batch"] * seen["batch_done"]
            else:
                assert not seen["batch_done"]
            left["access"] = rng.randint(1, 6) if seen["access_start"] else left["access"]


BUILDS = {  # rules, the one that runs, gradient memory
    "ttfs": (("ttfs",), Rule.TTFS, True), "every sample": (("ttfs",), Rule.TTFS, False),
    "sparse-bptt": (("sparse-bptt",), Rule.SPARSE_BPTT, True), "rate": (("rate",), Rule.RATE, True),
    "rate, every sample": (("rate",), Rule.RATE, False), "rate of two, every sample": (("ttfs", "rate"), Rule.RATE, False),
    "ttfs of three": (tuple(Rule), Rule.TTFS, True), "sparse-bptt of three": (tuple(Rule), Rule.SPARSE_BPTT, True),
    "rate of three": (tuple(Rule), Rule.RATE, True),
}


@pytest.mark.parametrize("build", BUILDS)
def test_random_packets(build):
    rules, rule, gradient_memory = BUILDS[build]
    rng, overlaps = random.Random(gradient_memory), gradient_memory and rule is not Rule.SPARSE_BPTT
    dut = Sequencer(CoreConfig.for_network((5, 3, 2), lanes=2, gradient_memory=gradient_memory, rules=rules))
    units, collected, packets = Units(dut, rng, overlaps), [], []
    for n in range(100):
        kind = rng.choice((Kind.SAMPLE,) * 6 + (Kind.UPDATE, Kind.UPDATE, Kind.READ, Kind.WRITE, BAD))
        packets.append({"kind": kind, "status": ErrorCode.LABEL if kind is BAD else 0, "train": rng.randrange(2),
                        "count": rng.choice((0, 1, 9)), "slot": 0, "sequence": 500 + n})

    async def decoder(ctx):
        if len(rules) > 1:
            ctx.set(dut.rule, rule.code)
        for packet in packets:
            if packet["kind"] is Kind.SAMPLE:
                while len(units.slots) == SLOTS:
                    await ctx.tick()
                packet["slot"] = rng.choice(sorted(set(range(SLOTS)) - units.slots))
                set_all(ctx, dut, {"slot_claimed": 1, "claimed": packet["slot"]})
                await ctx.tick()
                set_all(ctx, dut, {"slot_claimed": 0, "claimed": rng.randrange(SLOTS)})
            await ctx.tick().repeat(rng.choice((1, 1, 8)))
            ctx.set(dut.i_descriptor.payload, packet)
            ctx.set(dut.i_descriptor.valid, 1)
            ready = 0
            while not ready:
                _, _, ready = await ctx.tick().sample(dut.i_descriptor.ready)
            ctx.set(dut.i_descriptor.valid, 0)
        while not units.quiet() or units.slots:
            await ctx.tick()
        await ctx.tick().repeat(30)
        assert ctx.get(dut.quiet)

    simulate(dut, decoder, background=[units.run, sink(dut.o_result, collected, stall=0.5, rng=rng)])

    log, told = iter(units.log), iter(units.told)
    results = []
    for packet in packets:
        assert next(log) == packet["sequence"]
        if packet["kind"] is Kind.UPDATE:
            due = (entry := next(log)) == "due"
            assert (next(log) if due else entry) == "batch"
            results += [(int(Kind.UPDATE), 0), (packet["sequence"], 0), (int(due) | next(told), 1)]
        elif packet["kind"] is BAD:
            results += [(int(BAD) | packet["status"] << 8, 0), (packet["sequence"], 1)]
    assert next(log, None) is None
    assert [(int(word.data), int(word.last)) for word in collected] == results
    assert (units.overlapped > 0) == overlaps and units.early and units.under and len(set(units.told)) > 2
