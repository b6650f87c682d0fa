"""The parameters of a run on the command line."""

from __future__ import annotations

import pytest

from goldsmith.commands.arguments import RunArguments
from goldsmith.errors import SpecError
from goldsmith.spec.run import RunOptions


def test_the_command_line_means_what_the_form_means() -> None:
    """A repeated option adds to the selection, as does a space."""
    asked = RunArguments(select=["a b", "c"], full_refresh=True, dbt_vars='{"days": 3}', threads=2)
    assert asked.options(target="dev") == RunOptions(
        select=("a", "b", "c"), full_refresh=True, vars={"days": 3}, threads=2
    )
    assert RunArguments().options(target="prod").conf() == {}


@pytest.mark.parametrize(
    ("text", "said"), [("days=3", "--vars is no JSON: "), ("[3]", "--vars is no JSON object: [3]")]
)
def test_variables_that_are_none_are_told(text: str, said: str) -> None:
    """With an example."""
    with pytest.raises(SpecError) as caught:
        RunArguments(dbt_vars=text).options(target="dev")
    assert said in str(caught.value)
    assert "Write such as --vars '{" in str(caught.value)
