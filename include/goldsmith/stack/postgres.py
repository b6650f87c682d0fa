"""An embedded PostgreSQL server: one cluster, on a Unix socket in a private folder, no TCP."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from tenacity import RetryError, retry, retry_if_exception_type, retry_if_result, stop_after_delay, wait_fixed

from goldsmith.errors import EnvironmentProblem
from goldsmith.stack.account import ROOT_HOME, Account, make_root_home, server_account, server_programs

SUPERUSER = "postgres"
PORT = 5432
DATABASES = ("airflow", "warehouse")
MAJOR_VERSION = "16"
SOCKET_PATH_LIMIT = 100  # bytes; the kernel's limit is 108 on Linux, 104 on macOS
# Not the folder of temporary files: two shells may disagree about that one.
SHORT_FOLDER = Path("/tmp")  # noqa: S108 - made private, and checked to be
SERVER_OPTIONS = ("max_connections=200", "max_wal_size=2GB")


class _ServerStillEnding(EnvironmentProblem):
    """The children of a killed server have not all gone yet."""


class EmbeddedPostgres:
    """The server whose files are in one folder.

    As root the folder is a link to one under /var/lib/goldsmith that belongs to an unprivileged
    account (see `goldsmith.stack.account`).

    Args:
        home: The folder; created by `start`.
        databases: The databases that exist after `start`.
    """

    def __init__(self, home: Path, *, databases: tuple[str, ...] = DATABASES) -> None:
        self.home = home.absolute()
        self.databases = databases

    @property
    def log_file(self) -> Path:
        """What the server printed."""
        return self._real_home / "server.log"

    @property
    def socket_dir(self) -> Path:
        """The folder of the socket: the `host` of every connection."""
        real = self._real_home
        # To PostgreSQL and to libpq a comma separates two folders.
        if len(bytes(real / f".s.PGSQL.{PORT}")) <= SOCKET_PATH_LIMIT and "," not in str(real):
            return real
        return SHORT_FOLDER / f"goldsmith-{_short_hash(self.home)}"

    def conninfo(self, dbname: str) -> str:
        """The connection string of a database for psycopg and libpq."""
        return make_conninfo(host=str(self.socket_dir), port=PORT, user=SUPERUSER, dbname=dbname)

    @contextlib.contextmanager
    def connected(self, dbname: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """A connection to a database, each statement a transaction of its own.

        Raises:
            EnvironmentProblem: The database does not answer, or not as it should.
        """
        with self.wrapped_errors(), psycopg.connect(self.conninfo(dbname), autocommit=True) as connection:
            yield connection

    @contextlib.contextmanager
    def wrapped_errors(self) -> Iterator[None]:
        """Let a failing connection to this server, or a failing statement, end as `EnvironmentProblem`."""
        try:
            yield
        except psycopg.Error as error:
            raise EnvironmentProblem(
                f"The local PostgreSQL in {self.socket_dir} failed: {str(error).strip()}.",
                hint=f"See its log: {self.log_file}",
            ) from error

    def sqlalchemy_url(self, dbname: str, *, driver: str = "psycopg2") -> str:
        """The SQLAlchemy URL of a database for a driver: psycopg2, psycopg, asyncpg."""
        host = quote(str(self.socket_dir), safe="/")
        return f"postgresql+{driver}://{SUPERUSER}@/{dbname}?host={host}&port={PORT}"

    def is_running(self) -> bool:
        """Whether the server of this folder lives."""
        return self._postmaster() is not None

    def start(self) -> None:
        """Create the cluster where there is none, start the server, create the databases.

        Raises:
            EnvironmentProblem: The server does not start.
        """
        if self.is_running() and self.home.exists():
            return
        account = server_account()
        programs = server_programs(account)
        self._make_home(account)
        self._make_cluster(account, programs)
        self._make_socket_dir(account)
        self._start_server(account, programs)
        self._create_databases()

    def stop(self) -> None:
        """Stop the server; sessions are ended, what they had committed stays.

        Raises:
            EnvironmentProblem: The server does not stop.
        """
        postmaster = self._postmaster()
        if postmaster is None:
            return
        # Fast stop first; the immediate one recovers from the log at the next start.
        for stop_signal in (signal.SIGINT, signal.SIGQUIT):
            with contextlib.suppress(psutil.NoSuchProcess):
                postmaster.send_signal(stop_signal)
            with contextlib.suppress(RetryError):
                self._wait_for_end()
                return
        raise EnvironmentProblem(
            f"PostgreSQL (process {postmaster.pid}) does not stop.", hint=f"See its log: {self.log_file}"
        )

    def destroy(self) -> None:
        """Stop the server and delete its files."""
        self.stop()
        socket_dir, real = self.socket_dir, self._real_home
        if self.home.is_symlink():
            self.home.unlink()
        for folder in {real, socket_dir}:
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def _real_home(self) -> Path:
        if self.home.is_symlink():
            return self.home.readlink()
        return ROOT_HOME / _short_hash(self.home) if os.geteuid() == 0 else self.home

    @property
    def _data(self) -> Path:
        return self._real_home / "data"

    def _postmaster(self) -> psutil.Process | None:
        """The server's process; a process that only has its old number is not it."""
        try:
            process = psutil.Process(int((self._data / "postmaster.pid").read_text().split("\n", 1)[0]))
            is_ours = process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == self._data.resolve()
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return None
        except psutil.AccessDenied:  # somebody else's process: not one that we started
            return None
        return process if is_ours else None

    @retry(retry=retry_if_result(bool), stop=stop_after_delay(20), wait=wait_fixed(0.05))
    def _wait_for_end(self) -> bool:
        return self.is_running()

    def _make_home(self, account: Account) -> None:
        real = self._real_home
        self.home.parent.mkdir(parents=True, exist_ok=True)
        if account.is_other and not self.home.is_symlink():
            make_root_home()
            # The state folder was deleted by hand: a server of then may still run, and its data is not ours.
            self.destroy()
            self.home.symlink_to(real)
        if not real.is_dir():
            real.mkdir()
            account.give(real)

    def _make_cluster(self, account: Account, programs: Path) -> None:
        version_file = self._data / "PG_VERSION"
        if version_file.is_file():
            version = version_file.read_text().strip()
            if version != MAJOR_VERSION:
                raise EnvironmentProblem(
                    f"The cluster in {self._data} is of PostgreSQL {version}, not {MAJOR_VERSION}.",
                    hint="Delete the folder to start with an empty database.",
                )
            return
        # Made under another name first: a half-made cluster never looks like a whole one.
        staging = self._real_home / "data.new"
        shutil.rmtree(staging, ignore_errors=True)
        locale = "C.UTF-8" if sys.platform == "linux" else "en_US.UTF-8"
        options = ["-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale", locale, "-D", str(staging)]
        done = account.run([str(programs / "initdb"), *options], cwd=self._real_home)
        if done.returncode != 0:
            raise EnvironmentProblem(
                f"PostgreSQL's initdb failed in {staging}: {done.stderr.strip()[-1000:]}",
                hint="Is the disk full? Else delete the folder and try again.",
            )
        staging.rename(self._data)

    def _make_socket_dir(self, account: Account) -> None:
        """Make the folder of the socket, or check that it is private: all who enter are superusers."""
        folder = self.socket_dir
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            found = folder.lstat()
            if folder.is_symlink() or found.st_uid != account.uid or found.st_mode & 0o077:
                raise EnvironmentProblem(
                    f"{folder}, the folder of PostgreSQL's socket, is somebody else's or open to others.",
                    hint="Delete it, or move the project to a shorter path.",
                ) from None
        else:
            account.give(folder)

    @retry(
        retry=retry_if_exception_type(_ServerStillEnding),
        stop=stop_after_delay(20),
        wait=wait_fixed(0.5),
        reraise=True,
    )
    def _start_server(self, account: Account, programs: Path) -> None:
        # PostgreSQL itself removes the file of a dead server unless another process got its number.
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        (self.socket_dir / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)
        options = f"-h '' -p {PORT} -k {shlex.quote(str(self.socket_dir))} -c " + " -c ".join(SERVER_OPTIONS)
        command = [
            str(programs / "pg_ctl"),
            "-D",
            str(self._data),
            "-l",
            str(self.log_file),
            "-w",
            "-t",
            "60",
        ]
        done = account.run([*command, "-o", options, "start"], cwd=self._real_home)
        if done.returncode == 0:
            return
        said = self.log_file.read_text(errors="replace")[-1500:] if self.log_file.is_file() else done.stderr
        kind = _ServerStillEnding if "still in use" in said else EnvironmentProblem
        raise kind(f"PostgreSQL does not start:\n{said.strip()}", hint=f"Its whole log: {self.log_file}")

    def _create_databases(self) -> None:
        with self.connected("postgres") as connection:
            present = {name for (name,) in connection.execute("select datname from pg_database")}
            for name in self.databases:
                if name not in present:
                    connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))


def _short_hash(path: Path) -> str:
    return hashlib.sha256(bytes(path)).hexdigest()[:12]
