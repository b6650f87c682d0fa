"""E-mail, by SMTP or by Amazon SES, as the type of the connection says."""

from __future__ import annotations

import smtplib
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from airflow.sdk import Connection

from goldsmith.alerts.channels.request import TIMEOUT, connection_of
from goldsmith.alerts.message import Message
from goldsmith.errors import ConfigurationError, EnvironmentProblem, MayPass
from goldsmith.extras import need_extra
from goldsmith.spec.alerts import SES, Channel


@dataclass(frozen=True, kw_only=True, slots=True)
class Mail:
    """What a mail says."""

    subject: str
    text: str
    """For programs that show no HTML; by SES alone."""
    html: str
    attachments: tuple[Path, ...] = ()
    """Files that go with it."""


def send(channel: Channel, message: Message) -> None:
    """Send it as HTML."""
    send_mail(channel, Mail(subject=message.subject, text=message.text, html=message.html))


def send_mail(channel: Channel, mail: Mail) -> None:
    """Send a mail to the addresses of a channel.

    Raises:
        MayPass: The server is away or busy.
        EnvironmentProblem: It refuses.
        ConfigurationError: The connection lacks something.
    """
    connection = connection_of(channel.connection)
    if connection.conn_type == SES:
        _by_ses(connection, _mime(channel, connection, mail), channel)
    else:
        _by_smtp(channel, mail)


def _by_smtp(channel: Channel, mail: Mail) -> None:
    from airflow.providers.smtp.hooks.smtp import SmtpHook
    from airflow.sdk.exceptions import AirflowException

    hook = SmtpHook(smtp_conn_id=channel.connection)
    try:
        hook.get_conn()
        hook.send_email_smtp(
            to=list(channel.to),
            subject=mail.subject,
            html_content=mail.html,
            from_email=channel.sender or None,
            files=[str(path) for path in mail.attachments],
        )
    except (
        smtplib.SMTPAuthenticationError,
        smtplib.SMTPRecipientsRefused,
        smtplib.SMTPSenderRefused,
    ) as error:
        kind = MayPass if _is_for_now(error) else EnvironmentProblem
        raise kind(f"The mail server refuses: {type(error).__name__} {error.args[:1]}") from None
    except (smtplib.SMTPException, AirflowException, OSError) as error:
        raise MayPass(
            f"The mail server of the connection {channel.connection!r} did not take it: {error}"
        ) from error
    finally:
        with suppress(AttributeError):  # where there was no connection
            hook.__exit__(None, None, None)  # as a context manager it stays open when the login fails


def _is_for_now(error: smtplib.SMTPException) -> bool:
    """Whether all that a server refuses it refuses only at this moment (4xx), as greylisting does; RFC 5321, 4.2.1."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = [code for code, _ in error.recipients.values()]
    else:
        codes = [getattr(error, "smtp_code", 0)]
    return bool(codes) and all(400 <= code < 500 for code in codes)


def _by_ses(connection: Connection, message: EmailMessage, channel: Channel) -> None:
    need_extra("ses", "A mail by Amazon SES")
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    extra = connection.extra_dejson
    config = Config(connect_timeout=TIMEOUT, read_timeout=TIMEOUT, retries={"max_attempts": 1})
    given: dict[str, Any] = {
        "region_name": extra.get("region_name"),
        "endpoint_url": extra.get("endpoint_url"),
        "aws_access_key_id": connection.login or None,
        "aws_secret_access_key": connection.password or None,
        "aws_session_token": extra.get("aws_session_token"),
    }
    try:
        client = boto3.client("ses", config=config, **given)
        client.send_raw_email(Destinations=list(channel.to), RawMessage={"Data": message.as_bytes()})
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        kind = MayPass if status == 429 or status >= 500 else EnvironmentProblem
        raise kind(f"Amazon SES refuses: {error.response['Error']['Code']}") from error
    except BotoCoreError as error:
        raise MayPass(f"Amazon SES cannot be reached: {error}") from error


def _mime(channel: Channel, connection: Connection, mail: Mail) -> EmailMessage:
    sender = channel.sender or connection.extra_dejson.get("from_email")
    if not sender:
        raise ConfigurationError(
            f"A mail by Amazon SES needs a sender, and the connection {channel.connection!r} names none.",
            hint="Write `sender: alerts@example.com` into the channel.",
        )
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = mail.subject, sender, ", ".join(channel.to)
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    for path in mail.attachments:
        message.add_attachment(
            path.read_bytes(), maintype="application", subtype="octet-stream", filename=path.name
        )
    return message
