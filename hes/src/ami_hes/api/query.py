"""Parameters of a query, bounded; what is wrong with one is refused in a sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from http import HTTPStatus
from typing import TypeVar

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from ami_hes.store import StoreUnavailable
from ami_process.api import JSON, ApiRefused
from ami_process.query_parameters import wrong


def number(request: Request, name: str, default: int, most: int) -> int:
    """A whole number from 1."""
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= most):
        raise wrong(f"{name}: a whole number from 1 to {most} was expected")
    return int(text)


def number_from_0(request: Request, name: str, most: int) -> int:
    """A whole number from 0, which it is where nothing is said."""
    text = request.query_params.get(name, "0")
    if not (text.isascii() and text.isdecimal() and len(text) <= 12 and int(text) <= most):
        raise wrong(f"{name}: a whole number from 0 to {most} was expected")
    return int(text)


def group(request: Request, name: str) -> tuple[str, str] | None:
    """A tag and its value, as feeder=F12."""
    text = request.query_params.get(name)
    if text is None:
        return None
    tag, separator, value = text.partition("=")
    if not separator or not tag or not value:
        raise wrong(f"{name}: TAG=VALUE was expected, as feeder=F12")
    return tag, value


W = TypeVar("W", bound=StrEnum)


def word(request: Request, name: str, among: type[W]) -> W | None:
    """One of these words."""
    text = request.query_params.get(name)
    if text is not None and text not in set(among):
        raise wrong(f"{name}: one of {', '.join(among)} was expected")
    return None if text is None else among(text)


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
