"""Tensor steps in PyTorch, pure: the reference of the kernels and the path on a GPU.

keys.py    the keys of all randomness (needs no torch)
anchor.py  the other rules on which both backends agree (needs no torch)
ranks.py   the probabilities of ranks (needs no torch)
steps.py   the steps, same names and arguments as in `suture.kernels`; they stand in the files named as there
"""
