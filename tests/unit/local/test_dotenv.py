from __future__ import annotations

from pathlib import Path

from goldsmith.local.warehouse import write_dotenv


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
