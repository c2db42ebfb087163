"""Stateless or purely pipelined rules: rounding, reciprocal, lane rotation, random lanes."""
