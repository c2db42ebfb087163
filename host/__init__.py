"""Driver, training and command line. Devices are reached through one interface (device.py); the golden model and
the simulator are imported in devices.py only.
"""
