"""Error codes of the accelerator: sticky in the status register, and in the result of a dropped packet."""

from enum import IntEnum

__all__ = ["ErrorCode", "REMEDIES"]


class ErrorCode(IntEnum):
    """Why a packet was dropped or a command refused. Weights are untouched in every case. OVERFLOW drops nothing: the SAMPLE's
    result bears it."""

    NONE = 0
    KIND = 1
    SHORT = 2
    LONG = 3
    INDEX = 4
    TIME = 5
    LABEL = 6
    ORDER = 7
    ADDRESS = 8
    NETWORK = 9
    BUSY = 10
    STOPPED = 11
    OVERFLOW = 12


REMEDIES: dict[ErrorCode, str] = {
    ErrorCode.NONE: "no error",
    ErrorCode.KIND: "the packet's kind is unknown; see the packet table in docs/packets.md",
    ErrorCode.SHORT: "the packet ended before its announced length; send every word that the header announces",
    ErrorCode.LONG: "the packet goes on past its announced length; end it with TLAST on the last announced word",
    ErrorCode.INDEX: "an event's neuron index is not in the input layer; indices run from 0 to inputs - 1",
    ErrorCode.TIME: "an event's time lies outside the window; it runs from 0 to T ticks before the window's end (sparse-bptt, and "
                    "spikes of rule rate: from step 0 to T - 1)",
    ErrorCode.LABEL: "the label is not an output neuron; labels run from 0 to outputs - 1",
    ErrorCode.ORDER: "event indices must ascend, each neuron once; sort the events by index (sparse-bptt: by step, then "
                     "index; rate: levels first, then spikes by step and index)",
    ErrorCode.ADDRESS: "no such memory, layer or column; check the network that was started",
    ErrorCode.NETWORK: "the network does not fit this build; generate a core with larger memories, or with more max_steps",
    ErrorCode.BUSY: "the accelerator is running; stop it before configuring or starting it",
    ErrorCode.STOPPED: "the accelerator is stopped; write the network description and start it",
    ErrorCode.OVERFLOW: "the sample's spikes or active neurons found no room on the tape: it was not learned from, and its logits "
                        "are those of the spikes that fit; generate a core with more spike_entries or job_entries",
}
