"""An AXI4-Lite master for tests: a read and a write transaction, with pauses on every channel."""


async def _pause(ctx, rng, probability):
    while probability and rng.random() < probability:
        await ctx.tick()


async def write(ctx, axi, address, data, strobes=0b1111, *, order="together", rng=None, pause=0.0):
    """Writes a register and returns the response; ``order`` is "together", "address" or "data" (which goes first)."""
    channels = {"address": ("aw", {"awaddr": address}), "data": ("w", {"wdata": data, "wstrb": strobes})}
    waiting = dict(channels)
    first = set(channels) if order == "together" else {order}
    while waiting:
        await _pause(ctx, rng, pause)
        offered = {name: waiting[name] for name in waiting if name in first or len(waiting) == 1}
        for prefix, values in offered.values():
            ctx.set(getattr(axi, f"{prefix}valid"), 1)
            for name, value in values.items():
                ctx.set(getattr(axi, name), value)
        _, _, aw_ready, w_ready = await ctx.tick().sample(axi.awready, axi.wready)
        for name, ready in (("address", aw_ready), ("data", w_ready)):
            if name in offered and ready:
                ctx.set(getattr(axi, f"{channels[name][0]}valid"), 0)
                del waiting[name]
        first = set(channels)
    await _pause(ctx, rng, pause)
    ctx.set(axi.bready, 1)
    valid = 0
    while not valid:
        _, _, valid, response = await ctx.tick().sample(axi.bvalid, axi.bresp)
    ctx.set(axi.bready, 0)
    return response


async def read(ctx, axi, address, *, rng=None, pause=0.0):
    """Reads a register and returns its data and the response."""
    await _pause(ctx, rng, pause)
    ctx.set(axi.araddr, address)
    ctx.set(axi.arvalid, 1)
    ready = 0
    while not ready:
        _, _, ready = await ctx.tick().sample(axi.arready)
    ctx.set(axi.arvalid, 0)
    await _pause(ctx, rng, pause)
    ctx.set(axi.rready, 1)
    valid = 0
    while not valid:
        _, _, valid, data, response = await ctx.tick().sample(axi.rvalid, axi.rdata, axi.rresp)
    ctx.set(axi.rready, 0)
    return data, response
