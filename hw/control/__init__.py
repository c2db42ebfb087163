"""Sequencing: network table, packets in order, column walks, counters."""
