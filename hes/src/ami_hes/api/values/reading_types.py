"""A ReadingType that somebody names, with whatever name it has here."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field


def _code_of(text: str) -> str:
    from ami_hes.api.reading_types import code_of  # the names and the mapping, when one is named

    return code_of(text)


Type = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(_code_of)]
