"""Pipeline depths in cycles: facts that the RTL's schedule and the golden timing model share.

Each is the distance between two events that the component's docstring in hw/ names; a test of each component and
``coldspike verify`` hold them against the RTL.
"""

__all__ = [
    "ACCUMULATOR_DRAIN", "BACKWARD_LAYER", "CHOICE_DRAIN", "HISTOGRAM", "READOUT_FIXED", "RESULT_HEADER", "RESULT_WORD",
    "SCAN_TO_SPIKE", "SLOTS", "SPIKE_QUEUE", "TRANSPORT_DRAIN", "TRANSPORT_END", "TRANSPORT_LOOK", "TRANSPORT_PASS", "UPDATE_DRAIN",
    "UPDATE_LINGER", "UPDATE_RESULT", "WALK_START",
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
UPDATE_RESULT = 4        # an UPDATE is left -> the next packet may begin: three words
TRANSPORT_LOOK = 2       # cycles of a layer besides its passes
TRANSPORT_PASS = 4       # cycles of a pass besides its words and their way
TRANSPORT_DRAIN = 4      # word of a transport -> written
CHOICE_DRAIN = 9         # the same, where single weights are chosen
HISTOGRAM = 4            # cycles of a choice by histogram besides passes, two walks over the bins and the tree of lanes
TRANSPORT_END = 1        # after the last layer
