"""Data sets that are recordings over time, one module each: its files, and how they become spikes."""
