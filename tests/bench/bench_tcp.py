"""Bytes of TCP connections as the kernel counts them: measuring a process without asking it.

sock_diag(7): a dump of INET_DIAG with the tcp_info of each connection at a local port.
"""

import socket
import struct
from typing import Final, NamedTuple

_SOCK_DIAG_BY_FAMILY: Final = 20
_REQUEST_DUMP: Final = 0x301
_DONE: Final = 3
_ESTABLISHED: Final = 1 << 1
_INFO: Final = 2
_NETLINK_SOCK_DIAG: Final = 4
_HEADER: Final = struct.Struct("=IHHII")
_REQUEST: Final = struct.Struct("=BBBBI")
_MESSAGE_SIZE: Final = 72
_BYTES: Final = struct.Struct("=QQ")
_BYTES_AT: Final = 120  # tcpi_bytes_acked, tcpi_bytes_received


class Flow(NamedTuple):
    """One connection, seen from the server's side."""

    sent: int
    received: int


def flows(port: int) -> list[Flow]:
    """Return the established IPv4 connections at a local port."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
        identity = struct.pack("=2s46x", port.to_bytes(2, "big"))
        body = _REQUEST.pack(socket.AF_INET, socket.IPPROTO_TCP, 1 << (_INFO - 1), 0, _ESTABLISHED)
        body += identity
        size = _HEADER.size + len(body)
        kernel.send(_HEADER.pack(size, _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0) + body)
        found: list[Flow] = []
        while _read(kernel.recv(1 << 16), found):
            pass
    return found


def _read(data: bytes, found: list[Flow]) -> bool:
    """Add the flows of one datagram; False after the last one."""
    at = 0
    while at < len(data):
        size, kind, *_ = _HEADER.unpack_from(data, at)
        if kind != _SOCK_DIAG_BY_FAMILY:
            return bool(kind != _DONE)
        flow = _flow(data[at + _HEADER.size + _MESSAGE_SIZE : at + size])
        if flow is not None:
            found.append(flow)
        at += -(-size // 4) * 4
    return True


def _flow(attributes: bytes) -> Flow | None:
    at = 0
    while at < len(attributes):
        size, kind = struct.unpack_from("=HH", attributes, at)
        if kind == _INFO:
            return Flow(*_BYTES.unpack_from(attributes, at + 4 + _BYTES_AT))
        at += -(-size // 4) * 4
    return None
