"""What APDUs are declared with: a codec for each construct of the ASN.1, in A-XDR (IEC 62056-5-3 and IEC 61334-6).

A codec reads and writes the values of one type, and is at the same time the description of that type: a SEQUENCE has its
fields, a CHOICE its alternatives, so a declaration can be walked over as well as used. `sequence` makes both directions of
an APDU from the annotations of its dataclass, which read like the ASN.1: they cannot drift apart.

What a codec needs for every message is looked up once, when it is made: attributes that begin with an underscore.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, is_dataclass
from dataclasses import fields as dataclass_fields
from enum import IntEnum
from operator import attrgetter
from struct import Struct
from typing import Annotated, Any, Generic, TypeVar, dataclass_transform, get_args, get_origin, get_type_hints

from ami_dlms import data
from ami_dlms.cursor import Reader, encode_length
from ami_dlms.data import Data
from ami_dlms.errors import DecodeError, LocalError
from ami_dlms.obis import Obis

T = TypeVar("T")
D = TypeVar("D")
E = TypeVar("E", bound=IntEnum)
_set = object.__setattr__
_pack_octet = Struct(">B").pack


class Codec(Generic[T]):
    """Reads and writes one type; `smallest` is the fewest octets that a value takes. A codec without parts is a leaf."""

    __slots__ = ()
    smallest = 1

    @abstractmethod
    def read(self, reader: Reader, /) -> T:
        """The next value; DecodeError when the octets are none."""

    @abstractmethod
    def write(self, out: bytearray, value: T, /) -> None:
        """Append the octets of a value; LocalError, StructError or OverflowError when it does not fit."""


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(field,))
def codec(declared: type[D]) -> type[D]:
    """A codec's class: frozen and slotted, and equal to itself alone, so that it may hold what has no hash."""
    return dataclass(frozen=True, slots=True, eq=False)(declared)


def derived() -> Any:
    """A field that the codec's `__post_init__` sets."""
    return field(init=False, repr=False)


@codec
class Packed(Codec[int]):
    """A number of fixed size, by its layout as in the library's `struct`."""

    layout: str
    smallest: int = derived()
    _pack: Callable[[int], bytes] = derived()
    _unpack_from: Callable[[bytes, int], tuple[int]] = derived()

    def __post_init__(self) -> None:
        struct = Struct(self.layout)
        _set(self, "smallest", struct.size)
        _set(self, "_pack", struct.pack)
        _set(self, "_unpack_from", struct.unpack_from)

    def read(self, reader: Reader) -> int:
        return self._unpack_from(reader.octets, reader.need(self.smallest))[0]

    def write(self, out: bytearray, value: int) -> None:
        out += self._pack(value)


class Octet(Codec[int]):
    """Unsigned8."""

    __slots__ = ()

    read = staticmethod(Reader.u8)

    def write(self, out: bytearray, value: int) -> None:
        out += _pack_octet(value)


class Boolean(Codec[bool]):
    """BOOLEAN: any octet but 0 is true."""

    __slots__ = ()

    def read(self, reader: Reader) -> bool:
        return reader.u8() != 0

    def write(self, out: bytearray, value: bool) -> None:
        out.append(1 if value else 0)


class LogicalName(Codec[Obis]):
    """Cosem-Object-Instance-Id: six octets."""

    __slots__ = ()
    smallest = 6

    def read(self, reader: Reader) -> Obis:
        return Obis(reader.take(6))

    def write(self, out: bytearray, value: Obis) -> None:
        out += value


class OctetString(Codec[bytes]):
    """OCTET STRING: a length and as many octets."""

    __slots__ = ()

    read = staticmethod(Reader.counted)

    def write(self, out: bytearray, value: bytes) -> None:
        out += encode_length(len(value))
        out += value


class Rest(Codec[bytes]):
    """All octets that are left."""

    __slots__ = ()
    smallest = 0

    def read(self, reader: Reader) -> bytes:
        return reader.rest()

    def write(self, out: bytearray, value: bytes) -> None:
        out += value


class DataChoice(Codec[Data]):
    """The CHOICE Data, which has a decoder of its own."""

    __slots__ = ()

    read = staticmethod(data.read)
    write = staticmethod(data.write)


@codec
class Enumerated(Codec[E]):
    """ENUMERATED in one octet; a number outside the list is a DecodeError."""

    kind: type[E]
    _members: Mapping[int, E] = derived()

    def __post_init__(self) -> None:
        _set(self, "_members", {int(member): member for member in self.kind})

    def read(self, reader: Reader) -> E:
        number = reader.u8()
        member = self._members.get(number)
        if member is None:
            raise DecodeError(f"a {self.kind.__name__}", str(number), reader.offset - 1)
        return member

    def write(self, out: bytearray, value: E) -> None:
        out.append(self._members[value])


