"""What the local stack calls its databases."""

from __future__ import annotations

from pathlib import Path

import pytest

from goldsmith.stack.metadata import _address
from goldsmith.stack.postgres import EmbeddedPostgres


@pytest.mark.parametrize("folder", ["a,b", "long" * 30])
def test_a_folder_that_cannot_hold_the_socket_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    """A path with a comma or too long a one gives a short folder, the same one in every shell."""
    (tmp_path / folder).mkdir()
    home = tmp_path / "home"
    home.symlink_to(tmp_path / folder)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert EmbeddedPostgres(home).socket_dir.parent == Path("/tmp")  # noqa: S108


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql+psycopg2://jane:s3c/ret@db.example.com:5432/airflow", "db.example.com/airflow"),
        ("postgresql://jane:s3cret@/airflow?host=/run/pg", "/run/pg/airflow"),
        ("s3cret", "not a URL that SQLAlchemy reads"),
    ],
)
def test_a_database_is_named_without_its_password(url: str, said: str) -> None:
    """Host and database are said, the user and the password never."""
    assert _address(url) == said
