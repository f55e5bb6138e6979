"""Writes the wording of each trained constraint and a response that satisfies it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from random import Random

from suture.data.instructions.constraints import satisfies
from suture.data.instructions.topics import Topic

ENDINGS = ("That is all you need.", "Have a nice day.", "I hope this helps.", "Enjoy it.")

# Wordings of the constraint with {value}; (topic, the request as asked, generator) -> (value, response).
Writer = tuple[tuple[str, ...], Callable[[Topic, str, Random], tuple[str, str]]]


def _said(topic: Topic, rng: Random) -> str:
    (sentence,) = topic.draw(rng)
    return sentence


def _framed(frame: str) -> Callable[[Topic, str, Random], tuple[str, str]]:
    """Return a writer that puts one sentence of the topic into the place {} of `frame`."""
    return lambda topic, asked, rng: ("", frame.format(_said(topic, rng)))


def _twice(topic: Topic, asked: str, rng: Random) -> tuple[str, str]:
    sentence = _said(topic, rng)
    return "", f"{sentence} {sentence}"


def _without_commas(topic: Topic, asked: str, rng: Random) -> tuple[str, str]:
    plain = [sentence for sentence in topic.sentences if "," not in sentence]
    return "", rng.choice(plain)


def _bulleted(topic: Topic, asked: str, rng: Random) -> tuple[str, str]:
    count = rng.randint(2, 3)
    return str(count), "\n".join(f"* {item.capitalize()}" for item in rng.sample(topic.items, count))


def _with_keyword(topic: Topic, asked: str, rng: Random) -> tuple[str, str]:
    carrying = [sentence for sentence in topic.sentences if satisfies("keyword", sentence, topic.keyword)]
    return topic.keyword, rng.choice(carrying)


def _without_keyword(topic: Topic, asked: str, rng: Random) -> tuple[str, str]:
    free = [sentence for sentence in topic.sentences if satisfies("without_word", sentence, topic.keyword)]
    return topic.keyword, rng.choice(free)


def _counted(topic: Topic, asked: str, rng: Random) -> tuple[str, str]:
    count = rng.randint(2, 3)
    return str(count), " ".join(rng.sample(topic.sentences, count))


def _as_json(topic: Topic, asked: str, rng: Random) -> tuple[str, str]:
    return "", json.dumps({"answer": _said(topic, rng)})


def _highlighted(topic: Topic, asked: str, rng: Random) -> tuple[str, str]:
    first, second = rng.sample(topic.items, 2)
    return "2", f"Think of *{first}* and *{second}*."


def _ended(topic: Topic, asked: str, rng: Random) -> tuple[str, str]:
    ending = rng.choice(ENDINGS)
    return ending, f"{_said(topic, rng)} {ending}"


WRITERS: Mapping[str, Writer] = {
    "capitals": (
        ("Use capital letters only.", "Your entire answer should be in all capital letters."),
        lambda topic, asked, rng: ("", _said(topic, rng).upper()),
    ),
    "lower_case": (
        ("Use lower case letters only.", "Your entire answer should be in lowercase; no capital letters are allowed."),
        lambda topic, asked, rng: ("", _said(topic, rng).lower()),
    ),
    "no_commas": (("Do not use any commas.", "Refrain from using commas in your answer."), _without_commas),
    "bullets": (
        (
            "Answer with exactly {value} bullet points, each starting with *.",
            "Write exactly {value} bullets marked by *.",
        ),
        _bulleted,
    ),
    "quotes": (
        ("Wrap your entire answer in double quotation marks.", "Put the whole answer inside double quotes."),
        _framed('"{}"'),
    ),
    "title": (
        ("Give it a title in double angular brackets, such as <<title>>.", "Add a title wrapped in << and >>."),
        lambda topic, asked, rng: ("", f"<<{topic.name.capitalize()}>>\n{_said(topic, rng)}"),
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
        lambda topic, asked, rng: ("", "\n***\n".join(topic.draw(rng, 2))),
    ),
    "postscript": (
        ("At the end add a postscript starting with P.S.", "Close with a line that starts with P.S."),
        lambda topic, asked, rng: ("", "{}\nP.S. {}".format(*topic.draw(rng, 2))),
    ),
    "highlight": (
        (
            "Highlight at least {value} phrases with *asterisks*.",
            "Put at least {value} phrases between *asterisks*.",
        ),
        _highlighted,
    ),
    "brackets": (
        ("Put square brackets around your answer.", "Wrap the entire reply in square brackets."),
        _framed("[{}]"),
    ),
    "arrow": (("Begin your answer with an arrow.", "Put -> in front of your reply."), _framed("-> {}")),
    "dashes": (("End with two dashes.", "Close your reply with --."), _framed("{} --")),
    "twice": (("Say it twice.", "Give the same sentence two times."), _twice),
    "one_thing": (
        ("Name one thing only.", "Reply with one thing and nothing else."),
        lambda topic, asked, rng: ("", f"{rng.choice(topic.items).capitalize()}."),
    ),
    "comma_list": (
        ("Name three things with commas between them.", "List three items separated by commas."),
        lambda topic, asked, rng: ("", ", ".join(rng.sample(topic.items, 3))),
    ),
    "lettered": (
        ("Reply with a list lettered a and b.", "Give two items marked a) and b)."),
        lambda topic, asked, rng: ("", "a) {}\nb) {}".format(*(i.capitalize() for i in rng.sample(topic.items, 2)))),
    ),
    "greeting": (('Open with "Hello!".', 'Say "Hello!" first.'), _framed("Hello! {}")),
    "teacher": (
        ('Begin with "The teacher says:".', 'Put "The teacher says:" before your answer.'),
        _framed("The teacher says: {}"),
    ),
    "repeat_request": (
        (
            "First repeat the sentence above word for word, then answer.",
            "Repeat my request unchanged, then answer it.",
        ),
        lambda topic, asked, rng: (asked, f"{asked}\n{_said(topic, rng)}"),
    ),
}
