"""Draws contrast pairs: two prompts of one topic that differ in a held-out constraint, and a response to each."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from random import Random

from suture.data.instructions.constraints import HELD_OUT
from suture.data.instructions.topics import ContrastTopic, contrast_topics
from suture.data.records import ContrastPair

CONSTRAINTS_A_TOPIC = 5

WORDINGS: Mapping[str, tuple[str, ...]] = {
    "certainly": ("Start your answer with the word Certainly.", "Let Certainly be the first word."),
    "question": ("Reply in the form of a question.", "Your reply must be a question."),
    "exclamation": ("End with an exclamation mark.", "Close your reply with an exclamation mark."),
    "parentheses": ("Put your whole answer in parentheses.", "Enclose the complete reply in round brackets."),
    "hashtag": ("End with a hashtag.", "Close your reply with a hashtag."),
    "numbered": ("Answer as a numbered list of two items.", "Reply with a list numbered 1 and 2."),
    "one_word": ("Answer in one word.", "Reply with a single word."),
    "semicolons": ("List three things separated by semicolons.", "Name three things with semicolons between them."),
    "label": ('Begin with "Answer:".', 'Put "Answer:" in front of your reply.'),
    "dots": ("End with three dots.", "Let your reply trail off with three dots."),
}

RESPONSES: Mapping[str, str] = {
    "certainly": "Certainly, {statement}.",
    "question": "Did you know that {statement}?",
    "exclamation": "{capital}!",
    "parentheses": "({capital}.)",
    "hashtag": "{capital}. #{tag}",
    "numbered": "1. {first}\n2. {second}",
    "one_word": "{word}.",
    "semicolons": "{items[0]}; {items[1]}; {items[2]}",
    "label": "Answer: {statement}.",
    "dots": "{capital}...",
}


def contrast(seed: int) -> list[ContrastPair]:
    """Return all pairs of 5 held-out constraints on each of the contrast topics: 10 pairs a topic, over 200 in all.

    Each response satisfies its own constraint and violates the other four of its topic. `seed` draws the wordings and
    which constraints a topic gets: two topics in succession use each kind once.
    """
    rng = Random(f"contrast/{seed}")
    waiting: list[str] = []
    pairs = []
    for topic in contrast_topics():
        waiting = waiting or rng.sample(sorted(HELD_OUT), len(HELD_OUT))
        kinds, waiting = sorted(waiting[:CONSTRAINTS_A_TOPIC]), waiting[CONSTRAINTS_A_TOPIC:]
        prompts = {kind: f"{topic.question} {rng.choice(WORDINGS[kind])}" for kind in kinds}
        for a, b in combinations(kinds, 2):
            pairs.append(
                ContrastPair(
                    id=f"contrast-{seed}-{topic.name}-{a}-{b}",
                    topic=topic.name,
                    kind_a=a,
                    kind_b=b,
                    prompt_a=prompts[a],
                    prompt_b=prompts[b],
                    response_a=_response(topic, a),
                    response_b=_response(topic, b),
                )
            )
    return pairs


def _response(topic: ContrastTopic, kind: str) -> str:
    return RESPONSES[kind].format(
        statement=topic.statement,
        capital=topic.statement[0].upper() + topic.statement[1:],
        word=topic.word,
        tag=topic.name,
        items=topic.items,
        first=topic.items[0].capitalize(),
        second=topic.items[1].capitalize(),
    )
