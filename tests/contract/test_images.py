"""Dockerfile, docker-compose.yml and the Astro files keep the promises that no linter knows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from goldsmith.dbt.project import DbtProject
from goldsmith.stack.environment import TASKS_ROLE, TASKS_USER

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
GENERATE = ["bash", str(ROOT / "deploy" / "secrets" / "generate.sh")]
ONE_SHOT = {"db-migration"}


def _instructions(name: str) -> list[str]:
    """Return the arguments of every instruction of one kind, continuation lines joined."""
    joined = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"^{name}\s+(.+)$", joined, flags=re.MULTILINE)


def test_first_from_is_the_literal_default_base() -> None:
    """The first FROM, all that the Astro CLI reads, is a literal tag and equals the default of BASE_IMAGE."""
    first = _instructions("FROM")[0].split()[0]
    assert f"BASE_IMAGE={first}" in _instructions("ARG")
    runtime = re.fullmatch(r"astrocrpublic\.azurecr\.io/runtime:(\d+\.\d+)-\d+-python-(3\.\d+)-base", first)
    assert runtime is not None
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert any(line.startswith(f"apache-airflow>={runtime[1]}") for line in project["dependencies"])
    assert f"Programming Language :: Python :: {runtime[2]}" in project["classifiers"]


def test_image_copies_no_dags_and_ends_unprivileged() -> None:
    """`astro deploy` may take dags/ out of the context, so no COPY names it; the last user is not root."""
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert not any("dags" in copied for copied in _instructions("COPY"))
    assert not {"dags", "dags/"} & {line.strip() for line in ignored}
    assert _instructions("USER")[-1] == "50000"


def test_the_image_names_dbt_where_it_is_apart() -> None:
    """With DBT=apart the settings name the commands in dbt's own environment; without it they are empty."""
    [environment] = _instructions("ENV")
    install = (ROOT / "deploy" / "image" / "install-dependencies.sh").read_text(encoding="utf-8")
    assert "DBT=" in _instructions("ARG")
    for name, command in (("DBT", "dbt"), ("EDR", "edr")):
        assert f"GOLDSMITH_{name}=${{DBT:+/opt/dbt/bin/{command}}}" in environment
    assert "\ndbt=/opt/dbt\n" in install
    assert COMPOSE["x-airflow"]["build"]["args"]["DBT"] == "${GOLDSMITH_IMAGE_DBT:-}"


