"""ReadingTypes as an operator of the head-end names them: by the names that all commands have (`ami_cim.reading_type_names`), by the code
itself, or by the OBIS code of any value that the mapping knows."""

from ami_cim.reading_type_names import UnknownType, named_type, names, spelled_obis
from ami_dlms.errors import LocalError
from ami_dlms.obis import Obis
from ami_hes.operations.asked_types import is_attribute
from ami_mapping.lookup import readings
from ami_mapping.reading_types import ReadingType, RefusedReadingType


def code_of(text: str) -> str:
    """A ReadingType as it is, by its name, or that of the one value that an OBIS code has as it is now. UnknownType says what there is."""
    code = named_type(text)
    if code is None and (":" in text or spelled_obis(text)):
        return _code_of_obis(text)
    if code is not None:
        try:
            return str(ReadingType.parse(code))
        except RefusedReadingType as refused:
            raise UnknownType(refused.reason) from None
    raise UnknownType(
        f"{text[:80]!r} is no ReadingType (18 numbers), no OBIS code (1-0:1.8.0) and nothing that has a name here; there are {names()}"
    )


def _code_of_obis(text: str) -> str:
    try:
        matches = readings().rows_of(Obis.parse(spelled_obis(text) or text))
    except LocalError as problem:
        raise UnknownType(str(problem)) from None
    codes = list(dict.fromkeys(str(one.reading_type()) for one in matches if is_attribute(one.row)))
    if len(codes) != 1:
        what = f"has {len(codes)} values as they are now" if codes else "has no value as it is now"
        raise UnknownType(f"{text[:40]} {what}: name its ReadingType, which `ami map {text[:40]}` says")
    return codes[0]
