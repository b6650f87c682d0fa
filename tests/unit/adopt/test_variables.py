"""Variables that a dbt project reads and nobody sets, found in its files before dbt parses them."""

from __future__ import annotations

from pathlib import Path

from tests.layouts.build import project, write

from goldsmith.adopt.variables import unset_environment, unset_vars
from goldsmith.dbt.project import find_project

SQL = """\
select {{ var('here') }}, {{ var("in_package") }}, {{ var('usual', 1) }}, {{ my_var('no') }} {# var('old') #}
from x where {{ env_var('SET') }} = {{ env_var( "UNSET" ) }} or {{ var('given') }} = {{ var('missing') }}
"""
VARS = "vars:\n  here: 1\n  shop:\n    in_package: 2\n"


def test_variables_that_nobody_sets(tmp_path: Path) -> None:
    """Not those with a default, in comments, in dbt_project.yml for one package, in `.env` or in the spec."""
    write(
        {**project("a", settings=VARS), "models/b.sql": SQL, "macros/c.sql": SQL, ".env": "SET=1\n"}, tmp_path
    )
    (tmp_path / "models" / "c.yml").write_text(
        "# {{ env_var('NO') }}\ndescription: \"{{ env_var('NAMED') }}\"\n"
    )
    found = find_project(tmp_path)
    assert unset_vars(found, given=["given"]) == {"missing": "macros/c.sql"}
    assert unset_environment(found) == {"UNSET": "macros/c.sql", "NAMED": "models/c.yml"}
