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
_PROVIDERS = {
    "gs": "google",
    "gcs": "google",
    "abfs": "microsoft.azure",
    "abfss": "microsoft.azure",
    "adl": "microsoft.azure",
}
"""Scheme of a URL of object storage to the Airflow provider that reads it; those of S3 are an extra."""


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


def need_storage(url: str, purpose: str) -> None:
    """Raise if the Airflow provider of an object storage is not installed, as far as it is known.

    Args:
        url: Of the object storage.
        purpose: What needs it, as the subject of a sentence.

    Raises:
        EnvironmentProblem: It is not installed.
    """
    scheme = url.partition("://")[0]
    if scheme == "s3":
        need_extra("s3", purpose)
    provider = _PROVIDERS.get(scheme)
    if provider and not _can_import(f"airflow.providers.{provider}"):
        package = f"apache-airflow-providers-{provider.replace('.', '-')}"
        raise EnvironmentProblem(
            f"{purpose} needs {package}, which is not installed.", hint=f"pip install {package}"
        )


def _can_import(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:  # of a package above it
        return False
