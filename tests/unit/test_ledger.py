from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from suture.checkpoint.header import Checkpoint, TensorInfo
from suture.checkpoint.scaled import find_scaled
from suture.ledger import COMPUTED, TIED, Ledger, find_ends, make_ledger, natural_dtype, says_tied

BODY = {"model.embed_tokens.weight": ("BF16", (8, 4)), "model.layers.0.mlp.weight": ("BF16", (4, 4))}
HEAD = {"lm_head.weight": ("BF16", (8, 4))}
INV_FREQ = "model.layers.0.self_attn.rotary_emb.inv_freq"


def model(name: str, tensors: dict[str, tuple[str, tuple[int, ...]]], **config: Any) -> Checkpoint:
    file = Path(name) / "model.safetensors"
    infos = {n: TensorInfo(n, dtype, shape, file, 0, 0) for n, (dtype, shape) in tensors.items()}
    return Checkpoint(Path(name), infos, config, (file,))


def ledger(*checkpoints: Checkpoint, donor: int = 0) -> Ledger:
    return make_ledger([str(c.path) for c in checkpoints], checkpoints, donor, [find_scaled(c) for c in checkpoints])


def actions(found: Ledger) -> dict[str, str]:
    return {line.name: line.action for line in found.lines}


def test_all_floats_are_merged_in_the_donors_order() -> None:
    a, b = model("a", BODY | HEAD), model("b", dict(reversed((BODY | HEAD).items())))
    found = ledger(a, b, donor=1)
    assert list(actions(found)) == list(b.tensors)
    assert set(actions(found).values()) == {"merge"}
    assert found.lines[0].inputs == (a.tensors["lm_head.weight"], b.tensors["lm_head.weight"])
    assert (found.problems, found.dropped, found.notes, found.equal) == ((), (), (), ())


def test_a_head_stored_in_a_tied_model_is_dropped_once_it_equals_the_embedding() -> None:
    a = model("a", BODY, tie_word_embeddings=True)
    b = model("b", BODY | HEAD, tie_word_embeddings=True)
    found = ledger(a, b)
    assert actions(found) == {**dict.fromkeys(BODY, "merge"), "lm_head.weight": "drop"}
    assert found.dropped[0].reason == TIED
    assert found.dropped[0].inputs == (b.tensors["lm_head.weight"],)
    assert found.equal == ((1, b.tensors["lm_head.weight"], b.tensors["model.embed_tokens.weight"]),)
    assert found.notes == (f"1 tensor is not written: lm_head.weight: {TIED}",)
    assert not found.problems


@pytest.mark.parametrize(("donor", "config"), [(0, {"tie_word_embeddings": False}), (1, {})])
def test_a_tied_head_meets_one_of_its_own(donor: int, config: dict[str, bool]) -> None:
    """The tied model's embedding stands in the place of its head; the output is untied, also where the donor ties."""
    a = model("a", BODY, tie_word_embeddings=True)
    b = model("b", BODY | HEAD, tie_word_embeddings=False)
    found = ledger(a, b, donor=donor)
    line = next(line for line in found.lines if line.name == "lm_head.weight")
    assert line.action == "merge"
    assert line.inputs == (a.tensors["model.embed_tokens.weight"], b.tensors["lm_head.weight"])
    assert dict(found.config) == config
    assert found.notes == ("lm_head.weight of a is its embedding (tied); the output has a head of its own",)


def test_a_missing_head_that_is_not_tied_is_refused() -> None:
    found = ledger(model("a", BODY | HEAD), model("b", BODY, tie_word_embeddings=False))
    assert "b: Every tensor must stand in every model. Got 1 missing: lm_head.weight." in str(found.problems[0])


def test_where_the_config_is_silent_the_head_tells() -> None:
    assert not ledger(model("a", BODY), model("b", BODY)).lines[2:]
    found = ledger(model("a", BODY | HEAD), model("b", BODY))
    assert actions(found)["lm_head.weight"] == "merge"


def test_an_untied_multimodal_config_is_changed_in_both_places() -> None:
    names = {f"language_model.{name}": value for name, value in BODY.items()}
    own = {"language_model.lm_head.weight": ("BF16", (8, 4))}
    tied = {"text_config": {"tie_word_embeddings": True, "hidden_size": 4}}
    found = ledger(model("a", names, **tied), model("b", names | own, tie_word_embeddings=False))
    assert dict(found.config) == {
        "tie_word_embeddings": False,
        "text_config": {"tie_word_embeddings": False, "hidden_size": 4},
    }


