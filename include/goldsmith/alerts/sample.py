"""Send an event to a channel: `python -m goldsmith.alerts.sample`, which reads it as JSON."""

from __future__ import annotations

import json
import sys

from goldsmith.alerts.deliver import deliver
from goldsmith.alerts.event import Event
from goldsmith.spec.alerts import Alerts


def main() -> None:
    """Send what stdin says; the last line of stdout is `{"error": ...}`, empty where it was sent."""
    asked = json.load(sys.stdin)
    alerts = Alerts.model_validate(asked["alerts"])
    done = deliver(alerts, asked["channel"], asked["route"], [Event.from_dict(asked["event"])])
    sys.stdout.write(f"\n{json.dumps({'error': done.error})}\n")


if __name__ == "__main__":
    main()
