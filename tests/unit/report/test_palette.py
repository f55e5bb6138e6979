"""Readable by a colour-blind reader: contrast of every tone in both themes, and what colour vision loses kept apart.

Contrast: WCAG 2.1, 4.5 for text. Colour blindness: the dichromat projections of Viénot, Brettel and Mollon (1999).
"""

from __future__ import annotations

import re
from importlib.resources import files
from itertools import combinations

import numpy as np
import pytest

STYLE = files("suture.report").joinpath("templates", "style.css").read_text(encoding="utf-8")
THEMES = dict(zip(("light", "dark"), re.findall(r":root \{(.*?)\}", STYLE, re.S)[:2], strict=True))
TO_LMS = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]])
BLIND = {
    "protanope": np.array([[0, 2.02344, -2.52581], [0, 1, 0], [0, 0, 1]]),
    "deuteranope": np.array([[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]]),
}


def linear(theme: str, name: str) -> np.ndarray:
    digits = re.search(rf"--{name}: #([0-9a-f]{{6}})", THEMES[theme])
    assert digits is not None, name
    value = np.array([int(digits[1][at : at + 2], 16) for at in (0, 2, 4)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def luminance(colour: np.ndarray) -> float:
    return float(colour @ (0.2126, 0.7152, 0.0722))


def contrast(one: np.ndarray, two: np.ndarray) -> float:
    dark, light = sorted((luminance(one), luminance(two)))
    return (light + 0.05) / (dark + 0.05)


def seen(colour: np.ndarray, eye: str) -> np.ndarray:
    return np.clip(np.linalg.inv(TO_LMS) @ BLIND[eye] @ TO_LMS @ colour, 0, 1)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("tone", ["kept", "forgotten", "open", "mute", "ink", "soft"])
def test_text_stands_out_from_every_ground_it_is_written_on(theme: str, tone: str) -> None:
    grounds = ["ground", "raised"] + ([f"{tone}-ground"] if f"--{tone}-ground:" in THEMES[theme] else [])
    for ground in grounds:
        assert contrast(linear(theme, tone), linear(theme, ground)) >= 4.5, ground


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("eye", BLIND)
def test_bars_differ_in_lightness_or_hatching_for_a_dichromat(theme: str, eye: str) -> None:
    """Solid bars are told apart by lightness alone; the lost ones are hatched and the gained ones dotted besides."""
    solid = [seen(linear(theme, name), eye) for name in ("bar-kept", "bar-gained", "bar-neither")]
    assert contrast(solid[0], solid[1]) >= 1.8
    assert contrast(solid[0], solid[2]) >= 1.8
    assert "radial-gradient" in re.search(r"\.part\.gained[^}]*", STYLE)[0]  # type: ignore[index]
    assert "repeating-linear-gradient" in re.search(r"\.part\.forgotten[^}]*", STYLE)[0]  # type: ignore[index]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("eye", BLIND)
def test_the_ends_of_the_coefficient_stay_apart_for_a_dichromat(theme: str, eye: str) -> None:
    ends = [seen(linear(theme, name), eye) for name in ("a0", "a50", "a100")]
    for one, two in combinations(ends, 2):
        assert float(np.abs(one - two).max()) > 0.08
