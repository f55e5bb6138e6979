"""Reports and stays: Open-i and MIMIC-CXR (findings -> impression), MIMIC-BHC (note -> brief hospital course)."""

from __future__ import annotations

from blake3 import blake3

from suture.data.records import Record
from suture.data.source import Files
from suture.data.tables import read_rows, tidy
from suture.errors import BadInputError, Problem

PHYSIONET = "PhysioNet Credentialed Health Data License 1.5.0"
CREDENTIAL = "PhysioNet credentialed access: training in human-subjects research and a signed data use agreement"


def open_i(files: Files, split: str) -> list[Record]:
    """Read Open-i's indiana_reports.csv: findings -> impression, where both are there.

    section is "normal" or "abnormal" (by the column Problems). There is no official split: a report's split follows
    from the BLAKE3 of its uid, a fifth test, a tenth validation, the rest train.
    """
    columns = ("uid", "Problems", "findings", "impression")
    records = []
    for row in read_rows(files["table"], columns):
        findings, impression, uid = tidy(row["findings"]), tidy(row["impression"]), tidy(row["uid"])
        if findings and impression and _part(uid) == split:
            section = "normal" if tidy(row["Problems"]).lower() == "normal" else "abnormal"
            name = f"open_i-{uid}"
            records.append(
                Record(name, "open_i", name, section, findings, impression, split, "not stated: do not redistribute")
            )
    return records


def mimic_cxr(files: Files, split: str) -> list[Record]:
    """Read MIMIC-CXR: findings -> impression, from the sections that PhysioNet's own script cuts.

    Files: mimic_cxr_sectioned.csv (study, findings, impression) and mimic-cxr-2.0.0-split.csv.gz, whose split is kept;
    encounter is the subject, whom the official split never divides.
    """
    where: dict[str, tuple[str, str]] = {}
    for row in read_rows(files["split"], ("study_id", "subject_id", "split")):
        where[f"s{tidy(row['study_id']).removeprefix('s')}"] = (tidy(row["subject_id"]), tidy(row["split"]))
    wanted = {"test": "test", "validation": "validate", "train": "train"}[split]
    records, unknown = [], 0
    for row in read_rows(files["table"], ("study", "findings", "impression")):
        study = f"s{tidy(row['study']).removeprefix('s')}"
        subject, part = where.get(study, ("", ""))
        unknown += not part
        findings, impression = tidy(row["findings"]), tidy(row["impression"])
        if part == wanted and findings and impression:
            encounter = f"mimic_cxr-p{subject.removeprefix('p')}"
            records.append(
                Record(
                    f"mimic_cxr-{study}",
                    "mimic_cxr",
                    encounter,
                    "impression",
                    findings,
                    impression,
                    split,
                    PHYSIONET,
                    CREDENTIAL,
                )
            )
    if unknown:
        must = "Every study must stand in the split file."
        raise BadInputError(Problem(must, f"{unknown} that do not", str(files["split"]), "Take both from one release."))
    return records


def mimic_bhc(files: Files, split: str) -> list[Record]:
    """Read MIMIC-IV-Ext-BHC: discharge note without its hospital course -> that course (note_id, input, target).

    note_id is "<subject>-DS-<number>"; there is no official split: a subject's split follows from the BLAKE3 of its
    number, a fifth test, a tenth validation, the rest train. encounter is the subject.
    """
    records = []
    for row in read_rows(files["table"], ("note_id", "input", "target")):
        note = tidy(row["note_id"])
        subject = note.partition("-")[0]
        if _part(subject) == split:
            text, course = tidy(row["input"]), tidy(row["target"])
            encounter = f"mimic_bhc-{subject}"
            section = "hospital course"
            records.append(
                Record(f"mimic_bhc-{note}", "mimic_bhc", encounter, section, text, course, split, PHYSIONET, CREDENTIAL)
            )
    return records


def _part(key: str) -> str:
    """Return the split of a patient or report: 20 % test, 10 % validation, 70 % train, by the digest of its key."""
    share = int.from_bytes(blake3(key.encode()).digest(4), "big") / 2**32
    return "test" if share < 0.2 else "validation" if share < 0.3 else "train"
