"""Installing dbt packages with the real dbt, from a package hub on this machine."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from goldsmith.dbt.executable import dbt_executable
from goldsmith.dbt.packages import _header, install
from goldsmith.errors import EnvironmentProblem, ProjectError

pytestmark = pytest.mark.integration

# Nothing listens on the discard port of this machine.
NO_HUB = "http://127.0.0.1:9/"


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    """A package hub that knows one package: acme/anvil 1.2.3, with one macro."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()
    thread.join()


class _Hub(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        origin = f"http://{self.headers['Host']}"
        version = {
            "name": "anvil",
            "version": "1.2.3",
            "packages": [],
            "require_dbt_version": [],
            "downloads": {"tarball": f"{origin}/anvil.tar.gz"},
        }
        answers = {
            "/api/v1/index.json": json.dumps(["acme/anvil"]).encode(),
            "/api/v1/acme/anvil.json": json.dumps(
                {"name": "anvil", "namespace": "acme", "latest": "1.2.3", "versions": {"1.2.3": version}}
            ).encode(),
            "/anvil.tar.gz": _tarball(),
        }
        body = answers.get(self.path)
        self.send_response(200 if body else 404)
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by the base class
        """Stay quiet."""


def _tarball() -> bytes:
    files = {
        "anvil-1.2.3/dbt_project.yml": "name: anvil\nversion: '1.2.3'\nconfig-version: 2\n",
        "anvil-1.2.3/macros/heavy.sql": "{% macro heavy() %}1{% endmacro %}\n",
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


@pytest.fixture
def project(tmp_path: Path, repository: Path) -> Path:
    """A project with one model, the repository's profiles.yml, and anvil in the list above it."""
    folder = tmp_path / "dbt_project"
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text("name: tiny\nversion: '1.0'\nprofile: goldsmith\n")
    (folder / "models" / "one.sql").write_text("select 1 as one\n")
    shutil.copy(repository / "dbt_project" / "profiles.yml", folder)
    (tmp_path / "packages.yml").write_text("packages:\n  - package: acme/anvil\n    version: 1.2.3\n")
    return folder


def parses(project: Path) -> bool:
    """Whether dbt still takes the project."""
    command = [dbt_executable(), "--no-version-check", "parse"]
    return subprocess.run(command, cwd=project, capture_output=True, check=False).returncode == 0


def test_packages_are_installed_from_the_hub_named_in_the_environment(
    project: Path, hub: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The generated file says where it comes from, and dbt works with what was installed, twice over."""
    monkeypatch.setenv("DBT_PACKAGE_HUB_URL", hub)
    for _ in range(2):
        assert install(project, project.parent / "packages.yml").names == ("anvil",)
    text = (project.parent / "packages.yml").read_text()
    assert (project / "packages.yml").read_text() == _header(text) + text
    assert (project / "dbt_packages" / "anvil" / "macros" / "heavy.sql").is_file()
    assert not (project / ".dbt_packages.before").exists()
    assert parses(project)


def test_without_a_hub_one_line_says_what_is_missing_and_dbt_still_works(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offline, no list of packages is left behind that would stop every dbt command."""
    monkeypatch.setenv("DBT_PACKAGE_HUB_URL", NO_HUB)
    with pytest.raises(EnvironmentProblem) as caught:
        install(project, project.parent / "packages.yml")
    assert "acme/anvil 1.2.3 (the package hub did not answer)" in caught.value.message
    assert "\n" not in caught.value.message
    assert {path.name for path in project.iterdir()} & {
        "packages.yml",
        "package-lock.yml",
        "dbt_packages",
    } == set()
    assert parses(project)


def test_a_failure_leaves_installed_packages_as_they_were(
    project: Path, hub: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hub that answers but lacks the new package costs nothing of what was installed before."""
    packages = project.parent / "packages.yml"
    monkeypatch.setenv("DBT_PACKAGE_HUB_URL", hub)
    install(project, packages)
    before = {name: (project / name).read_bytes() for name in ("packages.yml", "package-lock.yml")}
    packages.write_text("packages:\n  - package: acme/hammer\n    version: 1.0.0\n")
    with pytest.raises(EnvironmentProblem, match=r"acme/hammer 1\.0\.0 \(dbt deps: "):
        install(project, packages)
    assert {name: (project / name).read_bytes() for name in before} == before
    assert (project / "dbt_packages" / "anvil" / "dbt_project.yml").is_file()
    assert parses(project)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "does not exist"),
        ("packages: [", "is not YAML"),
        ("packages: anvil", "has no list `packages`"),
        ("- anvil", "has no list `packages`"),
    ],
)
def test_an_unusable_list_is_named(project: Path, text: str | None, said: str) -> None:
    """A missing or broken packages.yml is the user's to repair: the error names the file."""
    packages = project.parent / "packages.yml"
    packages.unlink() if text is None else packages.write_text(text)
    with pytest.raises(ProjectError, match=said) as caught:
        install(project, packages)
    assert str(packages) in caught.value.message
    assert not (project / "packages.yml").exists()


def test_an_empty_list_is_none(project: Path, tmp_path: Path) -> None:
    """As dbt has it: nothing to install is no mistake."""
    (project / "packages.yml").write_text("# none yet\n")
    assert install(project, tmp_path / "packages.yml").names == ()
    assert (project / "packages.yml").read_text() == "# none yet\n"


def test_a_generated_list_that_a_person_changed_is_that_persons(project: Path, tmp_path: Path) -> None:
    """It is used in place of the one above the project, and stays if it cannot be installed."""
    text = "packages:\n  - package: acme/anvil\n    version: 1.2.3\n"
    changed = _header(text) + text + "  - local: ../own_pkg\n"
    (project / "packages.yml").write_text(changed)
    with pytest.raises(EnvironmentProblem, match=r"\.\./own_pkg"):
        install(project, tmp_path / "packages.yml")
    assert (project / "packages.yml").read_text() == changed


@pytest.mark.parametrize("listed_in", ["packages.yml", "dependencies.yml"])
def test_a_project_keeps_its_own_list(
    project: Path, hub: str, monkeypatch: pytest.MonkeyPatch, listed_in: str
) -> None:
    """The list at the top is not for it: its own is installed, where it says, and stays as it is if that fails."""
    own = project.parent / "own_pkg"
    own.mkdir()
    (own / "dbt_project.yml").write_text("name: own_pkg\nversion: '1.0'\n")
    with (project / "dbt_project.yml").open("a") as file:
        file.write("packages-install-path: \"{{ env_var('NO_SUCH', 'vendor') }}\"\n")
    (project / "vendor").mkdir()
    (project / "vendor" / ".gitkeep").touch()
    written = "# mine\npackages: [{local: ../own_pkg}]\n"
    (project / listed_in).write_text(written)
    monkeypatch.setenv("DBT_PACKAGE_HUB_URL", hub)
    done = install(project, project.parent / "packages.yml")
    assert (done.listed_in, done.names) == (project / listed_in, ("own_pkg",))
    assert (project / "vendor" / ".gitkeep").is_file()
    lock = (project / "package-lock.yml").read_bytes()
    shutil.rmtree(own)
    with pytest.raises(EnvironmentProblem, match=r"Not installed: \.\./own_pkg"):
        install(project, project.parent / "packages.yml")
    assert (project / listed_in).read_text() == written
    assert (project / "package-lock.yml").read_bytes() == lock
    assert (project / "vendor" / ".gitkeep").is_file()
    assert not (project / "dbt_packages").exists()


def test_what_people_copied_into_the_folder_stays(
    project: Path, hub: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package copied by hand stays beside those that are installed; one of the same name is not overwritten."""
    copied = project / "dbt_packages" / "forge"
    copied.mkdir(parents=True)
    (copied / "dbt_project.yml").write_text("name: forge\nversion: '1.0'\n")
    monkeypatch.setenv("DBT_PACKAGE_HUB_URL", hub)
    assert install(project, project.parent / "packages.yml").names == ("anvil",)
    assert (copied / "dbt_project.yml").is_file()
    shutil.rmtree(project / "dbt_packages" / "anvil")
    (project / "packages.yml").unlink()
    (project / "package-lock.yml").unlink()
    copied.rename(project / "dbt_packages" / "anvil")
    with pytest.raises(ProjectError, match="was not installed by `goldsmith deps`"):
        install(project, project.parent / "packages.yml")
    assert "forge" in (project / "dbt_packages" / "anvil" / "dbt_project.yml").read_text()
    assert not (project / "packages.yml").exists()


def test_a_lock_file_without_a_list_is_not_overwritten(project: Path) -> None:
    """It is somebody's, who has the list elsewhere."""
    (project / "package-lock.yml").write_text("packages: []\n")
    with pytest.raises(ProjectError, match=r"package-lock\.yml is not from `goldsmith deps`"):
        install(project, project.parent / "packages.yml")
    assert (project / "package-lock.yml").read_text() == "packages: []\n"


def test_a_link_is_not_replaced(project: Path, tmp_path: Path) -> None:
    """dbt cannot install into it; it stays, and so does what it leads to."""
    (tmp_path / "shared").mkdir()
    (project / "dbt_packages").symlink_to(tmp_path / "shared")
    with pytest.raises(ProjectError, match=r"dbt_packages is a link"):
        install(project, project.parent / "packages.yml")
    assert (project / "dbt_packages").is_symlink()
    assert (tmp_path / "shared").is_dir()
