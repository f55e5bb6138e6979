"""Named merges that are linear or task arithmetic with certain coefficients, under the names that papers gave them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Preset:
    """A method with some parameters given.

    parameters: shared ones, by name; models: those of each listed model, in order, one mapping for all where there is
    but one. roles: what the base (where the method has one) and the models are, in order. A recipe may change any.
    """

    method: str
    parameters: Mapping[str, Any]
    summary: str
    paper: str
    models: tuple[Mapping[str, Any], ...] = ({},)
    roles: tuple[str, ...] = field(default=())


PRESETS: Mapping[str, Preset] = {
    "chat_vector": Preset(
        "task_arithmetic",
        {"normalize": False, "lambda": 1.0},
        "What instruction tuning changed, added to a model pre-trained further from the same base.",
        "Huang et al., Chat vector, ACL 2024, arXiv 2310.04799, section 3",
        ({"weight": 1.0}, {"weight": 1.0}),
        ("the common base", "the pre-trained further (clinical)", "the base's instruct model"),
    ),
    "graft": Preset(
        "task_arithmetic",
        {"normalize": False, "lambda": 1.0},
        "The chat vector at reduced strength: clinical + 0.5 (instruct - base).",
        "Huang et al., Chat vector, ACL 2024, arXiv 2310.04799, section 3, with a factor below 1",
        ({"weight": 1.0}, {"weight": 0.5}),
        ("the base of the instruct model", "the model grafted on (clinical)", "the instruct model"),
    ),
    "instruction_residual": Preset(
        "task_arithmetic",
        {"normalize": False, "lambda": 1.0},
        "The instruction residual (instruct - base) added to a continually pre-trained base.",
        "Jindal et al., Balancing continuous pre-training and instruction fine-tuning, 2024, arXiv 2410.10739",
        ({"weight": 1.0}, {"weight": 1.0}),
        ("the old base", "the base pre-trained further", "the old base's instruct model"),
    ),
    "model_soup": Preset(
        "linear",
        {"normalize": True},
        "The plain mean of fine-tunes of one base (uniform soup).",
        "Wortsman et al., Model soups, ICML 2022, arXiv 2203.05482, section 2",
        ({"weight": 1.0},),
    ),
    "partial_adaptation": Preset(
        "task_arithmetic",
        {"normalize": False, "lambda": 1.0},
        "A share of what fine-tuning changed: base + 0.6 (model - base).",
        "Fleshman & Van Durme, RE-Adapt, 2024, arXiv 2405.15007, partial adaptation",
        ({"weight": 0.6},),
        ("the base", "its fine-tune"),
    ),
    "wise_ft": Preset(
        "linear",
        {"normalize": True},
        "Half way between a model and its fine-tune.",
        "Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022, arXiv 2109.01903, section 3",
        ({"weight": 0.5}, {"weight": 0.5}),
        ("the model before", "its fine-tune"),
    ),
}
