"""The units that a learning rule has for itself, and how they hang together and on the core. Each has ``forward``, ``readout`` and
``backward`` with the ports that hw/core.py connects for every rule."""