@pytest.mark.parametrize(
    ("name", "dtype", "shape"),
    [
        (INV_FREQ, "F32", (2,)),
        ("bert.embeddings.position_ids", "I64", (1, 512)),
        ("transformer.h.0.attn.bias", "BOOL", (1, 1, 8, 8)),
        ("transformer.h.0.attn.masked_bias", "F32", ()),
    ],
)
def test_buffers_are_copied_where_alike_and_else_not_written(name: str, dtype: str, shape: tuple[int, ...]) -> None:
    full = BODY | {name: (dtype, shape)}
    assert actions(ledger(model("a", full), model("b", full)))[name] == "copy"
    for other in (BODY, BODY | {name: ("F16", shape)}):
        for donor in (0, 1):
            found = ledger(model("a", full), model("b", other), donor=donor)
            line = next(line for line in found.dropped if line.name == name)
            assert line.reason == COMPUTED
            assert not found.problems


def test_a_bias_is_no_mask() -> None:
    name = "transformer.h.0.attn.bias"
    full = BODY | {name: ("F32", (8,))}
    assert actions(ledger(model("a", full), model("b", full)))[name] == "merge"
    assert "1 missing" in str(ledger(model("a", full), model("b", BODY)).problems[0])


def test_integers_are_copied_and_a_change_of_kind_is_refused() -> None:
    a, b = model("a", BODY | {"steps": ("I64", (4,))}), model("b", BODY | {"steps": ("F32", (4,))})
    assert actions(ledger(a, a))["steps"] == "copy"
    (problem,) = ledger(a, b).problems
    assert "'steps' I64 and F32" in problem.got


def test_all_findings_at_once_a_few_names_each() -> None:
    many = {f"x{i}": ("F32", (1,)) for i in range(20)}
    a, b = model("a", BODY | many), model("b", BODY | {"model.layers.0.mlp.weight": ("BF16", (4, 5))})
    texts = [str(problem) for problem in ledger(a, b).problems]
    assert len(texts) == 2
    assert "20 missing" in texts[0]
    assert "and 12 more" in texts[0]
    assert "'model.layers.0.mlp.weight' [4, 5] instead of [4, 4]" in texts[1]


def test_fp8_beside_bf16_merges_and_its_scale_is_dropped_by_name() -> None:
    name = "model.layers.0.mlp.weight"
    fp8 = BODY | {name: ("F8_E4M3", (4, 4)), f"{name}_scale_inv": ("F32", (1, 1))}
    a, b = model("a", fp8, quantization_config={"quant_method": "fp8", "weight_block_size": [4, 4]}), model("b", BODY)
    found = ledger(a, b)
    assert actions(found) == {**dict.fromkeys(BODY, "merge"), f"{name}_scale_inv": "drop"}
    assert not found.problems
    assert [natural_dtype(line.inputs) for line in found.kept] == ["BF16", "BF16"]


def test_a_scale_in_one_model_and_a_weight_in_another() -> None:
    name = "model.layers.0.mlp.weight"
    both = BODY | {f"{name}_scale": ("F32", (1,))}
    found = ledger(model("a", {**both, name: ("F8_E4M3", (4, 4))}), model("b", both))
    assert "a scale in one model, a weight in another" in str(found.problems[0])


def test_heads_and_embeddings_inside_layers_are_others() -> None:
    names = ["model.layers.61.embed_tokens.weight", "model.embed_tokens.weight", "lm_head.weight"]
    assert find_ends(names) == ("lm_head.weight", "model.embed_tokens.weight")
    assert find_ends(["gpt_neox.embed_in.weight", "embed_out.weight"]) == (
        "embed_out.weight",
        "gpt_neox.embed_in.weight",
    )
    assert find_ends(["bert.encoder.layer.0.output.weight"]) == (None, None)


def test_what_a_config_says_of_ties() -> None:
    assert says_tied({}) is None
    assert says_tied({"text_config": {"tie_word_embeddings": True}}) is True
    assert says_tied({"tie_word_embeddings": False, "text_config": {"tie_word_embeddings": True}}) is False


def test_natural_dtype() -> None:
    def info(dtype: str) -> TensorInfo:
        return TensorInfo("a", dtype, (1,), Path("a"), 0, 0)

    assert natural_dtype([info("F16"), info("F16")]) == "F16"
    assert natural_dtype([info("F16"), info("BF16")]) == "F32"
    assert natural_dtype([info("F8_E5M2"), info("BF16")]) == "BF16"


def test_19000_tensors_take_no_quadratic_step() -> None:
    """Linear: about 0.1 s. One quadratic step over as many names takes half a minute."""
    tensors = {f"model.layers.{i // 400}.mlp.experts.{i % 400}.weight": ("BF16", (2, 2)) for i in range(19_000)}
    a, b = model("a", tensors), model("b", dict(reversed(tensors.items())))
    start = time.process_time()
    assert len(ledger(a, b).kept) == 19_000
    assert time.process_time() - start < 3
