"""Parameters of a query, bounded; what is wrong with one is refused in a sentence."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from http import HTTPStatus

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from ami_hes.store import StoreUnavailable
from ami_process.api import JSON, ApiRefused

MAX_CHARACTERS = 300


def known(request: Request, names: Collection[str]) -> None:
    """A parameter that is none is refused: it would be left out silently."""
    for name, value in request.query_params.multi_items():
        if name not in names:
            raise _wrong(f"{name[:40]}: there is no such parameter; there are {', '.join(names)}")
        if len(value) > MAX_CHARACTERS:
            raise _wrong(f"{name}: has more than {MAX_CHARACTERS} characters")


def number(request: Request, name: str, default: int, most: int) -> int:
    """A whole number from 1."""
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= most):
        raise _wrong(f"{name}: a whole number from 1 to {most} was expected")
    return int(text)


def group(request: Request, name: str) -> tuple[str, str] | None:
    """A tag and its value, as feeder=F12."""
    text = request.query_params.get(name)
    if text is None:
        return None
    tag, separator, value = text.partition("=")
    if not separator or not tag or not value:
        raise _wrong(f"{name}: TAG=VALUE was expected, as feeder=F12")
    return tag, value


@contextmanager
def looking() -> Iterator[None]:
    """A store that is away is no fault of this process."""
    try:
        yield
    except StoreUnavailable as problem:
        raise ApiRefused(HTTPStatus.SERVICE_UNAVAILABLE, str(problem)) from None


def given(value: BaseModel) -> Response:
    """An answer."""
    return Response(value.model_dump_json(), media_type=JSON)


def _wrong(reason: str) -> ApiRefused:
    return ApiRefused(HTTPStatus.UNPROCESSABLE_ENTITY, reason)
