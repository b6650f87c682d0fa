"""The extras of the package: what only some pipelines need, and the error if one needs it and it is not installed."""

from __future__ import annotations

from importlib.util import find_spec

from goldsmith.errors import EnvironmentProblem

EXTRAS = {
    "apprise": ("apprise",),
    "parquet": ("pyarrow",),
    "s3": ("airflow.providers.amazon", "s3fs"),
    "ses": ("boto3",),
    "slack": ("slack_sdk",),
}
"""Extra of pyproject.toml to the modules that it brings."""


def is_installed(extra: str) -> bool:
    """Whether all modules of an extra can be imported here."""
    return all(_can_import(module) for module in EXTRAS[extra])


def hint_of(extra: str) -> str:
    """The command that installs an extra."""
    return f'pip install "goldsmith[{extra}]"'


def need_extra(extra: str, purpose: str) -> None:
    """Raise if an extra is not installed; called before its modules are imported.

    Args:
        extra: The extra.
        purpose: What needs it, as the subject of a sentence.

    Raises:
        EnvironmentProblem: It is not installed.
    """
    missing = [module for module in EXTRAS[extra] if not _can_import(module)]
    if missing:
        text = f"{purpose} needs {', '.join(missing)}, which is not installed."
        raise EnvironmentProblem(text, hint=hint_of(extra))


def _can_import(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:  # of a package above it
        return False