@codec
class Optional(Codec[Any]):
    """OPTIONAL or DEFAULT: one octet says whether the value follows; the default is written as absent.

    `tolerated` is one more octet for a value that follows, as peers in the field write it; it is read and never written.
    """

    part: Codec[Any]
    default: Any = None
    tolerated: int | None = None
    _read: Callable[[Reader], Any] = derived()
    _write: Callable[[bytearray, Any], None] = derived()

    def __post_init__(self) -> None:
        _set(self, "_read", self.part.read)
        _set(self, "_write", self.part.write)

    def read(self, reader: Reader) -> Any:
        flag = reader.u8()
        if flag == 0:
            return self.default
        if flag != 1 and flag != self.tolerated:
            raise DecodeError("0 or 1 for absent or present", str(flag), reader.offset - 1)
        return self._read(reader)

    def write(self, out: bytearray, value: Any) -> None:
        if value is self.default:
            out.append(0)
        else:
            out.append(1)
            self._write(out, value)


@codec
class Choice(Codec[Any]):
    """CHOICE: one octet selects; the Python type of the value selects when writing."""

    alternatives: Mapping[int, tuple[type, Codec[Any]]]
    smallest: int = field(default=2, init=False, repr=False)
    _by_number: Mapping[int, Callable[[Reader], Any]] = derived()
    _by_type: Mapping[type, tuple[int, Callable[[bytearray, Any], None]]] = derived()

    def __post_init__(self) -> None:
        _set(self, "_by_number", {number: part.read for number, (_, part) in self.alternatives.items()})
        _set(self, "_by_type", {kind: (number, part.write) for number, (kind, part) in self.alternatives.items()})

    def read(self, reader: Reader) -> Any:
        number = reader.u8()
        chosen = self._by_number.get(number)
        if chosen is None:
            raise DecodeError(f"a choice of {sorted(self._by_number)}", str(number), reader.offset - 1)
        return chosen(reader)

    def write(self, out: bytearray, value: Any) -> None:
        chosen = self._by_type.get(type(value))
        if chosen is None:
            raise LocalError(f"no alternative for a {type(value).__name__}")
        number, write = chosen
        out.append(number)
        write(out, value)


@codec
class SequenceOf(Codec[tuple[T, ...]]):
    """SEQUENCE OF: a count that the remaining octets must be able to hold, then the elements; a tuple."""

    part: Codec[T]
    _read: Callable[[Reader], T] = derived()
    _write: Callable[[bytearray, T], None] = derived()
    _smallest_part: int = derived()

    def __post_init__(self) -> None:
        _set(self, "_read", self.part.read)
        _set(self, "_write", self.part.write)
        _set(self, "_smallest_part", self.part.smallest)

    def read(self, reader: Reader) -> tuple[T, ...]:
        read = self._read
        return tuple([read(reader) for _ in range(reader.count(self._smallest_part))])

    def write(self, out: bytearray, value: tuple[T, ...]) -> None:
        out += encode_length(len(value))
        write = self._write
        for item in value:
            write(out, item)


@codec
class Sequence(Codec[T]):
    """SEQUENCE: its fields in order, and what is made of their values and has them as attributes."""

    kind: Callable[..., T]
    fields: tuple[tuple[str, Codec[Any]], ...]
    smallest: int = derived()
    _by_keyword: bool = derived()
    _names: tuple[str, ...] = derived()
    _readers: tuple[Callable[[Reader], Any], ...] = derived()
    _writers: tuple[tuple[Callable[[T], Any], Callable[[bytearray, Any], None]], ...] = derived()

    def __post_init__(self) -> None:
        parts = [part for _, part in self.fields]
        _set(self, "smallest", sum(part.smallest for part in parts))
        _set(self, "_by_keyword", is_dataclass(self.kind) and all(one.kw_only for one in dataclass_fields(self.kind)))
        _set(self, "_names", tuple([name for name, _ in self.fields]))
        _set(self, "_readers", tuple([part.read for part in parts]))
        _set(self, "_writers", tuple([(attrgetter(name), part.write) for name, part in self.fields]))

    def make(self, values: Iterable[Any]) -> T:
        """What these values of its fields are together."""
        if self._by_keyword:
            return self.kind(**dict(zip(self._names, values, strict=True)))
        return self.kind(*values)

    def read(self, reader: Reader) -> T:
        values: list[Any] = []
        try:
            for read in self._readers:
                values.append(read(reader))
        except DecodeError as error:
            raise error.within(self._names[len(values)]) from None
        return self.make(values) if self._by_keyword else self.kind(*values)

    def write(self, out: bytearray, value: T) -> None:
        for get, write in self._writers:
            write(out, get(value))


def sequence(kind: type[T]) -> Sequence[T]:
    """The codec of a dataclass, from its annotations and in their order."""
    return Sequence(kind, tuple(fields_of(kind)))


def fields_of(kind: type) -> list[tuple[str, Any]]:
    """Names and codecs of a dataclass in order; a codec is metadata of the annotation."""
    found = []
    for name, hint in get_type_hints(kind, include_extras=True).items():
        metadata = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
        found += [(name, item) for item in metadata if isinstance(item, Codec)]
    return found


UNSIGNED8 = Octet()
UNSIGNED16 = Packed(">H")
UNSIGNED32 = Packed(">I")
INTEGER8 = Packed(">b")
BOOLEAN = Boolean()
LOGICAL_NAME = LogicalName()
OCTETS = OctetString()
REST = Rest()
DATA = DataChoice()
