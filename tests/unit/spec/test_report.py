"""What a spec says about reports."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from goldsmith.spec.report import Report


def test_a_place_is_enough_to_publish() -> None:
    """The rest has defaults; Elementary's report is made where it can be."""
    report = Report.model_validate({"publish": ["s3://aws_default@reports/dbt"]})
    assert report.publish[0].keep == 30
    assert report.elementary is not None
    assert Report.model_validate({"elementary": None}).elementary is None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"publish": [{"to": ""}]}, "at least 1 character"),
        ({"publish": [{"to": "/srv", "url": "reports.example.com"}]}, "is no address that a browser opens"),
        ({"publish": [{"to": "/srv", "keep": 0}]}, "greater than or equal to 1"),
        ({"send": [{"type": "teams", "connection": "t"}]}, "reports go by email and slack"),
        ({"send": [{"type": "email", "connection": "m"}]}, "needs `to`"),
        ({"elementary": {"days_back": 0}}, "greater than or equal to 1"),
        ({"elementary": {"timeout": "0s"}}, "nothing can run in no time"),
        ({"elementary": {"memory_mb": 10}}, "greater than or equal to 512"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, Any], said: str) -> None:
    """With what to write instead."""
    with pytest.raises(ValidationError) as caught:
        Report.model_validate(values)
    assert said in str(caught.value)


def test_reports_go_to_web_addresses_and_by_mail() -> None:
    """An address may be left out."""
    place = {"to": "/srv/reports", "url": "https://reports.example.com"}
    mail = {"type": "email", "connection": "m", "to": "a@example.com"}
    report = Report.model_validate({"publish": [place, {"to": "/srv"}], "send": [mail]})
    assert [one.url for one in report.publish] == ["https://reports.example.com", ""]
    assert report.send[0].attach
