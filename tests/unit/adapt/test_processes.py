import pytest
import torch

from suture.adapt.processes import ALONE, COUNTS, SHARDED, Processes, joined
from suture.errors import BadInputError, Problem, UsageError


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*COUNTS, *SHARDED):
        monkeypatch.delenv(name, raising=False)


def test_without_a_launcher_there_is_one_process() -> None:
    assert joined() is ALONE
    assert ALONE.leads
    assert ALONE.lead(lambda: 1) == ALONE.together(lambda: 1) == 1
    assert ALONE.gather("x") == ["x"]
    assert ALONE.mean(torch.tensor(0.5)) == 0.5


@pytest.mark.parametrize(("variable", "name"), SHARDED.items())
def test_a_launcher_that_splits_the_weights_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, name: str
) -> None:
    monkeypatch.setenv(variable, "true")
    with pytest.raises(UsageError, match=f"whole model.*{name}"):
        joined()


def test_only_the_leader_shows_what_all_have_met() -> None:
    def error() -> BadInputError:
        return BadInputError(Problem("It must be.", "nothing"))

    assert Processes(1, 2).agreed(error()).told
    assert not Processes(0, 2).agreed(error()).told
    assert not ALONE.agreed(error()).told
