"""Values of NetworkLayout and SettingsLayout for a network."""

from coldspike.spec.network import layout

__all__ = ["network_of", "settings_of"]


def network_of(config, layers, unused=0):
    """The laid out network as a dict of NetworkLayout fields; entries past the network are ``unused``."""
    places = layout(layers, config.lanes)
    missing = [unused] * (config.max_layers - len(places))
    return {
        "layers": len(places), "outputs": layers[-1], "size": [*layers, *missing],
        "blocks": [places[0].in_blocks, *(p.out_blocks for p in places), *missing],
        "tile_base": [p.tile_base for p in places] + missing,
        "column_base": [p.column_base for p in places] + missing,
        "block_base": [p.block_base for p in places] + missing,
    }


def settings_of(config, layers, **options):
    """The configuration registers as a dict of SettingsLayout fields; ``options`` are further fields."""
    return {"layers": len(layers) - 1, "size": [*layers, *[0] * (config.max_layers + 1 - len(layers))], **options}
