"""From the generated Verilog to FPGAs, with free tools: synthesis, place and route, area and timing by component."""
