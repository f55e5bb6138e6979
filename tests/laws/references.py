"""Every merge method's formula once more, from its paper, in float64 and on whole tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import acos, sin
from typing import Any

import numpy as np
from cases import NAME, SEED, Params
from numpy.typing import NDArray

from suture import kernels

Doubles = NDArray[np.float64]
Keep = Callable[[int, Doubles], Any]


def draws(model: int, size: int) -> NDArray[np.uint64]:
    """splitmix64 of the model's key and 0..size-1."""
    z = kernels.random_key(SEED, NAME, model) + np.arange(1, size + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniform(model: int, shape: tuple[int, ...]) -> Doubles:
    """The model's draws in [0, 1): the low 32 bits of a word for the even element, the high ones for the odd."""
    count = int(np.prod(shape))
    words = draws(model, (count + 1) // 2)
    halves = np.stack([words & np.uint64(2**32 - 1), words >> np.uint64(32)], axis=1).reshape(-1)
    return (halves[:count] / 2.0**32).reshape(shape)


def linear_in_float64(x: list[Doubles], p: Params) -> Doubles:
    return np.average(x, axis=0, weights=p["weight"]) if p["normalize"] else np.tensordot(p["weight"], np.array(x), 1)


def slerp_in_float64(x: list[Doubles], p: Params) -> Doubles:
    angle = acos(np.vdot(x[0], x[1]) / np.linalg.norm(x[0]) / np.linalg.norm(x[1]))
    return (sin((1 - p["t"]) * angle) * x[0] + sin(p["t"] * angle) * x[1]) / sin(angle)


def task_arithmetic_in_float64(x: list[Doubles], p: Params) -> Doubles:
    vectors = [w * (model - x[0]) for w, model in zip(p["weight"], x[1:], strict=True)]
    return x[0] + p["lambda_"] * np.sum(vectors, axis=0) / (sum(p["weight"]) if p["normalize"] else 1)


def nearswap_in_float64(x: list[Doubles], p: Params) -> Doubles:
    share = np.clip(p["t"] / np.maximum(np.abs(x[1] - x[0]), 1e-6), 0, 1)
    return share * x[1] + (1 - share) * x[0]


def task_vectors(x: list[Doubles], p: Params, keep: Keep, *, elect: bool, each: Keep | None = None) -> Doubles:
    """The family of the task vector; keep, each: (model's number, its task vector) -> mask, factors."""
    deltas = []
    for i, model in enumerate(x[1:]):
        delta = model - x[0]
        mask = keep(i, delta)
        kept = delta * mask
        if p["rescale"] == "l1":
            kept = kept * np.abs(delta).sum() / np.abs(kept).sum()
        elif p["rescale"] == "expectation":
            kept = kept * (each(i, delta) if each else 1 / p["density"][i])
        deltas.append(p["weight"][i] * kept)
    weight = np.reshape(p["weight"], (-1,) + (1,) * x[0].ndim)
    agrees = np.ones(np.shape(deltas), bool)
    if elect:
        agrees = np.sign(deltas) == np.where(np.sum(deltas, axis=0) >= 0, 1, -1)
    mix, divisor = np.sum(deltas * agrees, axis=0), np.sum(weight * agrees, axis=0)
    return np.asarray(x[0] + p["lambda_"] * mix / (np.where(divisor == 0, 1, divisor) if p["normalize"] else 1))


def falling(delta: Doubles) -> NDArray[np.int64]:
    """Rank of each magnitude, as fp32 has it, from the largest, 0, on."""
    rank = np.empty(delta.size, np.int64)
    rank[np.argsort(-np.abs(delta.astype(np.float32)).reshape(-1), kind="stable")] = np.arange(delta.size)
    return rank.reshape(delta.shape)


def ties_in_float64(x: list[Doubles], p: Params) -> Doubles:
    counts = [max(1, int(d * x[0].size)) for d in p["density"]]
    return task_vectors(x, p, lambda i, delta: falling(delta) < counts[i], elect=True)


def breadcrumbs_in_float64(x: list[Doubles], p: Params, *, elect: bool = False) -> Doubles:
    def keep(i: int, delta: Doubles) -> Any:
        n, target, top = delta.size, int(p["density"][i] * delta.size), int(p["gamma"][i] * delta.size)
        bottom = max(0, n - target - top)
        rising = n - 1 - falling(delta)
        return (rising >= bottom) & (rising < bottom + target)

    return task_vectors(x, p, keep, elect=elect)


def breadcrumbs_ties_in_float64(x: list[Doubles], p: Params) -> Doubles:
    return breadcrumbs_in_float64(x, p, elect=True)


def dare_linear_in_float64(x: list[Doubles], p: Params, *, elect: bool = False) -> Doubles:
    return task_vectors(x, p, lambda i, delta: uniform(i, delta.shape) < p["density"][i], elect=elect)


def dare_ties_in_float64(x: list[Doubles], p: Params) -> Doubles:
    return dare_linear_in_float64(x, p, elect=True)


def della_in_float64(x: list[Doubles], p: Params, *, elect: bool = True) -> Doubles:
    def probability(i: int, delta: Doubles) -> Any:
        order = np.argsort(np.abs(delta.astype(np.float32)), axis=-1, kind="stable")
        rank = np.argsort(order, axis=-1, kind="stable")  # the inverse permutation
        density, epsilon = p["density"][i], p["epsilon"][i]
        return np.clip(density - epsilon + 2 * epsilon * rank / (delta.shape[-1] - 1), 0, 1)

    def keep(i: int, delta: Doubles) -> Any:
        return (uniform(i, delta.shape) < probability(i, delta)) | (p["density"][i] >= 1)

    return task_vectors(x, p, keep, elect=elect, each=lambda i, delta: 1 / probability(i, delta).clip(min=1e-9))


def della_linear_in_float64(x: list[Doubles], p: Params) -> Doubles:
    return della_in_float64(x, p, elect=False)


def multislerp_in_float64(x: list[Doubles], p: Params) -> Doubles:
    weight = np.array(p["weight"]) / (sum(p["weight"]) if p["normalize_weights"] else 1)
    norms = [np.linalg.norm(model) for model in x]
    units = [model / (norm + p["eps"]) for model, norm in zip(x, norms, strict=True)]
    mean = np.tensordot(weight, np.array(units), 1)
    mean /= np.linalg.norm(mean)
    tangents = [u - np.vdot(u, mean) * mean for u in units]
    tangent = np.tensordot(weight, np.array(tangents), 1)
    length = np.linalg.norm(tangent) + p["eps"]
    return np.asarray((mean * np.cos(length) + tangent * np.sin(length) / length) * (weight @ norms))


def karcher_in_float64(x: list[Doubles], p: Params) -> Doubles:
    norms = [np.linalg.norm(model) for model in x]
    units = [model / norm for model, norm in zip(x, norms, strict=True)]
    mean = np.mean(units, axis=0)
    mean /= np.linalg.norm(mean)
    for _ in range(p["max_iter"]):
        angles = [acos(np.vdot(u, mean)) for u in units]
        logs = [a / sin(a) * (u - np.vdot(u, mean) * mean) for a, u in zip(angles, units, strict=True)]
        step = np.mean(logs, axis=0)
        length = np.linalg.norm(step)
        if length < p["tol"]:
            break
        mean = np.cos(length) * mean + np.sin(length) * step / length
        mean /= np.linalg.norm(mean)
    return np.asarray(mean * np.mean(norms))


def nuslerp_in_float64(x: list[Doubles], p: Params) -> Doubles:
    t = p["weight"][1] / sum(p["weight"])
    axis = None if p["nuslerp_flatten"] else 0 if p["nuslerp_row_wise"] else -1
    u, v = (model / np.linalg.norm(model, axis=axis, keepdims=True) for model in x)
    angle = np.arccos(np.sum(u * v, axis=axis, keepdims=True))
    return np.asarray((np.sin((1 - t) * angle) * x[0] + np.sin(t * angle) * x[1]) / np.sin(angle))


def model_stock_in_float64(x: list[Doubles], p: Params) -> Doubles:
    axis, count = -1 if p["filter_wise"] else None, len(x) - 1
    units = [(m - x[0]) / np.linalg.norm(m - x[0], axis=axis, keepdims=True) for m in x[1:]]
    pairs = [np.sum(units[i] * units[j], axis=axis, keepdims=True) for i in range(count) for j in range(i)]
    cosine = np.mean(pairs, axis=0)
    t = count * cosine / (1 + (count - 1) * cosine)
    return np.asarray(t * np.mean(x[1:], axis=0) + (1 - t) * x[0])


def passthrough_in_float64(x: list[Doubles], p: Params) -> Doubles:
    return x[0] * p["scale"][0]


def sce_in_float64(x: list[Doubles], p: Params) -> Doubles:
    deltas = np.array([np.float32(model) - np.float32(x[0]) for model in x[1:]], np.float64)
    variance = deltas.var(axis=0).astype(np.float32)
    if p["select_topk"] < 1:
        deltas = deltas * (falling(variance.astype(np.float64)) < int(p["select_topk"] * (variance > 0).sum()))
    weight = (deltas**2).reshape(len(deltas), -1).mean(axis=1)
    weight = (weight / weight.sum()).reshape(-1, *[1] * x[0].ndim)
    agrees = np.sign(deltas) == np.where(deltas.sum(axis=0) >= 0, 1, -1)
    return np.asarray(x[0] + (deltas * weight * agrees).sum(0) / np.maximum((weight * agrees).sum(0), 1e-6))


def arcee_fusion_in_float64(x: list[Doubles], p: Params) -> Doubles:
    p_, q = (np.exp(m - m.max(-1, keepdims=True)) for m in (x[1], x[0]))
    p_, q = (m / m.sum(-1, keepdims=True) + 1e-8 for m in (p_, q))
    importance = np.abs(x[1] - x[0]) * (p_ * np.log(p_ / q)).sum(-1, keepdims=True)
    first, median, third = np.quantile(importance, [0.25, 0.5, 0.75])
    return np.where(importance >= median + 1.5 * (third - first), x[1], x[0])


def ram_in_float64(x: list[Doubles], p: Params) -> Doubles:
    return ramplus_tl_in_float64(x, {**p, "r": 0.0, "alpha": 0.0})


def ramplus_tl_in_float64(x: list[Doubles], p: Params) -> Doubles:
    deltas = np.array(x[1:]) - x[0]
    active = np.abs(deltas) > p["epsilon"]
    count = active.sum(axis=0)
    mix = np.zeros_like(x[0])
    for delta, a in zip(deltas, active, strict=True):
        alone, shared = a & (count == 1), a & (count > 1)
        factor = 1 + p["r"] * np.clip(shared.sum() / max(alone.sum(), 1), 0, p["alpha"])
        mix += np.where(alone, factor * delta, np.where(shared, delta / np.maximum(count, 1), 0))
    return x[0] + mix


def consensus_in_float64(x: list[Doubles], p: Params) -> Doubles:
    total = x[0] + sum(w * (m - x[0]) for w, m in zip(p["weight"], x[1:], strict=True))
    masks = [np.abs(m - x[0]) >= t * np.abs(total - m) for t, m in zip(p["threshold"], x[1:], strict=True)]
    return x[0] + p["lambda_"] * (total - x[0]) * (np.sum(masks, axis=0) >= min(p["least"], len(masks)))


def fisher_in_float64(x: list[Doubles], p: Params) -> Doubles:
    floor = p["floor"] * np.mean(p["information"])
    shares = [w * (f + floor) for w, f in zip(p["weight"], p["information"], strict=True)]
    return np.asarray(sum(s * m for s, m in zip(shares, x, strict=True)) / sum(shares))


def whitened(a: Doubles) -> Doubles:
    """A (A^T A)^(-1/2), or (A A^T)^(-1/2) A where it is wider than high."""
    if a.shape[0] < a.shape[1]:
        return whitened(a.T).T
    values, vectors = np.linalg.eigh(a.T @ a)
    return np.asarray(a @ (vectors / np.sqrt(values)) @ vectors.T)


def tsv_in_float64(x: list[Doubles], p: Params) -> Doubles:
    count = min(x[0].shape) // (len(x) - 1)
    triples = [np.linalg.svd(m - x[0], full_matrices=False) for m in x[1:]]
    u = whitened(np.hstack([t[0][:, :count] for t in triples]))
    vh = whitened(np.vstack([t[2][:count] for t in triples]))
    return np.asarray(x[0] + p["lambda_"] * u @ np.diag(np.hstack([t[1][:count] for t in triples])) @ vh)


def iso_c_in_float64(x: list[Doubles], p: Params) -> Doubles:
    total = np.sum([m - x[0] for m in x[1:]], axis=0)
    return np.asarray(x[0] + p["lambda_"] * np.linalg.svd(total, compute_uv=False).mean() * whitened(total))


def iso_cts_in_float64(x: list[Doubles], p: Params) -> Doubles:
    deltas, rank = [m - x[0] for m in x[1:]], min(x[0].shape)
    own = int(rank * (1 - p["common"])) // len(deltas)
    shared = rank - own * len(deltas)
    u, s, vh = np.linalg.svd(sum(deltas), full_matrices=False)
    parts = [(u[:, :shared], s[:shared], vh[:shared])]
    for delta in deltas:
        a, b, c = np.linalg.svd((np.eye(len(u)) - u[:, :shared] @ u[:, :shared].T) @ delta, full_matrices=False)
        parts.append((a[:, :own], b[:own], c[:own]))
    strength = np.hstack([b for _, b, _ in parts]).mean()
    left, right = whitened(np.hstack([a for a, _, _ in parts])), whitened(np.vstack([c for _, _, c in parts]))
    return np.asarray(x[0] + p["lambda_"] * strength * left @ right)


def knots_in_float64(x: list[Doubles], p: Params) -> Doubles:
    deltas = [m - x[0] for m in x[1:]]
    values, u = np.linalg.eigh(sum(d @ d.T for d in deltas))
    values, u = values[values > 1e-12 * values[-1]], u[:, values > 1e-12 * values[-1]]
    rows = []
    for d, w, density in zip(deltas, p["weight"], p["density"], strict=True):
        v = (u.T @ d) / np.sqrt(values)[:, None]
        rows.append(w * v * (np.abs(v) >= np.sort(np.abs(v), axis=None)[v.size - int(density * v.size)]))
    agrees = np.sign(rows) == np.where(np.sum(rows, axis=0) >= 0, 1, -1)
    divisor = np.tensordot(p["weight"], agrees, 1)
    mix = np.sum(rows * agrees, axis=0) / np.where(divisor == 0, 1, divisor)
    return np.asarray(x[0] + p["lambda_"] * (u * np.sqrt(values)) @ mix)


def wudi_in_float64(x: list[Doubles], p: Params) -> Doubles:
    """By least squares on the stacked rows of the task vectors."""
    deltas = [m - x[0] for m in x[1:]]
    scaled = [d / np.linalg.norm(d) for d in deltas]
    width, total = x[0].shape[1], np.sum(deltas, axis=0)
    pull = np.sqrt(p["ridge"] * sum(np.sum(s**2) for s in scaled) / width)
    rows = np.vstack([*scaled, pull * np.eye(width)])
    targets = np.vstack([*(s @ d.T for s, d in zip(scaled, deltas, strict=True)), pull * total.T])
    return np.asarray(x[0] + p["lambda_"] * np.linalg.lstsq(rows, targets)[0].T)


def regmean_in_float64(x: list[Doubles], p: Params) -> Doubles:
    grams = [p["scale"] * g + (1 - p["scale"]) * np.diag(np.diag(g)) for g in p["information"]]
    return np.asarray(sum(m @ g for m, g in zip(x, grams, strict=True)) @ np.linalg.inv(sum(grams)))


def aim_in_float64(x: list[Doubles], p: Params) -> Doubles:
    sizes = np.sqrt(np.mean([np.diag(g) / np.trace(g) for g in p["information"]], axis=0))
    held = 1 - (1 - p["omega"]) * sizes / sizes.max()
    return x[0] + held * p["lambda_"] * sum(w * (m - x[0]) for w, m in zip(p["weight"], x[1:], strict=True))


FLOAT64: Mapping[str, Callable[[list[Doubles], Params], Doubles]] = {
    name.removesuffix("_in_float64"): reference
    for name, reference in list(globals().items())
    if name.endswith("_in_float64")
}
