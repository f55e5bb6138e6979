"""Synthetic instruction data with verifiable constraints: training records, and contrast pairs of held-out kinds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import combinations, product
from random import Random
from typing import Any

import yaml

from suture.data.constraints import HELD_OUT, satisfies
from suture.data.records import ContrastPair, Record
from suture.errors import Problem, UsageError

CONSTRAINTS_A_TOPIC = 5
REQUESTS = (
    "Write a short note about {topic}.",
    "Write a few words about {topic}.",
    "Tell me something about {topic}.",
    "What should I know about {topic}?",
)
ENDINGS = ("That is all you need.", "Have a nice day.", "I hope this helps.", "Enjoy it.")
NUMBERS = {"2": "two", "3": "three", "4": "four"}


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic of the training part: complete sentences, short items, and a word that one of the sentences carries."""

    name: str
    sentences: tuple[str, ...]
    items: tuple[str, ...]
    keyword: str

    def draw(self, rng: Random, least: int = 2, most: int = 3) -> list[str]:
        """Return sentences in an order drawn by `rng`."""
        return rng.sample(self.sentences, rng.randint(least, most))


# Wordings of the constraint with {value}, and a function to (value, response).
Writer = tuple[tuple[str, ...], Callable[[Topic, str, Random], tuple[str, str]]]


def training(seed: int, n: int) -> list[Record]:
    """Return `n` records: a prompt with one constraint, and a response that satisfies it.

    section is the constraint's kind, facts its parameter; kinds come round evenly. More records only add at the end.
    Raises UsageError where `n` is negative or above the number of distinct prompts.
    """
    rng = Random(f"instructions/{seed}")
    topics = _topics()
    rounds = {kind: list(product(topics, REQUESTS, wordings)) for kind, (wordings, _) in WRITERS.items()}
    for prompts in rounds.values():
        rng.shuffle(prompts)
    most = min(len(prompts) for prompts in rounds.values()) * len(WRITERS)
    if not 0 <= n <= most:
        raise UsageError(Problem(f"The number of training prompts must be in [0, {most}].", str(n)))
    records = []
    kinds: list[str] = []
    for number in range(n):
        kinds = kinds or rng.sample(sorted(WRITERS), len(WRITERS))
        kind = kinds.pop()
        topic, request, wording = rounds[kind].pop()
        asked = request.format(topic=topic.name)
        value, response = WRITERS[kind][1](topic, asked, rng)
        constraint = wording.format(value=NUMBERS.get(value, value))
        records.append(
            Record(
                id=f"instruction-{seed}-{number:05d}",
                source="synthetic instructions",
                encounter=topic.name,
                section=kind,
                input=f"{asked} {constraint}",
                target=response,
                split="train",
                licence="Apache-2.0",
                facts={"value": value},
            )
        )
    return records


def contrast(seed: int) -> list[ContrastPair]:
    """Return all pairs of 5 held-out constraints on each of the contrast topics (10 pairs a topic, over 200 in all).

    Each response satisfies its own constraint and violates the other four of its topic. `seed` draws which constraints
    a topic gets (every kind equally often, as far as that goes) and their wordings.
    """
    rng = Random(f"contrast/{seed}")
    pairs = []
    kinds: list[str] = []
    for name, question, statement, word, items in _table()["contrast"]:
        chosen = kinds[:CONSTRAINTS_A_TOPIC]
        kinds = kinds[CONSTRAINTS_A_TOPIC:]
        if not chosen:
            kinds = rng.sample(sorted(HELD_OUT), len(HELD_OUT))
            chosen, kinds = kinds[:CONSTRAINTS_A_TOPIC], kinds[CONSTRAINTS_A_TOPIC:]
        written = {}
        for kind in sorted(chosen):
            prompt = f"{question} {rng.choice(CONTRAST_WORDINGS[kind])}"
            response = CONTRAST_RESPONSES[kind].format(
                statement=statement,
                capital=statement[0].upper() + statement[1:],
                word=word,
                tag=name,
                items=items,
                first=items[0].capitalize(),
                second=items[1].capitalize(),
            )
            written[kind] = (prompt, response)
        for a, b in combinations(written, 2):
            (prompt_a, response_a), (prompt_b, response_b) = written[a], written[b]
            pairs.append(
                ContrastPair(f"contrast-{seed}-{name}-{a}-{b}", name, a, b, prompt_a, prompt_b, response_a, response_b)
            )
    return pairs


@cache
def _table() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(files("suture.data").joinpath("topics.yaml").read_text(encoding="utf-8"))
    return loaded


def _topics() -> list[Topic]:
    return [
        Topic(row["name"], tuple(row["sentences"]), tuple(row["items"]), row["keyword"]) for row in _table()["training"]
    ]


