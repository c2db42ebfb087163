"""Weight update: optimizers and their unit."""
