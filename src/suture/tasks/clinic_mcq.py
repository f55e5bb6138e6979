"""Questions with four options about records of the synthetic clinic, answered by log-likelihood."""

from __future__ import annotations

from suture.tasks.task import Task

TASK = Task(
    name="clinic_mcq",
    axis="medical",
    kind="choice",
    instruction="{input}\nAnswer with the right option only.",
    metrics=("accuracy", "answer_nll"),
    primary="accuracy",
    binary=True,
    max_new_tokens=0,
    protocol=(
        "Each option's text is read as the answer in the chat template. The option with the highest log-likelihood "
        "per UTF-8 byte is chosen. answer_nll: minus the log-probability of the right option among the options, "
        "each at its summed log-likelihood, in nats."
    ),
    source="Normalisation: lm-evaluation-harness, acc_bytes (for ASCII options equal to acc_norm); questions: Suture",
)