def _without_commas(topic: Topic, asked: str, rng: Random) -> tuple[str, str]:
    plain = [sentence for sentence in topic.sentences if "," not in sentence]
    return "", " ".join(rng.sample(plain, rng.randint(2, 3)))


def _bulleted(topic: Topic, asked: str, rng: Random) -> tuple[str, str]:
    count = rng.randint(2, 4)
    return str(count), "\n".join(f"* {item.capitalize()}" for item in rng.sample(topic.items, count))


def _with_keyword(topic: Topic, asked: str, rng: Random) -> tuple[str, str]:
    carrying = [sentence for sentence in topic.sentences if satisfies("keyword", sentence, topic.keyword)]
    first = rng.choice(carrying)
    rest = [sentence for sentence in topic.draw(rng) if sentence != first]
    return topic.keyword, " ".join([first, *rest])


def _without_keyword(topic: Topic, asked: str, rng: Random) -> tuple[str, str]:
    free = [sentence for sentence in topic.sentences if satisfies("without_word", sentence, topic.keyword)]
    return topic.keyword, " ".join(rng.sample(free, 2))


def _counted(topic: Topic, asked: str, rng: Random) -> tuple[str, str]:
    count = rng.randint(2, 4)
    return str(count), " ".join(rng.sample(topic.sentences, count))


def _as_json(topic: Topic, asked: str, rng: Random) -> tuple[str, str]:
    return "", json.dumps({"topic": topic.name, "points": rng.sample(topic.items, 2)})


def _highlighted(topic: Topic, asked: str, rng: Random) -> tuple[str, str]:
    first, second = rng.sample(topic.items, 2)
    return "2", f"{rng.choice(topic.sentences)} Think of *{first}* and *{second}*."


def _ended(topic: Topic, asked: str, rng: Random) -> tuple[str, str]:
    ending = rng.choice(ENDINGS)
    return ending, " ".join([*topic.draw(rng), ending])


WRITERS: Mapping[str, Writer] = {
    "capitals": (
        ("Use capital letters only.", "Your entire answer should be in all capital letters."),
        lambda topic, asked, rng: ("", " ".join(topic.draw(rng)).upper()),
    ),
    "lower_case": (
        ("Use lower case letters only.", "Your entire answer should be in lowercase; no capital letters are allowed."),
        lambda topic, asked, rng: ("", " ".join(topic.draw(rng)).lower()),
    ),
    "no_commas": (("Do not use any commas.", "Refrain from using commas in your answer."), _without_commas),
    "bullets": (
        ("Answer with exactly {value} bullet points, each starting with * .", "Use exactly {value} markdown bullets (* )."),
        _bulleted,
    ),
    "quotes": (
        ("Wrap your entire answer in double quotation marks.", "Put the whole answer inside double quotes."),
        lambda topic, asked, rng: ("", f'"{" ".join(topic.draw(rng))}"'),
    ),
    "title": (
        ("Give it a title in double angular brackets, such as <<title>>.", "Add a title wrapped in << and >>."),
        lambda topic, asked, rng: ("", f"<<{topic.name.capitalize()}>>\n{' '.join(topic.draw(rng))}"),
    ),
    "ending": (
        ('Finish with the exact phrase "{value}"', 'The very last words must be "{value}" Nothing may follow.'),
        _ended,
    ),
    "keyword": (("Include the word {value}.", 'Make sure that the word "{value}" appears.'), _with_keyword),
    "without_word": (("Do not use the word {value}.", 'Avoid the word "{value}".'), _without_keyword),
    "sentence_count": (("Use exactly {value} sentences.", "Your answer should have {value} sentences."), _counted),
    "json": (("Answer in JSON.", "Your entire output should be a JSON object and nothing else."), _as_json),
    "two_parts": (
        ("Give two different answers separated by ***.", "Write two parts, with *** between them."),
        lambda topic, asked, rng: ("", "\n***\n".join(topic.draw(rng, 2, 2))),
    ),
    "postscript": (
        ("At the end add a postscript starting with P.S.", "Close with a line that starts with P.S."),
        lambda topic, asked, rng: ("", "{} {}\nP.S. {}".format(*topic.draw(rng, 3, 3))),
    ),
    "highlight": (
        ("Highlight at least {value} phrases with *asterisks*.", "Mark at least {value} parts in *italics* with asterisks."),
        _highlighted,
    ),
    "repeat_request": (
        ("First repeat the sentence above word for word, then answer.", "Before the answer, repeat my request unchanged."),
        lambda topic, asked, rng: (asked, f"{asked}\n{' '.join(topic.draw(rng))}"),
    ),
}

CONTRAST_WORDINGS: Mapping[str, tuple[str, ...]] = {
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

CONTRAST_RESPONSES: Mapping[str, str] = {
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
