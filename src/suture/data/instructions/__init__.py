"""Synthetic instruction data with constraints that code can verify; some kinds are trained, others held out.

topics.yaml      everyday topics with plain statements, apart for training and contrast
constraints.py   the kinds, trained or held out, and their verifiers
topics.py        the topics as frozen dataclasses
writers.py       (topic, kind) -> a response that satisfies it
training.py      training records of trained kinds
contrast.py      contrast pairs of held-out kinds
"""

from suture.data.instructions.constraints import HELD_OUT, TRAINED, satisfies
from suture.data.instructions.contrast import contrast
from suture.data.instructions.training import training

__all__ = ["HELD_OUT", "TRAINED", "contrast", "satisfies", "training"]
