"""The field codecs that ACSE APDUs are declared with: contents of BER context tags, both ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any

from ami_dlms import ber
from ami_dlms.apdu import shapes
from ami_dlms.apdu.fields import Codec, fields_of
from ami_dlms.cursor import Reader
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

_APPLICATION_CONTEXT = bytes.fromhex("608574050801")
_MECHANISM = bytes.fromhex("608574050802")
_AUTHENTICATION_UNIT = (True,)
_CHARSTRING = 0x80
_BITSTRING = 0x81


@frozen
class Contents:
    """How the contents of one element are decoded and encoded, and the value that stands for an absent element.

    The reader is a window on the contents.
    """

    decode: Callable[[Reader], Any]
    encode: Callable[[Any], bytes]
    absent: Any = None


@frozen
class Field:
    """A field: its whole tag octet and its contents."""

    tag: int
    contents: Contents


def Primitive(number: int, contents: Contents) -> Field:
    """An IMPLICIT context tag over a primitive type."""
    return Field(ber.PRIMITIVE_CONTEXT | number, contents)


def Constructed(number: int, contents: Contents) -> Field:
    """An EXPLICIT context tag, or one over a constructed type."""
    return Field(ber.CONSTRUCTED_CONTEXT | number, contents)


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


def _whole(decode: Callable[[bytes], Any]) -> Callable[[Reader], Any]:
    """A decoder of all the octets of a window; its errors are told in offsets of the whole APDU."""

    def read(reader: Reader) -> Any:
        start = reader.offset
        try:
            return decode(reader.rest())
        except DecodeError as error:
            raise error.shifted(start) from None

    return read


def _decode_name(prefix: bytes, kind: Any) -> Callable[[Reader], Any]:
    known = {prefix + bytes((int(member),)): member for member in kind if member is not kind.UNKNOWN}

    def decode(reader: Reader) -> Any:
        return known.get(reader.rest(), kind.UNKNOWN)

    return decode


def _encode_name(prefix: bytes, kind: Any) -> Callable[[Any], bytes]:
    def encode(value: Any) -> bytes:
        if value is kind.UNKNOWN:
            raise LocalError(f"an unknown {kind.__name__} cannot be sent")
        return prefix + bytes((int(value),))

    return encode


def _explicit(tag: int, inner: Contents) -> Contents:
    """The contents are one whole element of the tag given."""
    return Contents(
        lambda reader: inner.decode(ber.only(tag, reader)), lambda value: ber.encode(tag, inner.encode(value))
    )


def _decode_member(kind: Any) -> Callable[[Reader], Any]:
    def decode(contents: bytes) -> Any:
        number = ber.decode_integer(contents)
        try:
            return kind(number)
        except ValueError:
            raise DecodeError(f"a {kind.__name__}", str(number)) from None

    return _whole(decode)


def _decode_authentication(reader: Reader) -> bytes:
    start = reader.offset
    tag, window = ber.read(reader)
    reader.finish()
    contents = window.rest()
    if tag == _CHARSTRING:
        return contents
    if tag == _BITSTRING and contents:
        return contents[1:]
    raise DecodeError("an authentication value as charstring or bitstring", f"tag 0x{tag:02X}", start)


def _decode_requirements(contents: bytes) -> bool:
    return ber.decode_bits(contents)[:1] == _AUTHENTICATION_UNIT


def _encode_requirements(value: bool) -> bytes:
    return ber.encode_bits((value,))


def _decode_diagnostic(reader: Reader) -> Diagnostic:
    start = reader.offset
    tag, contents = ber.read(reader)
    reader.finish()
    if tag not in (0xA1, 0xA2):
        raise DecodeError("diagnostic of service user A1 or provider A2", f"0x{tag:02X}", start)
    return Diagnostic(DiagnosticSource(tag & 0x1F), INTEGER.decode(ber.only(ber.INTEGER, contents)))


def _encode_diagnostic(value: Diagnostic) -> bytes:
    return ber.encode(0xA0 | value.source, ber.encode(ber.INTEGER, ber.encode_integer(value.code)))


def _encode_octets(value: bytes) -> bytes:
    """As they are; the sum refuses a number, of which bytes() would make as many zeros."""
    return b"" + value


INTEGER = Contents(_whole(ber.decode_integer), ber.encode_integer)
OCTETS = Contents(Reader.rest, _encode_octets)
BITS = Contents(_whole(ber.decode_bits), ber.encode_bits)
EXPLICIT_OCTETS = _explicit(ber.OCTET_STRING, OCTETS)
EXPLICIT_INTEGER = _explicit(ber.INTEGER, INTEGER)
MECHANISM_NAME = Contents(_decode_name(_MECHANISM, Mechanism), _encode_name(_MECHANISM, Mechanism))
APPLICATION_CONTEXT_NAME = _explicit(
    ber.OBJECT_IDENTIFIER,
    Contents(
        _decode_name(_APPLICATION_CONTEXT, ApplicationContext), _encode_name(_APPLICATION_CONTEXT, ApplicationContext)
    ),
)
ASSOCIATION_RESULT = _explicit(ber.INTEGER, Contents(_decode_member(AssociationResult), ber.encode_integer))
RELEASE_REASON = Contents(_decode_member(ReleaseReason), ber.encode_integer)
AUTHENTICATION_VALUE = Contents(_decode_authentication, lambda value: ber.encode(_CHARSTRING, value))
REQUIREMENTS = Contents(_whole(_decode_requirements), _encode_requirements, absent=False)
RESULT_SOURCE_DIAGNOSTIC = Contents(_decode_diagnostic, _encode_diagnostic)


def _write_field(out: bytearray, field: Field, value: Any) -> None:
    """The value that stands for an absent element writes nothing."""
    if value is not None and value != field.contents.absent:
        out += ber.encode(field.tag, field.contents.encode(value))


def _element(field: Field) -> Codec:
    """A whole element, from its tag on."""

    def read(reader: Reader) -> Any:
        return field.contents.decode(ber.read(reader)[1])

    def write(out: bytearray, value: Any) -> None:
        _write_field(out, field, value)

    return Codec(read, write)


def _read_unused(reader: Reader) -> None:
    ber.read(reader)


def _write_unused(out: bytearray, value: None) -> None:
    """What has no field is not written."""


UNUSED = Codec(_read_unused, _write_unused)


def ber_sequence(kind: type) -> Codec:
    """The codec of an ACSE APDU without its own tag: a length, then its fields in the order of their tags."""
    declared: list[tuple[str, Field]] = sorted(fields_of(kind, Field), key=lambda item: item[1].tag & 0x1F)
    absent = {name: field.contents.absent for name, field in declared}
    return ber_elements(kind, {field.tag: (name, _element(field)) for name, field in declared}, absent, UNUSED)


def ber_elements(
    kind: type, elements: Mapping[int, tuple[str, Codec]], absent: Mapping[str, Any], unused: Codec
) -> Codec:
    """The same from the codecs of its elements, by tag; `unused` reads an element that has no field."""
    required = [field.name for field in fields(kind) if field.default is MISSING]

    def read(reader: Reader) -> Any:
        values: dict[str, Any] = {}
        window = reader.window(reader.length())
        while window.remaining:
            tag = window.octets[window.offset]
            name, codec = elements.get(tag, ("", unused))
            if name in values:
                raise DecodeError("each field once", f"tag 0x{tag:02X} again", window.offset, name)
            try:
                value = codec.read(window)
            except DecodeError as error:
                raise (error.within(name) if name else error) from None
            if name:
                values[name] = value
        for name in required:
            if name not in values:
                raise DecodeError("a required field", "nothing", reader.offset, name)
        return kind(**{**absent, **values})

    def write(out: bytearray, value: Any) -> None:
        body = bytearray()
        for name, codec in elements.values():
            codec.write(body, getattr(value, name))
        out += ber.encode(0, bytes(body))[1:]

    return Codec(read, write, shape=shapes.Elements(kind, elements, absent))
