"""Stateless or purely pipelined rules: rounding, reciprocal, exchange of lanes, random lanes."""
