"""Which values are masked, in which forms, and where: in processes of their own, since what is known stays known."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

_CODE = """
import json, sys
{before}
from goldsmith import masking
asked = json.load(sys.stdin)
{code}
"""
_CONNECTION = """
class Connection:
    login, password, extra_dejson = asked["login"], asked["password"], asked["extra"]
masking.hide_connection(Connection(), **({"names": frozenset()} if asked.get("strict") else {}))
print(json.dumps(masking.masked(asked["said"])))
"""
EXTRA: dict[str, Any] = {
    "headers": {"X-Api-Key": 'se"cret key', "Authorization": "Bearer tok-12345"},
    "region_name": "eu-west-1",
    "nested": [{"pem": "-----BEGIN KEY-----\nline-of-a-key\n-----END KEY-----"}],
    "pin": 12345678,
    "verify": True,
    "port": "2525",
    "short": "abcd",
}


def said(code: str, asked: Any, *, before: str = "", **env: str) -> str:
    """What a process writes."""
    done = subprocess.run(
        [sys.executable, "-c", _CODE.format(before=before, code=code)],
        input=json.dumps(asked),
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def without(text: Any, *, strict: bool = False) -> Any:
    """A text without the secrets of a connection."""
    asked = {"login": "ann", "password": "pass word!", "extra": EXTRA, "said": text, "strict": strict}
    return json.loads(said(_CONNECTION, asked))


def test_every_value_of_a_connection_is_masked_in_each_of_its_forms() -> None:
    """As it is, in JSON, in a URL, as HTTP and SMTP send it; of a header also what comes after `Bearer`."""
    forms = ["pass word!", "pass%20word%21", "pass+word%21", "YW5uOnBhc3Mgd29yZCE=", "AGFubgBwYXNzIHdvcmQh"]
    forms += ['se"cret key', 'se\\"cret key', "Bearer tok-12345", "tok-12345", "line-of-a-key", "12345678"]
    assert without([f"<{one}>" for one in forms]) == ["<***>"] * len(forms)
    assert without({"a": {"pass word!": ("x", "pass word!")}}) == {"a": {"pass word!": ["x", "***"]}}


def test_what_is_no_secret_stays() -> None:
    """Switches, what is too short, and names such as a region's; an alert's connection has none of those."""
    plain = "eu-west-1 true abcd 2525 -----BEGIN KEY-----"
    assert without(plain) == plain
    assert without("eu-west-1 true", strict=True) == "*** true"


def test_parts_of_an_address_that_give_access_are_masked() -> None:
    """Its path, the values of its query and its password, but not its host."""
    url = "https://ann:pass-word@hooks.example.com/services/T0001/B0000001/abc?sig=signature1&v=1"
    code = "masking.hide_address(asked)\nprint(masking.masked(asked))\nprint(masking.masked('B0000001 v=1'))"
    assert said(code, url) == "https://ann:***@hooks.example.com***?sig=***&v=1\n*** v=1\n"


def test_a_secret_that_begins_as_another_one_is_masked_whole() -> None:
    """Airflow's own masker leaves the rest of it."""
    code = "masking.hide(['abcde', 'abcdefgh'])\nprint(masking.masked('abcdefgh abcde'))"
    assert said(code, None) == "*** ***\n"
    assert said(code, None, before="import airflow.sdk.log") == "*** ***\n"


def test_a_secret_that_postgresql_cuts_off_is_masked() -> None:
    """At either end of the part of a line that it shows; what begins alike elsewhere stays."""
    code = "masking.hide(['hunter2-secret'])\nprint(masking.masked(asked))"
    assert (
        said(code, "x\nLINE 13: ...cret' as a, 'hunte...\n     ^")
        == "x\nLINE 13: ...***' as a, '***...\n     ^\n"
    )
    assert (
        said(code, "LINE 1: select 'hunte' as cret\nhunte...") == "LINE 1: select 'hunte' as cret\nhunte...\n"
    )


def test_variables_of_the_environment_that_hold_secrets_are_masked() -> None:
    """dbt's own, and those that the settings name; no others."""
    env = {
        "DBT_ENV_SECRET_A": "one-secret",
        "API_KEY": "two-secret",
        "PARTNER_X": "three-secret",
        "PLAIN": "four-plain",
    }
    asked = ["one-secret", "two-secret", "three-secret", "four-plain"]
    code = "print(masking.masked(asked))"
    named = {**env, "GOLDSMITH_SECRET_ENV": "API_KEY, PARTNER_*"}
    assert said(code, asked, **named) == "['***', '***', '***', 'four-plain']\n"
    assert said(code, asked, **env) == "['***', 'two-secret', 'three-secret', 'four-plain']\n"


def test_dbt_variables_whose_name_says_that_they_are_secret_are_masked() -> None:
    """Also those within another one."""
    variables = {
        "region": "north",
        "api_token": "token-1",
        "service": {"password": "token-2", "url": "https://x"},
    }
    code = (
        "masking.hide_variables(asked)\nprint(masking.masked(['token-1', 'token-2', 'north', 'https://x']))"
    )
    assert said(code, variables) == "['***', '***', 'north', 'https://x']\n"


def test_lines_leave_the_process_without_secrets() -> None:
    """As in a task: its supervisor copies what it gets to the scheduler's output, and masks the log file alone."""
    before = """
import io, logging, structlog
from airflow.sdk.log import configure_logging
sent = io.BytesIO()
configure_logging(json_output=True, output=sent, sending_to_supervisor=True)
early = structlog.get_logger("early")
early.info("before")
"""
    code = """
masking.hide(["hunter2-secret"])
masking.hide(["another-secret"])
early.info("told %s", "hunter2-secret", more={"key": ["hunter2-secret"]})
logging.getLogger("a.library").warning("header: %s", "another-secret")
try:
    raise ValueError("because of hunter2-secret")
except ValueError:
    early.exception("failed")
    logging.getLogger("a.library").exception("failed too")
sys.stdout.buffer.write(sent.getvalue())
"""
    lines = [json.loads(line) for line in said(code, None, before=before).splitlines()]
    assert [line["event"] for line in lines] == [
        "before",
        "told ***",
        "header: ***",
        "failed",
        "failed too",
    ]
    assert lines[1]["more"] == {"key": ["***"]}
    text = json.dumps(lines)
    assert "hunter2" not in text
    assert "another" not in text
    assert text.count("because of ***") == 2
