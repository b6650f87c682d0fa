"""Write what a benchmark has measured: with the commit that was measured, and on what machine."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def commit_id() -> str:
    """The id of the commit that is checked out; `-dirty` behind it, if more is changed than results and docs."""
    head = _git("rev-parse", "HEAD")
    changed = _git(
        "status", "--porcelain", "--", ":/", ":(exclude,top)benchmarks/results", ":(exclude,top)docs"
    )
    return f"{head}-dirty" if head and changed else head or "unknown"


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    here = Path(__file__).parent
    return subprocess.run(command, cwd=here, capture_output=True, text=True, check=False).stdout.strip()


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """The circumstances of a measurement; make it before the measurement begins."""

    commit: str = field(default_factory=commit_id)
    began: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    load: float = field(default_factory=lambda: os.getloadavg()[0])

    def write(self, file: Path | None, rows: Sequence[Mapping[str, Any]], **more: Any) -> None:
        """Write the rows as JSON; nothing, if no file was asked for."""
        if file is None:
            return
        document = {
            "commit": self.commit,
            "began": self.began,
            "load_before": round(self.load, 2),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "rows": list(rows),
            **more,
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(document, indent=1) + "\n")
