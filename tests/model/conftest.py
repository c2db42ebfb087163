"""One thread: the tensors are small, and the test processes share the cores."""

import torch

torch.set_num_threads(1)
