"""A small folder of official files of many data sets, written by hand, and a model that answers differently to each."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from suture.data.mts_dialog import FILES

CANARY = "quokkaberry"  # stands in inputs, references and questions; must stand in no other file than the items


def _lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="session")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Official files of ten data sets, a few items each."""
    folder = tmp_path_factory.mktemp("official")
    options = [["fever", "left knee", "amoxicillin", "cough"], ["one", "two words", "three", "four"]] * 2
    stems = [f"The {CANARY} patient {k} reports a cough and takes which drug?" for k in range(4)]
    _lines(
        folder / "medqa" / "medqa_us_4options_test.jsonl",
        [
            {"id": k, "question": q, "options": dict(zip("ABCD", o, strict=True)), "answer_idx": "ABCD"[k]}
            for k, (q, o) in enumerate(zip(stems, options, strict=True))
        ],
    )
    _lines(
        folder / "medmcqa" / "dev.json",
        [
            {"id": f"m{k}", "question": q, **dict(zip(("opa", "opb", "opc", "opd"), o, strict=True)), "cop": k + 1}
            for k, (q, o) in enumerate(zip(stems, options, strict=True))
        ],
    )
    labelled = {
        str(k): {"QUESTION": q, "CONTEXTS": ["The lungs are clear.", "No fever."], "final_decision": decision}
        for k, (q, decision) in enumerate(zip(stems, ("yes", "no", "maybe", "yes"), strict=True))
    }
    (folder / "pubmedqa").mkdir()
    (folder / "pubmedqa" / "ori_pqal.json").write_text(json.dumps(labelled))
    truth = {key: row["final_decision"] for key, row in labelled.items() if key != "3"}
    (folder / "pubmedqa" / "test_ground_truth.json").write_text(json.dumps(truth))
    _lines(
        folder / "mmlu" / "mmlu_test.jsonl",
        [
            {"subject": subject, "question": q, "choices": o, "answer": 1}
            for subject in ("anatomy", "college_biology")
            for q, o in zip(stems[:2], options[:2], strict=True)
        ],
    )
    _lines(
        folder / "arc" / "arc_challenge_test.jsonl",
        [{"id": f"a{k}", "question": q, "choices": options[k][: 3 + k], "gold": k} for k, q in enumerate(stems[:2])],
    )
    _lines(
        folder / "hellaswag" / "hellaswag_val.jsonl",
        [{"ind": k, "query": q, "choices": options[k], "gold": k} for k, q in enumerate(stems)],
    )
    _lines(
        folder / "truthfulqa" / "mc_task.json",
        [{"question": q, "mc1_targets": {"right": 1, "wrong": 0, "other": 0}} for q in stems[:2]],
    )
    _lines(
        folder / "gsm8k" / "test.jsonl",
        [{"question": f"{CANARY}: what is {k} and {k}?", "answer": f"Well.\n#### {2 * k}"} for k in range(3)],
    )
    visits = [
        {
            "ID": k,
            "section_header": "GENHX",
            "section_text": f"Cough, amoxicillin {k}00 mg. {CANARY}. No fever.",
            "dialogue": f"Doctor: Any fever, {CANARY}?\nPatient: No. I take amoxicillin {k}00 mg.",
        }
        for k in range(5)
    ]
    for name in (FILES["test1"], FILES["train"]):
        _csv(folder / "mts_dialog" / "Main-Dataset" / name, visits)
    _lines(
        folder / "meqsum" / "meqsum.jsonl",
        [{"File": f"{k}.txt", "CHQ": f"{CANARY} what helps {k}?", "Summary": f"What helps {k}?"} for k in range(3)],
    )
    return folder
