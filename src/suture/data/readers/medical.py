"""Medical multiple choice: MedQA (four options), MedMCQA, PubMedQA, the six medical subjects of MMLU."""

from __future__ import annotations

import re
from collections.abc import Sequence

from suture.data.records import Choice
from suture.data.source import Files
from suture.data.tables import Row, read_json, read_rows, tidy
from suture.errors import BadInputError, Problem, refuse, some

LETTERS = "ABCDEFGHIJ"
MMLU_SUBJECTS = (
    "anatomy",
    "clinical_knowledge",
    "college_biology",
    "college_medicine",
    "medical_genetics",
    "professional_medicine",
)
PUBMEDQA_ANSWERS = ("yes", "no", "maybe")


def medqa(files: Files, split: str) -> list[Choice]:
    """Read MedQA-USMLE with four options: JSON lines with question, options {A..D}, answer_idx."""
    items = []
    for number, row in enumerate(read_rows(files[split], ("question", "options", "answer_idx"))):
        name = f"medqa-{split}-{row.get('id', number)}"
        options = tuple(tidy(row["options"].get(letter)) for letter in LETTERS[:4])
        items.append(Choice(name, name, tidy(row["question"]), options, _index(row["answer_idx"])))
    return _check(items, files[split])


def medmcqa(files: Files, split: str) -> list[Choice]:
    """Read MedMCQA: one object a line with question, opa to opd, cop, subject_name.

    cop counts from 1 in the authors' files and from 0 on the hub. Raises BadInputError where the file does not show
    which of the two it is.
    """
    rows = read_rows(files[split], ("question", "opa", "opb", "opc", "opd", "cop"))
    first = _first_option(rows, files[split])
    items = []
    for number, row in enumerate(rows):
        name = f"medmcqa-{split}-{row.get('id', number)}"
        options = tuple(str(row[f"op{letter}"]) for letter in "abcd")
        answer = int(row["cop"]) - first
        items.append(Choice(name, name, str(row["question"]), options, answer, section=tidy(row.get("subject_name"))))
    return _check(items, files[split])


def pubmedqa(files: Files, split: str) -> list[Choice]:
    """Read PubMedQA's expert-labelled part: ori_pqal.json, and test_ground_truth.json, which says what is test.

    context is the abstract without its conclusion, one section a line; options are yes, no, maybe.
    """
    labelled, truth = read_json(files["labelled"]), read_json(files["truth"])
    missing = [name for name in truth if name not in labelled]
    changed = [name for name in truth if name in labelled and labelled[name]["final_decision"] != truth[name]]
    where = str(files["truth"])
    problems = [Problem("Every test item must be labelled.", f"{len(missing)} that are not", where)] if missing else []
    if changed:
        problems.append(Problem("Both files must give one answer.", f"{len(changed)} items with two", where))
    refuse(BadInputError, problems)
    items = []
    for name, row in labelled.items():
        if (name in truth) == (split == "test"):
            answer = PUBMEDQA_ANSWERS.index(row["final_decision"]) if row["final_decision"] in PUBMEDQA_ANSWERS else -1
            context = "\n".join(row["CONTEXTS"])
            full = f"pubmedqa-{name}"
            items.append(Choice(full, full, str(row["QUESTION"]), PUBMEDQA_ANSWERS, answer, context=context))
    return _check(items, files["labelled"])


def mmlu(files: Files, split: str) -> list[Choice]:
    """Read the six medical subjects of MMLU; section is the subject.

    From one table with subject, question, options or choices, and answer (a letter or an index from 0).
    """
    items, counts = [], dict.fromkeys(MMLU_SUBJECTS, 0)
    for row in read_rows(files["table"], ("subject", "question", "answer")):
        subject = tidy(row["subject"])
        if subject not in counts:
            continue
        options = row.get("options", row.get("choices"))
        texts = [options[letter] for letter in LETTERS[:4]] if isinstance(options, dict) else list(options or ())
        name = f"mmlu-{row.get('id') or f'{subject}-{counts[subject]:03d}'}"
        counts[subject] += 1
        answer, question = _index(row["answer"]), str(row["question"])
        items.append(Choice(name, name, question, tuple(map(str, texts)), answer, section=subject))
    return _check(items, files["table"])


def _index(answer: object) -> int:
    """Return the index of an answer given as a letter or as an index from 0; -1 for anything else."""
    text = str(answer).strip()
    if text.isdigit():
        return int(text)
    return LETTERS.find(text) if len(text) == 1 else -1


def _first_option(rows: Sequence[Row], path: object) -> int:
    values = {int(value) if re.fullmatch(r"-?\d+", value := str(row["cop"]).strip()) else None for row in rows}
    must = "cop must count from 1 to 4 (the authors' files) or from 0 to 3 (the hub's)."
    if values == {-1}:
        got, do = "-1 throughout: a file without answers", "Use the validation split."
        raise BadInputError(Problem(must, got, str(path), do))
    outside = sorted(str(value) for value in values if value is None or not 0 <= value <= 4)
    if outside or {0, 4} <= values:
        raise BadInputError(Problem(must, f"values {', '.join(outside) or 'from 0 to 4'}", str(path)))
    if 0 in values:
        return 0
    if 4 in values:
        return 1
    do = "Give the whole file: a part of it need not hold both ends."
    raise BadInputError(Problem(must, "values from 1 to 3 only, which fits both", str(path), do))


def _check(items: list[Choice], path: object) -> list[Choice]:
    """Raise BadInputError where an answer is none of its options; question texts stay out of the message."""
    outside = [item.id for item in items if not 0 <= item.answer < len(item.options)]
    if outside:
        got = f"{len(outside)} that are not: {some(outside)}"
        raise BadInputError(Problem("Every answer must be one of its options.", got, str(path)))
    return items
