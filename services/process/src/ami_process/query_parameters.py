"""Names and bounds of what an URL of an API asks for behind its question mark."""

from collections.abc import Collection, Sequence
from http import HTTPStatus

from starlette.requests import Request

from ami_process.api import ApiRefused

MAX_CHARACTERS = 300
MOST_DIGITS = 18


def check_known(request: Request, names: Collection[str], several: Collection[str] = ()) -> None:
    """A parameter that is none of these is refused, as is one that is too long: it would be left out silently.

    So is one that comes twice, where it is none of `several`: only one of its values would count.
    """
    seen = set()
    for name, value in request.query_params.multi_items():
        if name not in names:
            there_are = f"there are {', '.join(names)}" if names else "there are none here"
            raise wrong(f"{name[:40]}: there is no such parameter; {there_are}")
        if len(value) > MAX_CHARACTERS:
            raise wrong(f"{name}: has more than {MAX_CHARACTERS} characters")
        if name in seen and name not in several:
            raise wrong(f"{name}: is given more than once")
        seen.add(name)


def whole_number(request: Request, name: str, default: int, least: int, most: int) -> int:
    """A number between these; `default` where nothing is said. Raises ApiRefused."""
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS and least <= int(text) <= most):
        raise wrong(f"{name}: a whole number from {least} to {most} was expected")
    return int(text)


def values_of(request: Request, name: str, most: int) -> Sequence[str]:
    """Of a parameter that may be given several times; more than these are refused."""
    found = request.query_params.getlist(name)
    if len(found) > most:
        raise wrong(f"{name}: at most {most} are taken")
    return found


def wrong(reason: str) -> ApiRefused:
    """What is wrong with a parameter."""
    return ApiRefused(HTTPStatus.UNPROCESSABLE_ENTITY, reason)
