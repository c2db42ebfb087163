"""Pipeline depths in cycles: facts that the RTL's schedule and the golden timing model share.

Each is the distance between two events that the component's docstring in hw/ names; a test of each component and
``coldspike verify`` hold them against the RTL.
"""

__all__ = [
    "ACCUMULATOR_DRAIN", "BACKWARD_LAYER", "CHOICE_DRAIN", "ERROR_DEPTH", "ERROR_SWEEP", "GRADIENT_REUSE", "HANDOVER",
    "HISTOGRAM", "JOBS_DRAIN", "LANE_SCAN", "LOGITS", "RATE_SCAN", "READOUT_FIXED", "RESULT_HEADER", "RESULT_WORD",
    "SCAN_TO_SPIKE", "SLOTS", "SPIKE_QUEUE", "STEP_LAYER", "STEP_LAYER_SWEEPS", "STEP_LOAD", "STEP_LOOK", "STEP_SCAN",
    "STEP_TURN", "SUM_WRITTEN", "SWEEP_DRAIN", "SWEEP_FILL", "TRACE_DEPTH", "TRANSPORT_DRAIN", "TRANSPORT_END",
    "TRANSPORT_LOOK", "TRANSPORT_PASS", "UPDATE_DRAIN", "UPDATE_LINGER", "UPDATE_RESULT", "WALK_START",
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

# Rule rate.
LANE_SCAN = 6            # start of a scan of masks -> its first slot
RATE_SCAN = 8            # start of a scan of neurons -> its first slot leaves the rule
TRACE_DEPTH = 9          # a block is walked by a trace pass -> its traces can be read

# Rule sparse-bptt.
STEP_LOAD = 1            # a sample besides its input events, which are stored first
STEP_LAYER = 32          # a layer besides its steps
STEP_TURN = 2            # a step besides the blocks of its leak pass and events
STEP_SCAN = 7            # a step besides the slots of its scan
JOBS_DRAIN = 2           # last job written -> seen
LOGITS = 3               # forward engine through -> its logits, besides one cycle each
HANDOVER = 2             # errors are written -> hand-over; one more where they become jobs
STEP_LOOK = 1            # look at the tape, of a sample that is not learned from
STEP_LAYER_SWEEPS = 2    # a layer besides the longer one of its sweeps
ERROR_SWEEP = 19         # an error sweep besides its jobs' blocks and its looks
ERROR_DEPTH = 4          # least cycles of a job: the sums' way
SWEEP_FILL = 2           # start of a gradient sweep -> first entries, where the sums are cleared sooner
SWEEP_DRAIN = 9          # end of the last entry -> end of the sweep
SUM_WRITTEN = 5          # growth of a trace or delta -> next look at it
GRADIENT_REUSE = 5       # start of a reading -> next one of the same row or column
