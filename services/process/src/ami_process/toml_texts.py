"""TOML as a person writes it: what is wrong with it names the line, also where a text ends too early."""

import tomllib
from typing import Any

AT_END = "(at end of document)"


class NotToml(ValueError):
    """The text says what is wrong, and on which line as far as that is known."""


def parse_toml(text: str) -> dict[str, Any]:
    """The document. Raises NotToml."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise NotToml("lists or tables are nested too deeply") from None
    except ValueError as problem:  # a TOMLDecodeError, or a number of thousands of digits
        last = max(len(text.splitlines()), 1)
        raise NotToml(str(problem).replace(AT_END, f"(at the end, line {last})")) from None
