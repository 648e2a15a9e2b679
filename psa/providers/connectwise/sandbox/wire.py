"""HTTP/1.1 as far as API clients use it: read one request, write one answer.

http.server's own parser costs more than the rest of a call (it builds an e-mail message from the
headers), so requests are read by hand. An answer leaves in a single write: two small writes and
Nagle's algorithm would stall keep-alive clients by 40 ms.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import BinaryIO

MAX_LINE = 65536
MAX_HEADERS = 200
MAX_BODY = 256 * 1024 * 1024

REASONS = {status.value: status.phrase for status in HTTPStatus}


class MalformedRequestError(Exception):
    """What arrived is no HTTP request; the connection is closed."""


@dataclass(slots=True)
class Request:
    """One request; header names are lower case, path is still percent-encoded."""

    method: str
    target: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes = b""
    keep_alive: bool = True


@dataclass(slots=True)
class Response:
    """One answer; drop means the socket is closed and nothing is sent."""

    status: int
    body: bytes = b""
    content_type: str = "application/json; charset=utf-8"
    headers: list[tuple[str, str]] = field(default_factory=list)
    drop: bool = False

    def encode(self, keep_alive: bool) -> bytes:
        lines = [f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Unknown')}"]
        if self.status != 204:
            lines.append(f"Content-Type: {self.content_type}")
            lines.append(f"Content-Length: {len(self.body)}")
        lines.extend(f"{name}: {value}" for name, value in self.headers)
        if not keep_alive:
            lines.append("Connection: close")
        head = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"
        return head if self.status == 204 else head + self.body


def read_head(stream: BinaryIO) -> Request | None:
    """Read request line and headers; None when the client closed the connection."""
    line = stream.readline(MAX_LINE + 1)
    while line in (b"\r\n", b"\n"):
        line = stream.readline(MAX_LINE + 1)
    if not line:
        return None
    parts = line.decode("latin-1").split()
    if len(parts) != 3 or len(line) > MAX_LINE:
        raise MalformedRequestError
    method, target, version = parts
    headers: dict[str, str] = {}
    while True:
        line = stream.readline(MAX_LINE + 1)
        if line in (b"\r\n", b"\n"):
            break
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or len(headers) >= MAX_HEADERS or len(line) > MAX_LINE:
            raise MalformedRequestError
        headers[name.strip().lower()] = value.strip()
    path, _, query = target.partition("?")
    asked = headers.get("connection", "").lower()
    keep_alive = asked == "keep-alive" if version == "HTTP/1.0" else asked != "close"
    return Request(method, target, path, query, headers, keep_alive=keep_alive)


def read_body(stream: BinaryIO, request: Request) -> bytes:
    """Read the body that the headers announce, by length or in chunks."""
    if request.headers.get("transfer-encoding", "").lower() == "chunked":
        chunks: list[bytes] = []
        while True:
            try:
                size = int(stream.readline(MAX_LINE).split(b";")[0], 16)
            except ValueError as exc:
                raise MalformedRequestError from exc
            if size == 0:
                while stream.readline(MAX_LINE) not in (b"\r\n", b"\n", b""):
                    pass
                return b"".join(chunks)
            chunks.append(stream.read(size))
            stream.readline(MAX_LINE)
    try:
        length = int(request.headers.get("content-length", "0"))
    except ValueError as exc:
        raise MalformedRequestError from exc
    if not 0 <= length <= MAX_BODY:
        raise MalformedRequestError
    body = stream.read(length) if length else b""
    if len(body) != length:
        raise MalformedRequestError
    return body
