"""Tensor -> tensor steps, pure, in PyTorch: the reference of the kernels and the path on a GPU."""
