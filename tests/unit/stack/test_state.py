"""What the state folder keeps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from goldsmith.errors import EnvironmentProblem
from goldsmith.stack.environment import API_ACCESS, RESULTS, airflow_environment
from goldsmith.stack.postgres import EmbeddedPostgres
from goldsmith.stack.stack import Stack
from goldsmith.stack.state import Secrets, StateDir


def test_a_folder_of_an_earlier_version_gets_the_secrets_it_lacks(tmp_path: Path) -> None:
    """What was there stays, what a later version wrote too, and the next call finds the same."""
    state = StateDir(path=tmp_path)
    known = {"jwt": "j", "fernet": "f", "api": "a", "password": "p", "of_later": "l"}
    (tmp_path / "secrets.json").write_text(json.dumps(known))
    found = state.secrets()
    assert (found.jwt, found.fernet, found.api, found.password) == ("j", "f", "a", "p")
    assert len(found.tasks_password) >= 24
    assert state.secrets() == found
    written = json.loads((tmp_path / "secrets.json").read_text())
    assert written == {**known, "tasks_password": found.tasks_password}
    assert found.tasks_password not in repr(found)


def test_what_the_user_names_goes_before_what_the_stack_makes(tmp_path: Path) -> None:
    """Connection and place of the results; empty counts as not named, and the port is followed."""
    state = StateDir(path=tmp_path)
    secrets = Secrets.completed({})

    def made(**user: str) -> dict[str, str]:
        return airflow_environment(
            user=user,
            state=state,
            secrets=secrets,
            server=EmbeddedPostgres(tmp_path / "postgres"),
            dags_dir=tmp_path,
            port=8123,
        )

    ours, theirs = made(**{API_ACCESS: "", RESULTS: ""}), made(**{API_ACCESS: "{}", RESULTS: "s3://b"})
    assert json.loads(ours[API_ACCESS]) | {"login": "goldsmith", "port": 8123} == json.loads(ours[API_ACCESS])
    assert ours[RESULTS] == str(tmp_path / "results")
    assert (theirs[API_ACCESS], theirs[RESULTS]) == ("{}", "s3://b")


def test_somebody_elses_secrets_are_not_overwritten(tmp_path: Path) -> None:
    """A state folder that was named by mistake."""
    (tmp_path / "secrets.json").write_text('{"token": "x"}')
    with pytest.raises(EnvironmentProblem, match=r"secrets\.json is not Goldsmith's"):
        StateDir(path=tmp_path).secrets()
    assert (tmp_path / "secrets.json").read_text() == '{"token": "x"}'


def test_somebody_elses_airflow_settings_are_not_overwritten(tmp_path: Path) -> None:
    """A state folder that is somebody's AIRFLOW_HOME too."""
    stack = Stack(root=tmp_path, state_dir=tmp_path)
    stack.state.create()
    file = stack.state.airflow_home / "config" / "airflow_local_settings.py"
    stack._write_files()
    stack._write_files()
    file.write_text("def dag_policy(dag): ...\n")
    with pytest.raises(EnvironmentProblem, match=r"airflow_local_settings\.py is not Goldsmith's"):
        stack._write_files()
    assert file.read_text() == "def dag_policy(dag): ...\n"
