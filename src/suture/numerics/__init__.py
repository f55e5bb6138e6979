"""Tensor steps in PyTorch, pure: the reference of the kernels and the path on a GPU.

keys.py    the keys of all randomness (needs no torch; the kernels use it too)
steps.py   the steps, same names and arguments as in `suture.kernels`
"""
