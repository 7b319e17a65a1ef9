"""What libxml2 says of an invalid element, in words for a person: short names, and namespaces only where they are the mistake."""

import re

_CLARK = re.compile(r"\{(?P<namespace>[^{}'\s]*)\}")
_FOUND = re.compile(r"Element '(?:\{(?P<namespace>[^{}'\s]*)\})?(?P<name>[^']*)'")
_OTHERS = re.compile(r"##other\{[^{}'\s]*\}\*")
_LONG_VALUE = re.compile(r"'([^']{60})[^']{20,}'")
_LONGEST = 500


def shorten(message: str) -> str:
    """The message with its long values cut, so that what it says behind them can still be read."""
    return _LONG_VALUE.sub(r"'\1...'", message)


def explain(message: str) -> str:
    """The message of a schema error without namespaces, and with a word on them where what came has another than expected."""
    short = _CLARK.sub("", _OTHERS.sub("any element of another namespace", message))[:_LONGEST]
    found = _FOUND.match(message)
    expected = {one["namespace"] for one in _CLARK.finditer(_OTHERS.sub("", message.partition("Expected is")[2]))}
    if found is None or not expected or (namespace := found["namespace"] or "") in expected:
        return short
    wanted = min(expected)
    what = f"the namespace '{namespace[:_LONGEST]}'" if namespace else "no namespace"
    said = f"{short} {found['name']} has {what} here, and '{wanted}' was expected"
    mistake = hint(namespace, wanted)
    return f"{said}: {mistake}" if mistake else said


def hint(namespace: str, expected: str) -> str | None:
    """Which of the known mistakes makes this namespace out of the expected one; otherwise which set is spoken."""
    if namespace.startswith("http://www.iec.ch/"):
        return "the standard's namespaces have no www."
    if "/TC57/2021/" in namespace or "/TC57/2022/" in namespace:
        return "edition 2 of IEC 61968-100 is not spoken here, only the 2011 set of edition 1"
    if f"{namespace}#" == expected:
        return "the payload's namespace ends with #"
    if namespace == f"{expected}#":
        return "this namespace has no # at its end"
    return f"the 2011 set is spoken here, e.g. {expected}" if namespace else None
