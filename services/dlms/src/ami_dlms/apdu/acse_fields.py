"""The field codecs that ACSE APDUs are declared with: elements of BER with context tags, and the codecs of their contents.

The codec of an element's contents reads a window on them, to its end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from enum import IntEnum
from operator import attrgetter
from typing import Any, TypeVar

from ami_dlms import ber
from ami_dlms.apdu.codec import REST, Codec, codec, derived, fields_of
from ami_dlms.cursor import Reader, encode_length
from ami_dlms.enums import (
    AcseServiceProviderDiagnostic,
    AcseServiceUserDiagnostic,
    ApplicationContext,
    AssociationResult,
    DiagnosticSource,
    Mechanism,
    ReleaseReason,
)
from ami_dlms.errors import DecodeError, LocalError
from ami_dlms.frozen import frozen

T = TypeVar("T")
E = TypeVar("E", bound=IntEnum)
N = TypeVar("N", ApplicationContext, Mechanism)
_APPLICATION_CONTEXT = bytes.fromhex("608574050801")
_MECHANISM = bytes.fromhex("608574050802")
_AUTHENTICATION_UNIT = (True,)
_CHARSTRING = 0x80
_BITSTRING = 0x81


@frozen
class Diagnostic:
    """result-source-diagnostic: who says it, and the code of that source's list."""

    source: DiagnosticSource
    code: int

    @classmethod
    def user(cls, code: AcseServiceUserDiagnostic) -> Diagnostic:
        """Said by the ACSE service user: the usual case."""
        return cls(DiagnosticSource.ACSE_SERVICE_USER, code)

    @property
    def reason(self) -> str:
        """For a person."""
        user = self.source is DiagnosticSource.ACSE_SERVICE_USER
        names = {
            int(item): item.name for item in (AcseServiceUserDiagnostic if user else AcseServiceProviderDiagnostic)
        }
        return names.get(self.code, f"diagnostic {self.code}").lower().replace("_", "-")


@codec
class Whole(Codec[T]):
    """All the octets of a window at once; errors are given in offsets of the whole APDU."""

    decode: Callable[[bytes], T]
    encode: Callable[[T], bytes]

    def read(self, reader: Reader) -> T:
        start = reader.offset
        try:
            return self.decode(reader.rest())
        except DecodeError as error:
            raise error.shifted(start) from None

    def write(self, out: bytearray, value: T) -> None:
        out += self.encode(value)


@codec
class Explicit(Codec[T]):
    """One whole element of the tag given."""

    tag: int
    part: Codec[T]

    def read(self, reader: Reader) -> T:
        return self.part.read(ber.only(self.tag, reader))

    def write(self, out: bytearray, value: T) -> None:
        contents = bytearray()
        self.part.write(contents, value)
        out += ber.encode(self.tag, contents)


@codec
class ObjectIdentifier(Codec[N]):
    """A name of the DLMS UA: a prefix and a number; any other name is UNKNOWN, which is read and never written."""

    prefix: bytes
    kind: type[N]
    _known: Mapping[bytes, N] = derived()

    def __post_init__(self) -> None:
        known = {self._name(member): member for member in self.kind if member is not self.kind.UNKNOWN}
        object.__setattr__(self, "_known", known)

    def _name(self, member: N) -> bytes:
        return self.prefix + bytes((int(member),))

    def read(self, reader: Reader) -> N:
        return self._known.get(reader.rest(), self.kind.UNKNOWN)

    def write(self, out: bytearray, value: N) -> None:
        if value is self.kind.UNKNOWN:
            raise LocalError(f"an unknown {self.kind.__name__} cannot be sent")
        out += self._name(value)


@codec
class EnumeratedInteger(Codec[E]):
    """An INTEGER that is one of a list."""

    kind: type[E]

    def read(self, reader: Reader) -> E:
        start = reader.offset
        number = INTEGER.read(reader)
        try:
            return self.kind(number)
        except ValueError:
            raise DecodeError(f"a {self.kind.__name__}", str(number), start) from None

    def write(self, out: bytearray, value: E) -> None:
        INTEGER.write(out, value)


