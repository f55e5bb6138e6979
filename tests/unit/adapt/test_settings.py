import pytest

from suture.adapt.settings import Settings
from suture.errors import UsageError


def test_every_value_out_of_range_is_named_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        Settings(
            steps=0, batch=0, length=7, learning_rate=0.0, weight_decay=-1.0, seed=-1, lora_rank=0, lora_dropout=1.0
        )
    named = {problem.must.split()[0] for problem in caught.value.problems}
    # warmup = 0 is not below steps = 0; lora_alpha keeps its valid default.
    assert named == {
        "steps", "batch", "length", "learning_rate", "warmup", "weight_decay", "seed", "lora_rank", "lora_dropout"
    }  # fmt: skip


def test_nan_is_not_a_learning_rate() -> None:
    with pytest.raises(UsageError, match="learning_rate"):
        Settings(steps=1, batch=1, length=8, learning_rate=float("nan"))
