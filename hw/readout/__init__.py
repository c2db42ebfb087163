"""Softmax cross-entropy output errors."""