@pytest.mark.parametrize("said", ["together", "no"])
def test_another_word_for_where_dbt_is_stops_the_build(said: str, tmp_path: Path) -> None:
    """Before anything is installed."""
    script = ROOT / "deploy" / "image" / "install-dependencies.sh"
    done = subprocess.run(
        ["/bin/sh", str(script)],
        cwd=tmp_path,
        env={"DBT": said, "PATH": ""},
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (2, f"DBT is {said}. Leave it out, or write DBT=apart.\n")


def test_every_file_that_the_image_copies_is_there() -> None:
    """A renamed file would stop the build only."""
    copied = [
        name for line in _instructions("COPY") for name in line.split()[:-1] if not name.startswith("-")
    ]
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_image_context_leaves_secrets_and_state_out() -> None:
    """What git ignores for being secret or of one machine does not get into an image either."""
    ignored = set((ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines())
    assert {".env", ".git", ".goldsmith", ".venv", "deploy/secrets", "airflow_settings.yaml"} <= ignored


def test_compose_topology() -> None:
    """Celery with Redis and three workers, each service with a health check and its ports on loopback."""
    services = COMPOSE["services"]
    assert set(services) == {
        "postgres",
        "warehouse",
        "redis",
        "db-migration",
        "api-server",
        "scheduler",
        "dag-processor",
        "triggerer",
        "worker",
    }
    assert services["worker"]["deploy"]["replicas"] == 3
    assert services["worker"]["environment"]["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
    [published] = services["api-server"]["ports"]
    base_url = services["api-server"]["environment"]["AIRFLOW__API__BASE_URL"]
    assert base_url.removeprefix("http://localhost") == published.removeprefix("127.0.0.1").removesuffix(
        ":8080"
    )
    for name, service in services.items():
        assert name in ONE_SHOT or service["healthcheck"]["test"], name
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", [])), name
    for name in services.keys() - ONE_SHOT - {"postgres", "warehouse", "redis"}:
        conditions = {one["condition"] for one in services[name]["depends_on"].values()}
        assert conditions <= {"service_healthy", "service_completed_successfully"}, name


def test_compose_secrets_are_made_by_the_generator(tmp_path: Path) -> None:
    """The generator writes every secret that compose mounts, without line ends, and keeps what exists."""
    tmp_path /= "made-by-the-generator"
    generate = [*GENERATE, str(tmp_path)]
    subprocess.run(generate, check=True, stdout=subprocess.DEVNULL)
    made = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    subprocess.run(generate, check=True, stdout=subprocess.DEVNULL)
    mounted = {secret: Path(place["file"]).name for secret, place in COMPOSE["secrets"].items()}
    assert mounted == {secret: secret for secret in mounted}
    assert made.keys() - mounted.keys() == {"admin_password", "tasks_password"}  # the others hold them
    for name, text in made.items():
        assert len(text) >= 20, name
        assert text == text.strip(), name
        assert text == (tmp_path / name).read_text(encoding="utf-8"), name
    used = {secret for service in COMPOSE["services"].values() for secret in service.get("secrets", [])}
    assert used == mounted.keys()


@pytest.mark.parametrize("connections", ["{}", ' {\n"mine": {"conn_type": "http"}\n}\n'])
def test_secrets_of_an_earlier_version_are_completed(tmp_path: Path, connections: str) -> None:
    """Files from before the tasks had a login of their own get it, beside what a person wrote there."""
    (tmp_path / "airflow_passwords.json").write_text('{"admin": "kept"}')
    (tmp_path / "connections.json").write_text(connections)
    subprocess.run([*GENERATE, str(tmp_path)], check=True, stdout=subprocess.DEVNULL)
    password = (tmp_path / "tasks_password").read_text()
    users = json.loads((tmp_path / "airflow_passwords.json").read_text())
    assert users == {"admin": "kept", "goldsmith": password}
    made = json.loads((tmp_path / "connections.json").read_text())
    assert (made.pop("goldsmith_api")["password"], made) == (password, json.loads(connections))


def test_tasks_of_compose_log_in_as_a_user_of_least_right() -> None:
    """The user that the generated connection names is one of Airflow's, and no administrator."""
    users = COMPOSE["x-airflow"]["environment"]["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"].split(",")
    assert f"{TASKS_USER}:{TASKS_ROLE}" in users


@pytest.mark.parametrize("broken", ["base64", "head", "tr"])
def test_secrets_are_never_empty(tmp_path: Path, broken: str) -> None:
    """Where a program is missing or fails, the generator fails as well and leaves no empty file behind."""
    programs, made = tmp_path / "bin", tmp_path / "made"
    programs.mkdir()
    (programs / broken).write_text("#!/bin/sh\nexit 1\n")
    (programs / broken).chmod(0o755)
    env = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"}
    done = subprocess.run([*GENERATE, str(made)], env=env, check=False, capture_output=True)
    assert done.returncode != 0
    assert [path.name for path in made.iterdir()] == []


def test_an_empty_secret_is_refused(tmp_path: Path) -> None:
    """An empty file is not taken for a password."""
    (tmp_path / "redis_password").touch()
    done = subprocess.run([*GENERATE, str(tmp_path)], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"{tmp_path}/redis_password is empty" in done.stderr


READ_OPTIONS = """
import json, sys
from airflow.configuration import conf
from airflow.providers_manager import ProvidersManager
ProvidersManager().initialize_providers_configuration()
print(json.dumps([conf.get(*option) for option in json.loads(sys.argv[1])]))
"""


def test_compose_commands_are_read_by_airflow(tmp_path: Path) -> None:
    """Airflow runs a `_CMD` for sensitive options only: the value of every one that compose sets arrives."""
    commands = [name for name in COMPOSE["x-airflow"]["environment"] if name.endswith("_CMD")]
    options = [name.removeprefix("AIRFLOW__").removesuffix("_CMD").lower().split("__") for name in commands]
    # The form of a database address pleases every option.
    values = [f"sqlite:////{tmp_path}/{number}" for number, _ in enumerate(commands)]
    plain = {name.removesuffix("_CMD") for name in commands}
    env = {name: value for name, value in os.environ.items() if name not in plain}
    env |= {name: f"printf {value}" for name, value in zip(commands, values, strict=True)}
    done = subprocess.run(
        [sys.executable, "-c", READ_OPTIONS, json.dumps(options)],
        env=env | {"AIRFLOW_HOME": str(tmp_path)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == values


@pytest.mark.integration
def test_astro_integrity_test_passes(tmp_path: Path, sample: DbtProject) -> None:
    """What `astro dev parse` runs passes on this Airflow, with a fresh AIRFLOW_HOME and the manifest of the image."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", ".astro/test_dag_integrity_default.py"],
        cwd=ROOT,
        env=os.environ | {"AIRFLOW_HOME": str(tmp_path), "GOLDSMITH_DBT_PROJECT_DIR": str(sample.path)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
