"""Classes of errors, by what dbt says about a node that failed: is it worth trying again?

dbt passes on what the warehouse said as text, without PostgreSQL's SQLSTATE, so that the text decides. It is that of a
server which speaks English (`lc_messages`); what is said in another language is of no class here. Databricks names the
class of an error, and its SQLSTATE, in the text itself.

Sources: appendix A of PostgreSQL's manual (error codes) and the texts of its server and of libpq; Databricks' list of
error conditions, and the errors of its SQL connector.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorClass:
    """A kind of error."""

    name: str
    is_transient: bool
    """Whether the same command may well succeed a little later."""
    texts: re.Pattern[str]


def _transient(name: str, *texts: str) -> ErrorClass:
    return ErrorClass(name=name, is_transient=True, texts=re.compile("|".join(texts), re.IGNORECASE))


def _permanent(name: str, *texts: str) -> ErrorClass:
    return ErrorClass(name=name, is_transient=False, texts=re.compile("|".join(texts), re.IGNORECASE))


CANCELLED = "its query was cancelled in the warehouse."
"""What is said of a node that took longer than it may."""

# The first that is found counts: what is said while connecting names the server too, and a clash in the catalogue is
# a violated constraint as well.
ERROR_CLASSES: tuple[ErrorClass, ...] = (
    _permanent("test failure", r"Got \d+ results?, configured to fail"),
    _permanent("contract violation", r"has an enforced contract that failed"),
    _permanent("variable not set", r"Env var required but not provided: '"),
    _permanent("unknown adapter", r"Could not find adapter type \S+?!?"),
    _permanent("compilation error", r"^Compilation Error", r"\n\s*Compilation Error", r"^Parsing Error"),
    _transient(
        "concurrent change of the catalogue",
        r"tuple concurrently (updated|deleted)",
        r'violates unique constraint "pg_\w+_index"',
    ),
    _permanent("password refused", r"password authentication failed for user", r"no password supplied"),
    _permanent("unknown user", r'FATAL:\s+role ".*" does not exist'),
    _permanent("unknown database", r'FATAL:\s+database ".*" does not exist'),
    _permanent("token refused", r"Invalid access token", r"access token .{0,40}(expired|invalid|revoked)"),
    _permanent("no right to connect", r"FATAL:\s+permission denied for database"),
    _permanent(
        "login refused",
        r"(peer|ident|\w+) authentication failed for user",
        r"no pg_hba\.conf entry",
        r'FATAL:\s+role ".*" is not permitted to log in',
        r"certificate verify failed",
        r"certificate has expired",
    ),
    _transient(
        "too many connections",
        r"too many clients already",
        r"remaining connection slots are reserved",
        r"too many connections for (role|database)",
    ),
    _transient(
        "warehouse starting or stopping",
        r"the database system is (starting up|shutting down|not yet accepting connections)",
        r"the database system is in recovery mode",
        r"terminating connection due to administrator command",
        r"terminating connection because of crash of another server process",
        r"canceling statement due to conflict with recovery",
        r"(cluster|warehouse|endpoint) .{0,80}(is starting|is not running|in state (PENDING|STARTING|STOPPED))",
        r"TEMPORARILY_UNAVAILABLE",
    ),
    _permanent(
        "permission denied",
        r"Error during request to server.{0,40}\b(does not have|do not have|no) permission",
    ),
    # Databricks' connector says so little of 401, 403 and 404, which stay, but also of 500 and 502, which may pass.
    _transient("request refused", r"Error during request to server\. *(\n|$)"),
    _transient(
        "host unknown", r"could not translate host name", r"failed to resolve", r"Name or service not known"
    ),
    _transient(
        "nothing listens", r"Connection refused", r"\.s\.PGSQL\.\d+\" failed: No such file or directory"
    ),
    _transient("no answer", r"(connection )?timeout expired", r"Connection timed out", r"Read timed out"),
    _transient(
        "connection lost",
        r"connection to server .* failed",
        r"could not connect to server",
        r"server closed the connection unexpectedly",
        r"could not receive data from server",
        r"could not send data to server",
        r"SSL connection has been closed unexpectedly",
        r"SSL SYSCALL error",
        r"terminating connection due to idle",
        r"no connection to the server",
        r"connection already closed",
        r"Connection (reset by peer|aborted)",
        r"Max retries exceeded with url",
        r"Error during request to server",
        r"SQLSTATE: 08\w{3}",
    ),
    _transient("deadlock", r"deadlock detected"),
    _transient(
        "serialization failure",
        r"could not serialize access",
        r"DELTA_CONCURRENT_\w+",
        r"DELTA_METADATA_CHANGED",
        r"Concurrent(Append|DeleteRead|DeleteDelete|Transaction|Write)Exception",
        r"SQLSTATE: 40\w{3}",
    ),
    _transient("lock timeout", r"canceling statement due to lock timeout", r"could not obtain lock on"),
    _transient(
        "too many requests",
        r"\b(HTTP|status( code)?):? ?(429|503)\b",
        r"\b(429 Too Many Requests|503 Service Unavailable)\b",
        r"REQUEST_LIMIT_EXCEEDED",
        r"RESOURCE_EXHAUSTED",
    ),
    _permanent(
        "cancelled", r"canceling statement due to (statement timeout|user request)", re.escape(CANCELLED)
    ),
    _permanent("disk full", r"No space left on device", r"could not extend file"),
    _permanent(
        "permission denied",
        r"permission denied",
        r"must be owner of",
        r"must have \w+ privilege",
        r"INSUFFICIENT_PERMISSIONS",
    ),
    _permanent(
        "SQL error",
        r"syntax error",
        r"(relation|column|schema|type|function|operator|table|view|index) .{0,200}does not exist",
        r"(relation|schema|column|type) .{0,200}already exists",
        r"(column|function|operator) .{0,200}is (ambiguous|not unique)",
        r"column .{0,200}is of type .* but expression is of type",
        r"must appear in the GROUP BY clause",
        r"(aggregate|window|set-returning) functions are not allowed",
        r"aggregate function calls cannot",
        r"(invalid reference to|missing) FROM-clause entry",
        r"specified more than once",
        r"(ORDER BY|GROUP BY|SELECT DISTINCT|DISTINCT ON) .{0,80}(select list|must match)",
        r"position \d+ is not in select list",
        r"unterminated (quoted|dollar-quoted|/\* comment|bit string|hexadecimal)",
        r"subquery (must return|has too many|has too few)",
        r"argument of \S+ must (be type|not)",
        r"more than one row returned by a query used as",
        r"INSERT has more (expressions|target columns)",
        r"cannot insert multiple commands into a prepared statement",
        r"is not (a view|a table|a materialized view|a sequence|unique)",
        r"cannot (change (data type|name) of|drop columns from) view",
        r"cannot be (implemented|changed)|cannot alter type of a column",
        r"could not (determine|identify) ",
        r"wrong number of parameters",
        r"recursive reference to query",
        r"cross-database references are not implemented",
        r"each UNION query must have",
        r"(UNION|CASE|COALESCE) types .* cannot be matched",
        r"cannot cast type",
        r"depends? on .{0,200}(view|table|column)",
        r"PARSE_SYNTAX_ERROR",
        r"TABLE_OR_VIEW_NOT_FOUND",
        r"UNRESOLVED_(COLUMN|ROUTINE)",
        r"DATATYPE_MISMATCH",
        r"SQLSTATE: (42|0A)\w{3}",
    ),
    _permanent(
        "data error",
        r"division by zero",
        r"invalid input syntax for",
        r"out of range",
        r"value too long for type",
        r"numeric field overflow",
        r"(invalid|unrecognized) .{0,40}(byte sequence|character) ",
        r"cannot take (square root|logarithm) of",
        r"(invalid|unsupported) (regular expression|Unicode escape|escape sequence|input)",
        r"missing data for column|extra data after last expected column",
        r"no partition of relation .* found for row",
        r"result of .* exceeds",
        r"violates (unique|not-null|check|foreign key|exclusion) constraint",
        r"null value in column",
        r"more than one row returned by a subquery",
        r"cannot affect row a second time",
        r"DIVIDE_BY_ZERO",
        r"CAST_INVALID_INPUT",
        r"(NOT_NULL|CHECK)_CONSTRAINT_VIOLAT",
        r"DELTA_MULTIPLE_SOURCE_ROW_MATCHING_TARGET_ROW_IN_MERGE",
        r"SQLSTATE: (21|22|23)\w{3}",
    ),
    # Last: what dbt said before may name a cause that remains.
    _transient(
        "dbt was lost",
        r"^dbt .* ended with code (-\d+|130)[;,]",
        r"The warehouse has ended the session that made this task the only writer",
    ),
)


ABOUT_THE_WAREHOUSE = frozenset(
    {
        *("variable not set", "unknown adapter", "password refused", "unknown user", "unknown database"),
        *("token refused", "no right to connect", "login refused", "too many connections"),
        *(
            "warehouse starting or stopping",
            "request refused",
            "host unknown",
            "nothing listens",
            "no answer",
        ),
        *("connection lost", "disk full", "permission denied"),
    }
)
"""Classes of errors whose reason is no node: many nodes may fail for the same one."""
_OF_A_NODE = re.compile(r" in \w+ \S+ \(.*\)$|^\s*(compiled code at |LINE \d+: |\^).*$", re.MULTILINE)


_DATABASE = "Database Error"
_PLACE = re.compile(r"^\s*(LINE \d+:.*|\^|compiled code at .*)$")
"""Lines of a database's error that differ from node to node although the error is the same."""
_NAMES_SOMETHING = re.compile(r"[\"'`][^\"'`]+[\"'`]")


def common_reason(message: str) -> str:
    """What failures of one cause have in common; empty if the reason is the node's own.

    That is a right that many nodes lack; or an error of the warehouse that names something, such as a column that does
    not exist. `division by zero` names nothing: two nodes may well have two causes for it.

    Args:
        message: What dbt said about a node.
    """
    if reason := shared_reason(message):
        return reason
    _, found, error = message.partition(_DATABASE)
    said = "\n".join(
        line.strip() for line in error.splitlines()[1:] if line.strip() and not _PLACE.match(line)
    )
    return said if found and _NAMES_SOMETHING.search(said) else ""


def shared_reason(message: str) -> str:
    """What dbt said about a node, without what is the node's own; empty if the reason is the node's own.

    Args:
        message: What dbt said about the node.
    """
    found = error_class(message)
    if found is None or found.name not in ABOUT_THE_WAREHOUSE:
        return ""
    lines = _OF_A_NODE.sub("", message).splitlines()
    return "\n".join(line.strip() for line in lines if line.strip())


def error_class(message: str) -> ErrorClass | None:
    """The class of an error.

    Args:
        message: What dbt said about the node.

    Returns:
        None where it is of no known class.
    """
    return next((one for one in ERROR_CLASSES if one.texts.search(message)), None)
