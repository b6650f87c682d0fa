from __future__ import annotations

from pathlib import Path

import pytest

from goldsmith.errors import ConfigurationError
from goldsmith.stack.dotenv import BEGIN, END, write_dotenv


def test_the_users_lines_stay_as_they_are(tmp_path: Path) -> None:
    """Our block is replaced, the user's lines around it are kept, and what the user sets is not set again."""
    file = tmp_path / ".env"
    file.write_text("# mine\nWAREHOUSE_PORT=6000\n")
    file.chmod(0o600)
    assert write_dotenv(file, {"WAREHOUSE_HOST": "/old", "WAREHOUSE_PORT": "5432"}) == ["WAREHOUSE_PORT"]
    with file.open("a") as stream:
        stream.write("export TOKEN=x\n")
    write_dotenv(file, {"WAREHOUSE_HOST": "/new folder", "WAREHOUSE_PORT": "5432"})
    lines = file.read_text().splitlines()
    assert [line for line in lines if not line.startswith("# ")] == [
        "WAREHOUSE_PORT=6000",
        "export TOKEN=x",
        'WAREHOUSE_HOST="/new folder"',
    ]
    assert lines[0] == "# mine"
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_block_without_its_end_takes_no_line_of_the_users(tmp_path: Path) -> None:
    """Somebody has cut the last line of the block away, and gone on below it."""
    file = tmp_path / ".env"
    write_dotenv(file, {"WAREHOUSE_HOST": "/old"})
    file.write_text(file.read_text().replace(f"{END}\n", "") + "TOKEN=x\nOTHER=y\n")
    write_dotenv(file, {"WAREHOUSE_HOST": "/new"})
    assert file.read_text() == f'TOKEN=x\nOTHER=y\n{BEGIN}\nWAREHOUSE_HOST="/new"\n{END}\n'


def test_a_link_and_the_ends_of_lines_stay(tmp_path: Path) -> None:
    """The file may be shared, and of another system."""
    real = tmp_path / "shared.env"
    real.write_bytes(b"A=1\r\nB=2")
    file = tmp_path / ".env"
    file.symlink_to(real)
    write_dotenv(file, {"WAREHOUSE_HOST": "/new"})
    assert file.is_symlink()
    assert real.read_bytes().startswith(b"A=1\r\nB=2\n")
    write_dotenv(file, {"WAREHOUSE_HOST": "/new"})
    assert real.read_bytes().startswith(b"A=1\r\nB=2\n# ")


def test_a_file_in_another_encoding_is_left_alone(tmp_path: Path) -> None:
    """With a word about it."""
    file = tmp_path / ".env"
    file.write_bytes("NAME=Jörg\n".encode("latin-1"))
    with pytest.raises(ConfigurationError, match="is not UTF-8"):
        write_dotenv(file, {"WAREHOUSE_HOST": "/new"})
    assert file.read_bytes() == "NAME=Jörg\n".encode("latin-1")
