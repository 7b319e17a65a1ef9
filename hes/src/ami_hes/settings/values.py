"""Values that several sections write the same way."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator


def _octets(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise ValueError("expected hex digits") from None


Octets = Annotated[bytes, BeforeValidator(_octets)]


_HOST = re.compile(r"(https?://)?(\[[0-9a-f:.]+\]|[^\s/:@\[\]]+)(:\d{1,5})?", re.IGNORECASE)


def _host(value: str) -> str:
    if _HOST.fullmatch(value) is None:
        raise ValueError("expected a host, host:port or https://host:port, without a path; an IPv6 address in brackets")
    return value.lower()


ReplyHost = Annotated[str, AfterValidator(_host)]


def _group(value: str) -> str:
    tag, separator, wanted = value.partition("=")
    if not (tag and separator and wanted):
        raise ValueError("expected TAG=VALUE, as feeder=F12")
    return value


MeterGroup = Annotated[str, AfterValidator(_group)]
