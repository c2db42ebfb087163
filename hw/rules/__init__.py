"""The units that a learning rule has for itself, and how they hang together and on the core."""
