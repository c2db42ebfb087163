"""The accelerator in Amaranth. Folders follow the data: memory, forward, readout, backward, update, transport,
control, io; ``arithmetic`` holds the rules that units share; ``top`` composes; ``verilog`` writes the result."""
