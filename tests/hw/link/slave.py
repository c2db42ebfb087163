"""AXI4-Lite registers for tests: a dictionary behind five channels, each with pauses of its own."""

from coldspike.hw.io.axi_lite import Response

__all__ = ["slave"]

JUNK = {"rdata": 0xDEADBEEF, "rresp": 1, "bresp": 1}


class Channel:
    """Takes one transaction at a time from the master, which must not change its mind."""

    def __init__(self, bus, prefix: str, fields: tuple[str, ...]):
        self.valid, self.ready = (getattr(bus, f"{prefix}{end}") for end in ("valid", "ready"))
        self.fields = [getattr(bus, name) for name in fields]
        self.taken = self.offered = None

    def after(self, valid: int, ready: bool, values: tuple[int, ...]):
        assert self.offered is None or (valid and values == self.offered), "taken back before it was taken"
        self.offered = values if valid and not ready else None
        if valid and ready:
            self.taken = values


def slave(bus, registers, accesses, *, pause=0.0, rng=None):
    """Background process: reads and writes of ``registers`` (by byte address), of others SLVERR. ``accesses`` gets each, as
    frames.Board has them. Without pauses channels are ready at once and a response comes in the cycle after."""
    write, data, read = (Channel(bus, *args) for args in (("aw", ("awaddr",)), ("w", ("wdata", "wstrb")), ("ar", ("araddr",))))

    async def run(ctx):
        answers = {"b": None, "r": None}  # what is offered
        waits = {"b": None, "r": None}    # and what will be
        while True:
            ready = [channel.taken is None and not (pause and rng.random() < pause) for channel in (write, data, read)]
            for channel, now in zip((write, data, read), ready):
                ctx.set(channel.ready, now)
            for name in answers:
                if answers[name] is None and waits[name] is not None and not (pause and rng.random() < pause):
                    answers[name], waits[name] = waits[name], None
                ctx.set(getattr(bus, f"{name}valid"), answers[name] is not None)
                for field, junk in JUNK.items():
                    if field.startswith(name):
                        ctx.set(getattr(bus, field), answers[name][field] if answers[name] else junk)
            _, _, b, r, *sampled = await ctx.tick().sample(bus.bready, bus.rready, *(
                signal for channel in (write, data, read) for signal in (channel.valid, *channel.fields)))
            for name, taken in (("b", b), ("r", r)):
                if answers[name] and taken:
                    answers[name] = None
            for channel, now in zip((write, data, read), ready):
                values = sampled[1:1 + len(channel.fields)]
                channel.after(sampled[0], now, tuple(values))
                sampled = sampled[1 + len(channel.fields):]
            if write.taken and data.taken:
                (address,), (value, strobes) = write.taken, data.taken
                assert strobes == 0xF
                accesses.append(("write", address, value))
                waits["b"] = {"bresp": Response.OKAY if address in registers else Response.SLVERR}
                if address in registers:
                    registers[address] = value
                write.taken = data.taken = None
            if read.taken:
                (address,) = read.taken
                accesses.append(("read", address))
                waits["r"] = {"rdata": registers.get(address, 0x0BAD0BAD),
                              "rresp": Response.OKAY if address in registers else Response.SLVERR}
                read.taken = None
    return run
