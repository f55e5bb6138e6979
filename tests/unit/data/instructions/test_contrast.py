from collections import Counter, defaultdict

from suture.data.instructions import HELD_OUT, contrast, satisfies

PAIRS = contrast(0)


def by_topic() -> dict[str, dict[str, tuple[str, str]]]:
    """topic -> kind -> (prompt, response)"""
    found: dict[str, dict[str, tuple[str, str]]] = defaultdict(dict)
    for pair in PAIRS:
        for kind, prompt, response in (
            (pair.kind_a, pair.prompt_a, pair.response_a),
            (pair.kind_b, pair.prompt_b, pair.response_b),
        ):
            assert found[pair.topic].setdefault(kind, (prompt, response)) == (prompt, response)
    return found


def test_equal_seeds_give_equal_pairs():
    assert contrast(0) == PAIRS
    assert contrast(1) != PAIRS


def test_there_are_ten_pairs_of_five_prompts_on_each_topic():
    assert len(PAIRS) == len({pair.id for pair in PAIRS}) == 210
    assert set(Counter(pair.topic for pair in PAIRS).values()) == {10}
    assert all(len(written) == 5 for written in by_topic().values())


def test_each_response_satisfies_its_own_constraint_and_violates_the_other_four():
    for written in by_topic().values():
        for kind, (_, response) in written.items():
            assert [other for other in written if satisfies(other, response)] == [kind]


def test_the_prompts_of_a_topic_differ_in_the_constraint_alone():
    for written in by_topic().values():
        assert len({prompt for prompt, _ in written.values()}) == 5
        assert len({prompt.split("?")[0] for prompt, _ in written.values()}) == 1


def test_kinds_are_held_out_ones_in_like_numbers():
    counts = Counter(kind for written in by_topic().values() for kind in written)
    assert set(counts) == set(HELD_OUT)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_prompts_and_responses_are_short():
    for pair in PAIRS:
        assert max(len(pair.prompt_a.split()), len(pair.prompt_b.split())) <= 20
        assert max(len(pair.response_a.split()), len(pair.response_b.split())) <= 16
