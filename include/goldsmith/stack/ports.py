"""TCP ports on loopback."""

from __future__ import annotations

import socket

from goldsmith.errors import EnvironmentProblem

PREFERRED_PORT = 8080
"""Airflow's usual port."""


def free_port(last: int) -> int:
    """The port of last time if it is free, else another.

    Args:
        last: The port of last time.

    Raises:
        EnvironmentProblem: None is free.
    """
    for port in (last, *range(PREFERRED_PORT, PREFERRED_PORT + 20), 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise EnvironmentProblem("No TCP port is free on 127.0.0.1.")


def has_listener(port: int) -> bool:
    """Whether any program listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
