"""Which dbt an executable is, and what is said of one that Goldsmith does not run."""

from __future__ import annotations

from pathlib import Path

import pytest

from goldsmith.dbt.versions import ON_ERROR, has, is_same_line, is_supported, usable_dbt
from goldsmith.errors import ConfigurationError

_CORE = "Core:\\n  - installed: %s\\n  - latest:    1.12.6 - Update available!\\n\\nPlugins:\\n  - postgres: 1.11.0\\n"


def environment(folder: Path, *versions: str, says: str = "") -> Path:
    """An environment with these versions of dbt-core, each of a Python of its own.

    Args:
        folder: Where.
        versions: Of dbt-core.
        says: What its `dbt` does, if that is a program around dbt; else it is a script of pip's, which fails.
    """
    for number, version in enumerate(versions):
        (folder / f"lib/python3.1{number}/site-packages/dbt_core-{version}.dist-info").mkdir(parents=True)
    executable = folder / "bin" / "dbt"
    executable.parent.mkdir(parents=True)
    (executable.parent / "python").symlink_to("/bin/false")
    script = f"#!{executable.parent}/python\nimport sys\nfrom dbt.cli.main import cli\nsys.exit(cli())\n"
    executable.write_text(f"#!/bin/sh\n{says}\n" if says else script)
    executable.chmod(0o755)
    return executable


@pytest.mark.parametrize("version", ["1.11.0", "1.11.16", "1.12.0b1", "1.12.6"])
def test_the_version_is_read_without_dbt_starting(tmp_path: Path, version: str) -> None:
    """From the files of its environment, also through a link."""
    executable = environment(tmp_path / "env", version)
    link = tmp_path / "bin" / "dbt"
    link.parent.mkdir()
    link.symlink_to(executable)
    assert usable_dbt(str(executable)) == usable_dbt(str(link)) == version


@pytest.mark.parametrize("installed", [(), ("1.10.1",), ("1.10.1", "1.12.5")])
def test_a_program_around_dbt_is_asked(tmp_path: Path, installed: tuple[str, ...]) -> None:
    """Whatever is installed beside it."""
    executable = environment(tmp_path, *installed, says=f"printf '{_CORE % '1.11.16'}'")
    assert usable_dbt(str(executable)) == "1.11.16"


@pytest.mark.parametrize(
    ("says", "installed", "said", "hint"),
    [
        ("", "1.10.23", "is dbt 1.10.23; Goldsmith runs dbt 1.11 and 1.12.", "In the environment of that dbt"),
        ("", "1.13.0", "is dbt 1.13.0, which this Goldsmith does not know", "Upgrade Goldsmith"),
        ("echo dbt-fusion 2.0.0-preview.9", "", "is dbt 2.0.0-preview.9, which this Goldsmith does", "Upgrade"),
        ("echo dbt 2.0.0", "", "is dbt 2.0.0, which this Goldsmith does not know", "Upgrade Goldsmith"),
        ("echo dbt Cloud CLI - 0.38.22", "", "ended with code 0 and said: dbt Cloud CLI - 0.38.22", "Name the `dbt`"),
        ("echo oh >&2; echo dear >&2; exit 3", "", "ended with code 3 and said: oh", "Name the `dbt`"),
        ("exit 0", "", "ended with code 0 and said: nothing", "Name the `dbt`"),
    ],
)  # fmt: skip
def test_what_goldsmith_does_not_run_is_an_error(
    tmp_path: Path, says: str, installed: str, said: str, hint: str
) -> None:
    """What it is, and what to do."""
    executable = environment(tmp_path, *([installed] if installed else []), says=says)
    with pytest.raises(ConfigurationError) as caught:
        usable_dbt(str(executable))
    assert str(executable) in caught.value.message
    assert said in caught.value.message
    assert caught.value.hint.startswith(hint)
    assert 'pip install "dbt-core>=1.11,<1.13"' in caught.value.hint


@pytest.mark.parametrize("installed", [(), ("1.11.1", "1.12.5")])
def test_dbt_is_asked_if_its_files_do_not_say_it(tmp_path: Path, installed: tuple[str, ...]) -> None:
    """Of another way to install it, or of several Pythons in one place; a broken one says nothing."""
    with pytest.raises(ConfigurationError, match="ended with code 1 and said: nothing"):
        usable_dbt(str(environment(tmp_path, *installed)))


def test_what_does_not_start_is_an_error(tmp_path: Path) -> None:
    """Nothing there, or nothing that can be executed."""
    executable = environment(tmp_path)
    executable.chmod(0o644)
    for each in (executable, tmp_path / "none" / "dbt"):
        with pytest.raises(ConfigurationError, match="cannot be started") as caught:
            usable_dbt(str(each))
        assert caught.value.hint.startswith("Name the `dbt`")


def test_versions_are_compared_by_their_first_two_numbers() -> None:
    """Also those that are none."""
    assert [is_supported(one) for one in ("1.10.9", "1.11.0b2", "1.12.6", "1.13.0", "2.0.0", "unknown")] == [
        *(False, True, True, False, False, False)
    ]
    assert is_same_line("1.12.0b1", "1.12.6")
    assert not is_same_line("1.11.6", "1.12.6")
    assert not has("1.11.16", ON_ERROR)
    assert has("1.12.0-rc1", ON_ERROR)
