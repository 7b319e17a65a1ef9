"""Parameters of a query, bounded; what is wrong with one is refused in a sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from http import HTTPStatus
from typing import TypeVar

from starlette.requests import Request

from ami_hes.store import StoreUnavailable
from ami_process.api import ApiRefused
from ami_process.query_parameters import whole_number, wrong

LONGEST_NAME = 300


def number(request: Request, name: str, default: int, most: int) -> int:
    """A whole number from 1; `default` where nothing is said."""
    return whole_number(request, name, default, 1, most)


def number_from_0(request: Request, name: str, most: int) -> int:
    """A whole number from 0, which it is where nothing is said."""
    return whole_number(request, name, 0, 0, most)


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


def truth(request: Request, name: str) -> bool:
    """true or false; absent it is false. Raises ApiRefused."""
    given = request.query_params.get(name, "false")
    if given not in ("true", "false"):
        raise wrong(f"{name}: true or false was expected")
    return given == "true"


def text(request: Request, name: str) -> str | None:
    """Some letters, None where it is absent. Raises ApiRefused."""
    given = request.query_params.get(name)
    if given is not None and not 0 < len(given) <= LONGEST_NAME:
        raise wrong(f"{name}: 1 to {LONGEST_NAME} letters were expected")
    return given
