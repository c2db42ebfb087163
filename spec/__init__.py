"""Facts that hardware, golden models, simulated device and host share.

Nothing here imports Amaranth, PyTorch or another part of the project: number formats, build
configuration, network layout, register map, packets, error codes, random streams, pipeline depths.
"""
