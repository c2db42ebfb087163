"""Pipeline depths in cycles: facts that the RTL's schedule and the golden timing model share.

Each is the distance between two events that the component's docstring in hw/ names; a test of each component and
``coldspike verify`` hold them against the RTL.
"""

__all__ = [
    "ACCUMULATOR_DRAIN", "BACKWARD_LAYER", "READOUT_FIXED", "RESULT_HEADER", "RESULT_WORD",
    "SCAN_TO_SPIKE", "SLOTS", "SPIKE_QUEUE", "TRANSPORT_DRAIN", "UPDATE_DRAIN",
    "UPDATE_LINGER", "WALK_START",
]

SLOTS = 4                # samples in flight: loading, waiting, forward, backward
ACCUMULATOR_DRAIN = 7    # last issue of a layer -> all its sums are readable
SCAN_TO_SPIKE = 31       # start of a layer's scan -> its first slot leaves the firing rule
SPIKE_QUEUE = 2          # spike written to the queue -> readable as an event
READOUT_FIXED = 33       # readout of K outputs: 2 K and this
RESULT_HEADER = 3        # words before the logits
RESULT_WORD = 2          # cycles for a logit word
BACKWARD_LAYER = 14      # cycles of a visited layer besides its jobs' blocks
UPDATE_LINGER = 6        # backward pass done -> its last word is updated, without a gradient memory
WALK_START = 2           # start of an update or a transport -> its first word
UPDATE_DRAIN = 10        # last word of an update -> the unit is empty
TRANSPORT_DRAIN = 3      # last word of a transport -> written
