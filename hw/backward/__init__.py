"""Backward pass over active neurons."""
