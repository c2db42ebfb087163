"""AXI ports: registers, packets in, results out, memory access."""
