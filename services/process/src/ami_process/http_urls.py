"""URLs in settings: a process that can't use one says so when it starts, and not at the first message that would go there."""

from typing import Annotated

from pydantic import AfterValidator


def _base_url(value: str) -> str:
    """httpx takes ports below zero and any octet in a host, and decodes a host name as late as when it is looked at."""
    if not value.startswith(("http://", "https://")):
        raise ValueError("has to begin with http:// or https://")
    import httpx  # not by a process that is given no URL

    try:
        url = httpx.URL(value)
        host = url.host
    except (httpx.InvalidURL, ValueError):
        raise ValueError("is no URL with a host") from None
    if not host or "%" in host or "*" in host:
        raise ValueError("has a host that is neither a name nor an IP address")
    if url.port is not None and not 1 <= url.port <= 65535:
        raise ValueError("has a port that is none of 1 to 65535")
    return value.rstrip("/")


def _without_user(value: str) -> str:
    """What is posted bears no credentials, so an address that wants some would take none of it."""
    import httpx

    if httpx.URL(value).userinfo:
        raise ValueError("holds a user name or password")
    return value


HttpUrl = Annotated[str, AfterValidator(_base_url)]
ReceiverUrl = Annotated[HttpUrl, AfterValidator(_without_user)]
