"""Values of readings: decimals that stay exact, as text on the wire.

One public set of schemas has xs:float for a value and a later one xs:string; a plain decimal (no exponent, no NaN) is both."""

import re
from decimal import Decimal

from ami_cim.errors import InvalidMessage, LocalError
from ami_cim.white_space import SPACE

LONGEST = 80
"""Characters of a value; beyond any register of a meter, and far below what costs time to compute with."""

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,2})?", re.ASCII)


def decimal_of(text: str) -> Decimal:
    """The value exactly as written; InvalidMessage 1.8 for what is no finite number.

    An exponent is accepted, which xs:float allows."""
    stripped = text.strip(SPACE)
    if len(stripped) > LONGEST or _NUMBER.fullmatch(stripped) is None:
        raise InvalidMessage("1.8", "Not a decimal value", stripped[:40])
    return Decimal(stripped)


def decimal_text(value: Decimal) -> str:
    """The value as a plain decimal: trailing zeros stay, which say how exact it is; LocalError for NaN and the infinities."""
    if not value.is_finite():
        raise LocalError("A value of a reading is a finite number", str(value))
    return f"{value:f}"
