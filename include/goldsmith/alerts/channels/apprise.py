"""Everything else, through Apprise: https://github.com/caronc/apprise/wiki lists the services and their URLs."""

from __future__ import annotations

from goldsmith.alerts.channels.request import connection_of
from goldsmith.alerts.message import Message
from goldsmith.errors import ConfigurationError, MayPass
from goldsmith.extras import need_extra
from goldsmith.spec.alerts import Channel


def send(channel: Channel, message: Message) -> None:
    """Notify the service; the connection's password is its Apprise URL, or several with spaces between."""
    need_extra("apprise", "A channel of type apprise")
    import apprise

    urls = (connection_of(channel.connection).password or "").split()
    service = apprise.Apprise()
    if not urls or not all(service.add(url) for url in urls):
        raise ConfigurationError(
            f"The password of the Airflow connection {channel.connection!r} is no Apprise URL, or one that Apprise "
            "does not know.",
            hint="https://github.com/caronc/apprise/wiki",
        )
    kind = apprise.NotifyType.FAILURE if message.is_bad else apprise.NotifyType.INFO
    if not service.notify(body=message.text, title=message.subject, notify_type=kind):
        raise MayPass("The service behind the Apprise URL did not take it.")
