"""Karcher: the mean of directions on the sphere, with the mean of norms."""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from suture.methods.gram import Gram
from suture.methods.multislerp import vectors
from suture.methods.parameters import Parameter
from suture.methods.registry import register
from suture.methods.shapes import MethodInfo, SpanMethod

Vector = NDArray[np.float64]


def spherical_mean(cosines: Vector, max_iter: int, tol: float) -> Vector:
    """Coefficients over unit vectors of their mean on the sphere, from their (n, n) matrix of cosines."""

    def unit(c: Vector) -> Vector:
        return np.asarray(c / np.sqrt(max(float(c @ cosines @ c), 1e-300)))

    count = len(cosines)
    mean = unit(np.full(count, 1.0 / count))
    for _ in range(max_iter):
        dots = np.clip(cosines @ mean, -1.0, 1.0)
        angles = np.arccos(dots)
        sines = np.sin(angles)
        ratio = np.where(sines > 1e-12, angles / np.where(sines > 1e-12, sines, 1.0), 1.0) / count
        tangent = ratio - (ratio @ dots) * mean
        length = sqrt(max(float(tangent @ cosines @ tangent), 0.0))
        if length < tol:
            break
        mean = unit(np.cos(length) * mean + np.sin(length) / length * tangent)
    return mean


def weights(gram: Gram | None, inputs: int, *, max_iter: int, tol: float) -> tuple[float, ...]:
    """The mean of the directions of the inputs that are not zero, times the mean of all norms."""
    assert gram is not None
    products = vectors(gram, inputs, inputs)
    norms = np.sqrt(np.maximum(np.diag(products), 0.0))
    present = norms > 0.0
    coefficients = np.zeros(inputs)
    if present.any():
        scale = norms[present]
        cosines = products[np.ix_(present, present)] / np.outer(scale, scale)
        coefficients[present] = spherical_mean(cosines, max_iter, tol) / scale * norms.mean()
    return tuple(coefficients.tolist())


register(
    SpanMethod(
        MethodInfo(
            name="karcher",
            shape="span",
            summary="The mean of the models' directions on the sphere (Karcher mean), at the mean of their norms.",
            paper="Karcher, Riemannian center of mass and mollifier smoothing, CPAM 1977; the steps of Buss & "
            "Fillmore, Spherical averages, ACM TOG 2001, algorithm A1",
            formula="mean_i |x_i| argmin_u sum_i angle(u, x_i)^2, u a unit vector; steps "
            "u <- exp_u(mean_i log_u(u_i)) from the mean direction until one is shorter than tol",
            deviations="All models weigh the same, as in the field's reference merger. Iterated in fp64 on the Gram "
            "matrix instead of on the vectors. Zero tensors have no direction but count in the norm.",
            parameters=(
                Parameter("max_iter", "steps at most", "int", 10, low=1),
                Parameter("tol", "length of a step that ends the search", "float", 1e-5, low=0.0, low_open=True),
            ),
            laws=("identity but for rounding", "permutation", "scale but for rounding", "slerp at one half"),
            min_inputs=1,
            max_inputs=None,
            base="none",
            tier="compat",
            helps="Several models far apart, where a straight mean shrinks the norm.",
            fails="Close parents: nothing differs from the mean. No study shows a gain over linear.",
            example={"max_iter": 10},
        ),
        weights,
        needs_gram=True,
    )
)
