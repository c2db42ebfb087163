"""Experiments: many training runs, one table and figures; restartable."""
