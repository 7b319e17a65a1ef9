"""Messages of HTTP/1.1 around documents, for synthetic packets of the CIM leg: what a dissector of HTTP needs to find the XML."""

from __future__ import annotations

XML = "text/xml; charset=utf-8"
REASONS = {200: "OK", 202: "Accepted", 400: "Bad Request", 500: "Internal Server Error"}


def request(host: str, path: str, body: bytes, content_type: str = XML) -> bytes:
    """A POST; ValueError when the host or the path would break the line."""
    return _message(f"POST {_line(path)} HTTP/1.1", [f"Host: {_line(host)}"], content_type, body)


def response(status: int, body: bytes, content_type: str = XML) -> bytes:
    """The answer to one."""
    return _message(f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}", [], content_type, body)


def _message(start: str, headers: list[str], content_type: str, body: bytes) -> bytes:
    carried = [f"Content-Type: {_line(content_type)}"] if body else []
    return "\r\n".join([start, *headers, *carried, f"Content-Length: {len(body)}", "", ""]).encode() + body


def _line(words: str) -> str:
    if not words.isprintable() or not words:
        raise ValueError("a header of HTTP is one line of printable characters")
    return words