class AuthenticationValue(Codec[bytes]):
    """The alternatives charstring and bitstring; charstring is written."""

    __slots__ = ()

    def read(self, reader: Reader) -> bytes:
        start = reader.offset
        tag, window = ber.read(reader)
        reader.finish()
        contents = window.rest()
        if tag == _CHARSTRING:
            return contents
        if tag == _BITSTRING and contents:
            return contents[1:]
        raise DecodeError("an authentication value as charstring or bitstring", f"tag 0x{tag:02X}", start)

    def write(self, out: bytearray, value: bytes) -> None:
        out += ber.encode(_CHARSTRING, value)


class SourceDiagnostic(Codec[Diagnostic]):
    """Associate-source-diagnostic: the tag is the source."""

    __slots__ = ()

    def read(self, reader: Reader) -> Diagnostic:
        start = reader.offset
        tag, contents = ber.read(reader)
        reader.finish()
        if tag not in (0xA1, 0xA2):
            raise DecodeError("diagnostic of service user A1 or provider A2", f"0x{tag:02X}", start)
        return Diagnostic(DiagnosticSource(tag & 0x1F), INTEGER.read(ber.only(ber.INTEGER, contents)))

    def write(self, out: bytearray, value: Diagnostic) -> None:
        out += ber.encode(0xA0 | value.source, ber.encode(ber.INTEGER, ber.encode_integer(value.code)))


def _decode_requirements(contents: bytes) -> bool:
    return ber.decode_bits(contents)[:1] == _AUTHENTICATION_UNIT


def _encode_requirements(value: bool) -> bytes:
    return ber.encode_bits((value,))


INTEGER = Whole(ber.decode_integer, ber.encode_integer)
BITS = Whole(ber.decode_bits, ber.encode_bits)
REQUIREMENTS = Whole(_decode_requirements, _encode_requirements)
OCTETS = REST
EXPLICIT_OCTETS = Explicit(ber.OCTET_STRING, OCTETS)
EXPLICIT_INTEGER = Explicit(ber.INTEGER, INTEGER)
MECHANISM_NAME = ObjectIdentifier(_MECHANISM, Mechanism)
APPLICATION_CONTEXT_NAME = Explicit(ber.OBJECT_IDENTIFIER, ObjectIdentifier(_APPLICATION_CONTEXT, ApplicationContext))
ASSOCIATION_RESULT = Explicit(ber.INTEGER, EnumeratedInteger(AssociationResult))
RELEASE_REASON = EnumeratedInteger(ReleaseReason)
AUTHENTICATION_VALUE = AuthenticationValue()
RESULT_SOURCE_DIAGNOSTIC = SourceDiagnostic()
FEW_VALUES: frozenset[Codec[Any]] = frozenset(
    {
        MECHANISM_NAME,
        APPLICATION_CONTEXT_NAME,
        ASSOCIATION_RESULT,
        RELEASE_REASON,
        RESULT_SOURCE_DIAGNOSTIC,
        REQUIREMENTS,
    }
)
PLAIN_CONTENTS: Mapping[Codec[Any], int] = {EXPLICIT_OCTETS: ber.OCTET_STRING, AUTHENTICATION_VALUE: _CHARSTRING}
"""Contents that are the octets of the value behind a tag and a length."""
SHORT = 0x7F
"""Octets of contents whose length takes one octet."""
MOST_REMEMBERED = 64
"""Values of an element: a stranger may send any."""


