"""The listening socket: reachable, quick, and clear about what is in its way."""

import socket

import pytest

from tidegate_runtime.faults import ListenFailed
from tidegate_runtime.server import listen


def test_answers_are_not_held_back_for_an_acknowledgement() -> None:
    with listen(0) as listener, socket.create_connection(("127.0.0.1", listener.getsockname()[1])):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_a_taken_port_is_named() -> None:
    with listen(0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ListenFailed, match=f"port {port} can't be listened on: .*; set TIDEGATE_PORT"):
            listen(port)
