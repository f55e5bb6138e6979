"""Slerp: the great arc between two tensors, taken as vectors."""

from __future__ import annotations

from math import acos, sin

from suture.methods.gram import Gram
from suture.methods.parameters import Parameter
from suture.methods.registry import register
from suture.methods.shapes import MethodInfo, SpanMethod

STRAIGHT = 0.9995
"""Above this |cosine| the arc is taken as the straight line."""

SMALLEST_NORM = 1e-8


def cosine(gram: Gram) -> float:
    """Cosine of the two inputs, clamped to [-1, 1]; a norm of at most 1e-8 counts as 1."""
    norms = [norm if norm > SMALLEST_NORM else 1.0 for norm in (gram.norm(0), gram.norm(1))]
    return float(min(max(gram.dot(0, 1) / (norms[0] * norms[1]), -1.0), 1.0))


def takes_arc(gram: Gram) -> bool:
    """Whether the inputs lie so far apart that the arc is not taken as the straight line."""
    return abs(cosine(gram)) <= STRAIGHT


def weights(gram: Gram | None, inputs: int, *, t: float) -> tuple[float, ...]:
    """sin((1 - t) a) / sin a and sin(t a) / sin a for the angle a between the inputs."""
    assert gram is not None
    if not takes_arc(gram):
        return (1.0 - t, t)
    angle = acos(cosine(gram))
    return (sin((1.0 - t) * angle) / sin(angle), sin(t * angle) / sin(angle))


register(
    SpanMethod(
        MethodInfo(
            name="slerp",
            shape="span",
            summary="Spherical interpolation from the base to the other model, tensor by tensor.",
            paper="Shoemake, Animating rotation with quaternion curves, SIGGRAPH 1985, spherical linear interpolation",
            formula="(sin((1-t)a) x_0 + sin(t a) x_1) / sin a, a = angle(x_0, x_1); the straight line where "
            "|cos a| > 0.9995",
            deviations="The vectors are not normalised, only the angle is that of unit vectors, as is usual for model "
            "weights. The cosine is taken in fp64.",
            parameters=(Parameter("t", "way from the base (0) to the other model (1)", "float", low=0.0, high=1.0),),
            laws=("identity", "endpoints", "scale", "reversal", "straight at a small angle"),
            min_inputs=2,
            max_inputs=2,
            base="required",
            tier="core",
            helps="Two models of one family far apart, as continued pre-training makes them: keeps the norm that a "
            "straight mean loses.",
            fails="Close parents: equal to linear below an angle of 1.8 degrees, and hardly different below ten.",
            example={"t": 0.5},
        ),
        weights,
        needs_gram=True,
        takes_arc=takes_arc,
    )
)
