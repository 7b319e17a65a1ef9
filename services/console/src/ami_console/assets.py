"""Static files: read once, compressed once, and served at addresses that hold a digest of all of them, so that they never change.

Each package brings a folder of its own, a room: `/static/{digest}/{room}/{file}`. A change of any file changes the address of all of
them, so files refer to each other by relative addresses and a browser never mixes two versions.
"""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

FOREVER = "public, max-age=31536000, immutable"
COMPRESSED = frozenset({"text/css", "text/javascript", "image/svg+xml"})
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2"}
DIGITS = 16


@dataclass(frozen=True, slots=True)
class _File:
    octets: bytes
    compressed: bytes | None
    media_type: str


class Assets:
    """The files of some rooms."""

    def __init__(self, rooms: Mapping[str, Traversable]) -> None:
        self._files = {f"{room}/{name}": octets for room, top in sorted(rooms.items()) for name, octets in _walk(top)}
        self.digest = _digest(self._files)
        self._served = {path: _prepared(path, octets) for path, octets in self._files.items()}

    def url(self, path: str) -> str:
        """Of ROOM/FILE; KeyError where there is none."""
        if path not in self._files:
            raise KeyError(f"there is no static file {path}")
        return f"/static/{self.digest}/{path}"

    def octets(self, path: str) -> bytes:
        """Of ROOM/FILE, for a page that is to hold it."""
        return self._files[path]

    def route(self) -> Route:
        """Serves them."""
        return Route("/static/{digest}/{path:path}", self._serve, methods=["GET"])

    async def _serve(self, request: Request) -> Response:
        found = self._served.get(request.path_params["path"])
        if found is None or request.path_params["digest"] != self.digest:
            return PlainTextResponse("there is no such file\n", HTTPStatus.NOT_FOUND)
        headers = {"Cache-Control": FOREVER, "X-Content-Type-Options": "nosniff"}
        if found.compressed is None:
            return Response(found.octets, headers=headers, media_type=found.media_type)
        headers["Vary"] = "Accept-Encoding"
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(found.octets, headers=headers, media_type=found.media_type)
        return Response(found.compressed, headers=headers | {"Content-Encoding": "gzip"}, media_type=found.media_type)


def _walk(top: Traversable, prefix: str = "") -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for one in sorted(top.iterdir(), key=lambda one: one.name):
        if one.is_dir():
            found += _walk(one, f"{prefix}{one.name}/")
        elif any(one.name.endswith(suffix) for suffix in TYPES):
            found.append((prefix + one.name, one.read_bytes()))
    return found


def _digest(files: Mapping[str, bytes]) -> str:
    whole = sha256()
    for path, octets in files.items():
        whole.update(path.encode() + b"\0" + sha256(octets).digest())
    return whole.hexdigest()[:DIGITS]


def _prepared(path: str, octets: bytes) -> _File:
    media_type = TYPES["." + path.rpartition(".")[2]]
    return _File(octets, gzip.compress(octets, mtime=0) if media_type in COMPRESSED else None, media_type)