@codec
class Element(Codec[Any]):
    """A whole element, from its tag octet on. `absent` is the value of a missing one, which writes nothing, as None does.

    Contents that are one of a few values in every dialogue are remembered both ways.
    """

    tag: int
    contents: Codec[Any]
    absent: Any = None
    _values: dict[bytes, Any] | None = derived()
    _octets: dict[Any, bytes] = derived()
    _plain: int | None = derived()

    def __post_init__(self) -> None:
        object.__setattr__(self, "_values", {} if self.contents in FEW_VALUES else None)
        object.__setattr__(self, "_octets", {})
        object.__setattr__(self, "_plain", PLAIN_CONTENTS.get(self.contents))

    def read(self, reader: Reader) -> Any:
        octets, start = reader.octets, reader.offset + 2
        end = start + octets[start - 1] if start <= reader.end else start
        if end > reader.end or end - start > SHORT:
            return self.contents.read(ber.read(reader)[1])
        if self._plain is not None and end - start >= 2 and octets[start] == self._plain:
            if octets[start + 1] == end - start - 2:
                reader.offset = end
                return octets[start + 2 : end]
        elif self._values is not None:
            return self._remembered(octets[start:end], self._values, reader)
        return self.contents.read(ber.read(reader)[1])

    def _remembered(self, contents: bytes, values: dict[bytes, Any], reader: Reader) -> Any:
        if contents in values:
            reader.offset += 2 + len(contents)
            return values[contents]
        value = self.contents.read(ber.read(reader)[1])
        if len(values) < MOST_REMEMBERED:
            values[contents] = value
        return value

    def write(self, out: bytearray, value: Any) -> None:
        if value is None or value == self.absent:
            return
        if self._plain is not None and len(value) <= SHORT - 2:
            size = len(value)
            out += bytes((self.tag, size + 2, self._plain, size))
            out += value
        elif self._values is None:
            out += self._encoded(value)
        else:
            known = self._octets.get(value)
            if known is None:
                known = self._encoded(value)
                if len(self._octets) < MOST_REMEMBERED and self._reads_back(known, value):
                    self._octets[value] = known
            out += known

    def _reads_back(self, octets: bytes, value: Any) -> bool:
        """Whether it is a value of the type: the number that equals one would later stand for it."""
        try:
            return type(self.read(Reader(octets))) is type(value)
        except DecodeError:
            return False

    def _encoded(self, value: Any) -> bytes:
        contents = bytearray()
        self.contents.write(contents, value)
        return ber.encode(self.tag, contents)


def primitive(number: int, contents: Codec[Any], absent: Any = None) -> Element:
    """An IMPLICIT context tag over a primitive type."""
    return Element(ber.PRIMITIVE_CONTEXT | number, contents, absent)


def constructed(number: int, contents: Codec[Any]) -> Element:
    """An EXPLICIT context tag, or one over a constructed type."""
    return Element(ber.CONSTRUCTED_CONTEXT | number, contents)


class Unused(Codec[None]):
    """An element that has no field: it is stepped over, and not written."""

    __slots__ = ()

    def read(self, reader: Reader) -> None:
        ber.read(reader)

    def write(self, out: bytearray, value: None) -> None:
        """Nothing."""


UNUSED = Unused()


@codec
class Elements(Codec[T]):
    """A length, then elements in any order, each once: the codecs of those that have a field, by tag, and of all others.

    `absent` are the values of fields whose elements are missing; elements are written in the order given.
    """

    kind: Callable[..., T]
    elements: Mapping[int, tuple[str, Codec[Any]]]
    absent: Mapping[str, Any]
    unused: Codec[None] = UNUSED
    _required: tuple[str, ...] = derived()
    _writers: tuple[tuple[Callable[[T], Any], Callable[[bytearray, Any], None]], ...] = derived()

    def __post_init__(self) -> None:
        kind: Any = self.kind
        object.__setattr__(self, "_required", tuple([one.name for one in fields(kind) if one.default is MISSING]))
        writers = [(attrgetter(name), part.write) for name, part in self.elements.values()]
        object.__setattr__(self, "_writers", tuple(writers))

    def read(self, reader: Reader) -> T:
        values: dict[str, Any] = {}
        window = reader.window(reader.length())
        while window.remaining:
            tag = window.octets[window.offset]
            name, part = self.elements.get(tag, ("", self.unused))
            if name in values:
                raise DecodeError("each field once", f"tag 0x{tag:02X} again", window.offset, name)
            try:
                value = part.read(window)
            except DecodeError as error:
                raise (error.within(name) if name else error) from None
            if name:
                values[name] = value
        for name in self._required:
            if name not in values:
                raise DecodeError("a required field", "nothing", reader.offset, name)
        return self.kind(**{**self.absent, **values})

    def write(self, out: bytearray, value: T) -> None:
        body = bytearray()
        for get, write in self._writers:
            if (held := get(value)) is not None:
                write(body, held)
        out += encode_length(len(body))
        out += body


def ber_sequence(kind: type[T]) -> Elements[T]:
    """The codec of an ACSE APDU without its own tag: its fields in the order of their tags."""
    declared: list[tuple[str, Element]] = sorted(fields_of(kind), key=lambda item: item[1].tag & 0x1F)
    absent = {name: element.absent for name, element in declared}
    return Elements(kind, {element.tag: (name, element) for name, element in declared}, absent)
