"""dbt in a process that forks: what is loaded before, and what a fork does to become dbt."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import io
import json
import logging
import os
import signal
import stat
import sys
import tempfile
import traceback
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NoReturn

_MODULES = ("freshness", "run", "seed", "snapshot", "test")
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_MOST_DESCRIPTORS = 1024
_PATIENCE = 5  # seconds for dbt to cancel its queries; Linux kills it then

# The smallest project that makes dbt read every kind of file a task's project has.
_PROJECT = {
    "dbt_project.yml": "name: warm_up\nprofile: warm_up\nflags: {send_anonymous_usage_stats: false}\n",
    "seeds/codes.csv": "code\na\n",
    "models/one.sql": "select code from {{ ref('codes') }}",
    "models/two.sql": "select code from {{ source('raw', 'codes') }}",
    "models/all.yml": """
groups: [{name: g, owner: {name: o}}]
sources: [{name: raw, tables: [{name: codes, loaded_at_field: at, freshness: {warn_after: {count: 1, period: day}}}]}]
models: [{name: one, config: {group: g}, columns: [{name: code, data_type: text, data_tests: [unique]}]}]
snapshots: [{name: kept, relation: ref('one'), config: {unique_key: code, strategy: check, check_cols: all}}]
unit_tests: [{name: u, model: one, given: [{input: ref('codes'), rows: []}], expect: {rows: []}}]
exposures: [{name: e, type: dashboard, owner: {name: o}, depends_on: [ref('one')]}]
""",
    "tests/nothing.sql": "select 1 as fault from {{ ref('two') }} where false",
}


def load() -> None:
    """Import dbt.

    Raises:
        ImportError: This environment has none.
    """
    importlib.import_module("dbt.cli.main")
    for name in _MODULES:
        importlib.import_module(f"dbt.task.{name}")


def installed() -> frozenset[str]:
    """The versions of dbt and of its adapters that lie on the disk now, by the folders that pip makes for each."""
    module = sys.modules["dbt.cli.main"].__file__
    if module is None:
        return frozenset()
    try:
        names = os.listdir(Path(module).parents[2])  # noqa: PTH208 - of hundreds, for each command
    except OSError:
        return frozenset()
    return frozenset(one for one in names if one.startswith("dbt") and one.endswith(".dist-info"))


def warm_up(adapter: str) -> None:
    """Import an adapter, and parse a tiny project twice, from its files and from dbt's own cache.

    No warehouse is involved. What goes wrong is no harm: a command then does it itself, and says so.
    """
    try:
        importlib.import_module(f"dbt.adapters.{adapter}.impl")
    except ImportError:
        return
    from dbt.adapters.factory import reset_adapters
    from dbt.cli.main import dbtRunner

    profiles = {"warm_up": {"target": "t", "outputs": {"t": {"type": adapter, **_credentials(adapter)}}}}
    with (
        _without_options(),
        tempfile.TemporaryDirectory() as folder,
        contextlib.redirect_stdout(io.StringIO()),
    ):
        for name, text in {**_PROJECT, "profiles.yml": json.dumps(profiles)}.items():
            path = Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        command = ["--quiet", "--no-version-check", "--log-level-file", "none", "parse"]
        # Said here too, because dbt may take options from a file `.env`.
        command += ["--project-dir", folder, "--profiles-dir", folder, "--target-path", f"{folder}/target"]
        for _ in range(2):
            with contextlib.suppress(Exception):
                dbtRunner().invoke([*command, "--profile", "warm_up", "--target", "t"])
    reset_adapters()
    gc.collect()


@contextlib.contextmanager
def _without_options() -> Iterator[None]:
    """Take dbt's options out of the environment for a while.

    DBT_TARGET_PATH would put the tiny project's manifest in the place of the real one.
    """
    before = dict(os.environ)
    for name in [one for one in before if one.startswith("DBT_")]:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _credentials(adapter: str) -> dict[str, Any]:
    """Something for each field that the adapter's credentials must have."""
    import dataclasses

    plugin = importlib.import_module(f"dbt.adapters.{adapter}").Plugin
    missing = dataclasses.MISSING
    fields = [one for one in dataclasses.fields(plugin.credentials) if one.default is missing]
    needed = [one for one in fields if one.default_factory is missing]
    return {one.name: 1 if one.name == "port" or "int" in str(one.type) else "x" for one in needed}


def write_only(events: Collection[str]) -> None:
    """Let dbt make no line of JSON for the events of level debug that nobody reads.

    It makes twenty of them for each node, of which two are read, and does so with Python's lock held: a tenth of the
    time of a build whose SQL is quick (measured). The level of its log decides only afterwards what is written.
    """
    import dbt.events.logging as dbt_logging

    configure = getattr(dbt_logging, "get_stdout_config", None)
    if configure is None:  # another dbt, which writes all of them
        return

    def configured(*args: Any, **kwargs: Any) -> Any:
        config = configure(*args, **kwargs)
        shown = config.filter
        if config.line_format.name == "Json":  # text is for people, who may have asked for all of it
            config.filter = lambda event: (
                (event.info.level != "debug" or event.info.name in events) and shown(event)
            )
        return config

    setattr(dbt_logging, configure.__name__, configured)


def run_dbt(arguments: list[str]) -> int:
    """dbt's command line in this process; its exit code."""
    from dbt.cli.main import cli

    try:
        cli.main(args=arguments, prog_name="dbt")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    return 0


def become_dbt(request: dict[str, Any], output: int, parent: int) -> NoReturn:
    """Run dbt in this fresh fork, and end.

    Args:
        request: The command.
        output: The descriptor that dbt's output goes to.
        parent: Process id of the process that forked this one.
    """
    code = 2
    try:
        os.setsid()
        end_with(parent)
        signal.signal(signal.SIGINT, _interrupted)
        signal.signal(signal.SIGTERM, _interrupted)
        null = os.open(os.devnull, os.O_RDONLY)
        for descriptor, here in ((null, 0), (output, 1), (output, 2)):
            os.dup2(descriptor, here)
        _close_sockets()
        sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False), line_buffering=True)
        sys.stderr = io.TextIOWrapper(os.fdopen(2, "wb", closefd=False), line_buffering=True)
        os.environ.clear()
        os.environ.update(request["env"])
        os.chdir(request["cwd"])
        logging.root.handlers.clear()
        if request["events"]:
            write_only(frozenset(request["events"]))
        # Its static parser is Rust with threads of its own, which a fork does not have: it would wait for ever.
        code = run_dbt(["--no-static-parser", *request["arguments"]])
    except KeyboardInterrupt:
        code = 130
    except BaseException:  # noqa: BLE001 - nothing above this frame may run twice
        os.write(2, traceback.format_exc().encode())
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _interrupted(*_: object) -> NoReturn:
    """End as Ctrl-C does, and after a few seconds in any case: nobody else would, if the host is gone.

    An interrupt that comes as a query begins makes dbt wait for that query, in place of cancelling it.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_PATIENCE)
    raise KeyboardInterrupt


def _close_sockets() -> None:
    """Close the connections of others, whose end would not be seen, and no more: dbt has descriptors of its own."""
    for descriptor in range(3, _MOST_DESCRIPTORS):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                os.close(descriptor)


def end_with(parent: int) -> None:
    """Let Linux interrupt this process when its parent dies, however it dies; dbt then cancels its queries.

    A shell that starts Airflow in the background may have told it to ignore interrupts, which is inherited.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
    if os.getppid() != parent:
        os._exit(130)
