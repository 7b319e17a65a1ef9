"""What a composite codec is made of, so that a declaration can be walked over as well as used.

A codec without a shape is a leaf. `ami_dlms.tree` builds the same codec again from watched parts, and values from documents;
nothing on the way of ordinary messages looks at a shape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ami_dlms.frozen import frozen

if TYPE_CHECKING:
    from ami_dlms.apdu.fields import Codec


@frozen
class Sequence:
    """SEQUENCE: its fields in order, and what is made of their values."""

    make: Callable[..., Any]
    fields: tuple[tuple[str, Codec], ...]
    by_keyword: bool = False


@frozen
class Optional:
    """OPTIONAL or DEFAULT; `tolerated` is one more octet that says that the value follows."""

    part: Codec
    default: Any
    tolerated: int | None = None


@frozen
class Choice:
    """CHOICE: each number's Python type and codec."""

    alternatives: Mapping[int, tuple[type, Codec]]


@frozen
class SequenceOf:
    """SEQUENCE OF."""

    part: Codec


@frozen
class Elements:
    """Context-tagged elements of BER: the codec of each whole element by its tag octet."""

    kind: type
    fields: Mapping[int, tuple[str, Codec]]
    absent: Mapping[str, Any]


Shape = Sequence | Optional | Choice | SequenceOf | Elements
