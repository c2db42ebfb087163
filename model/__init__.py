"""Golden models. ``exact``: every integer of the accelerator. ``reference``: floating point, from the equations.
``device``: the exact model behind the accelerator's registers and streams."""
