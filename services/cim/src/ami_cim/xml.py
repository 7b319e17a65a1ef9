"""XML in and out: one hardened parser inside the bounds of `ami_cim.limits`, one serializer, the lexical forms of XSD values.

A document type declaration is refused before the parser sees it (so there are no entities, no external subset, no bombs);
the encoding is decided here and never by the parser, so that no exotic encoding can hide one. Comments and processing
instructions are dropped. XInclude and schemaLocation hints are never followed."""

import re
from datetime import UTC, datetime, timedelta, timezone

from lxml import etree

from ami_cim.errors import InvalidMessage, UnsupportedMedia
from ami_cim.limits import UNKNOWN_PEER, Limits, check, surely_within
from ami_cim.white_space import SPACE

Element = etree._Element

_ENCODINGS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "us-ascii": "ascii",
    "ascii": "ascii",
    "iso-8859-1": "latin-1",
    "latin1": "latin-1",
    "windows-1252": "cp1252",
}
"""What is accepted, and the codec. Not asked of `codecs`, which remembers every name that it was ever asked for."""
_DECLARED = re.compile(rb"""\A\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DATETIME = re.compile(
    r"(-?(?:[1-9]\d{4,17}|\d{4}))-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,20}))?(?:(Z)|([+-])(\d\d):(\d\d))?",
    re.ASCII,
)
_MARK = b"\xef\xbb\xbf"
"""Of UTF-8."""
_CYCLE = 400
"""The years after which the calendar repeats itself."""
_EARLIEST, _LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def parse(octets: bytes, limits: Limits = UNKNOWN_PEER, *, charset: str | None = None) -> Element:
    """The root element of a document; InvalidMessage for everything that is not harmless, well-formed and small enough.

    `charset` is what came with the document, e.g. in an HTTP header (RFC 7303, clause 3)."""
    octets = _in_utf8(octets, limits, charset)
    check(octets, limits)
    return _build(octets)


def parse_whole(octets: bytes, limits: Limits = UNKNOWN_PEER, *, charset: str | None = None) -> Element:
    """As `parse`, with the comments and processing instructions: for who has to say that there are none."""
    octets = _in_utf8(octets, limits, charset)
    check(octets, limits)
    return _build(octets, whole=True)


def parse_quickly(octets: bytes, limits: Limits = UNKNOWN_PEER, *, charset: str | None = None) -> Element | None:
    """As `parse`, where the number of nodes is surely inside the limits, and without a look at how deep they are.

    None for what is not well-formed: `parse` says why."""
    octets = _in_utf8(octets, limits, charset)
    if not surely_within(octets, limits):
        check(octets, limits)
    try:
        return _build(octets)
    except InvalidMessage:
        return None


def _in_utf8(octets: bytes, limits: Limits, charset: str | None) -> bytes:
    if len(octets) > limits.octets:
        raise InvalidMessage("3.1", "The message is too large", f"{len(octets)} octets, at most {limits.octets}")
    text, encoding = _decode(octets, charset)
    _refuse_doctype(text)
    return octets if encoding == "utf-8" and not octets.startswith(_MARK) else text.encode("utf-8")


def _build(octets: bytes, *, whole: bool = False) -> Element:
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=not whole,
        remove_pis=not whole,
    )
    try:
        root = etree.fromstring(octets, parser)
    except etree.XMLSyntaxError as error:
        raise InvalidMessage("1.8", "The message is not well-formed XML", error.msg) from None
    except (ValueError, LookupError) as error:
        raise InvalidMessage("1.8", "The message is not XML", str(error)) from None
    for entry in parser.error_log.filter_from_errors():  # a warning that comes later hides them from lxml
        raise InvalidMessage("1.8", "The message is not well-formed XML", entry.message)
    if root.getroottree().docinfo.internalDTD is not None:
        raise InvalidMessage("1.8", "A document type declaration is not accepted")
    return root


def _decode(octets: bytes, charset: str | None) -> tuple[str, str]:
    encoding = _encoding(octets, charset)
    try:
        text = octets.decode(encoding)
    except UnicodeDecodeError as error:
        raise InvalidMessage("1.8", f"The message is not {encoding} text", f"octet {error.start}") from None
    return text.removeprefix("\ufeff"), encoding


def _encoding(octets: bytes, charset: str | None) -> str:
    """The octets' own mark, what came with them, their declaration, UTF-8: the first that there is (RFC 7303, clause 3).

    Where the second and the third differ one of them is wrong, and unless all is ASCII, it is unknown which."""
    marked = _marked(octets)
    given = None if charset is None else _known(charset, UnsupportedMedia, "The HTTP header names a charset")
    found = None if marked else _DECLARED.match(octets)
    declared = None
    if found is not None:
        declared = _known(found[1].decode("ascii"), InvalidMessage, "The message declares an encoding")
        if declared.startswith("utf-16"):
            raise InvalidMessage("1.8", "The message is not in the encoding that it declares", declared)
    if given and declared and given != declared and not octets.isascii():
        raise UnsupportedMedia("1.8", f"The HTTP header says that the message is {given}, and it declares {declared}")
    return marked or given or declared or "utf-8"


def _known(name: str, refusal: type[InvalidMessage], what: str) -> str:
    encoding = _ENCODINGS.get(name.lower())
    if encoding is None:
        raise refusal("1.8", f"{what} that is not accepted", name[:40])
    return encoding


def _marked(octets: bytes) -> str | None:
    if octets.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if octets.startswith(b"<\x00"):
        return "utf-16-le"
    if octets.startswith(b"\x00<"):
        return "utf-16-be"
    return "utf-8" if octets.startswith(_MARK) else None


def _refuse_doctype(text: str) -> None:
    """Walk over the prolog (declaration, comments, processing instructions) and refuse `<!` where the root should be."""
    at = 0
    while True:
        while at < len(text) and text[at] in " \t\r\n":
            at += 1
        if text.startswith("<?", at):
            end = text.find("?>", at + 2)
            at = end + 2
        elif text.startswith("<!--", at):
            end = text.find("-->", at + 4)
            at = end + 3
        elif text.startswith("<!", at):
            raise InvalidMessage("1.8", "A document type declaration is not accepted")
        else:
            return
        if end < 0:
            raise InvalidMessage("1.8", "The message is not well-formed XML", "the prolog does not end")


def serialize(element: Element) -> bytes:
    """A document in UTF-8 with declaration."""
    return etree.tostring(element, encoding="UTF-8", xml_declaration=True)


def printable(text: str) -> str:
    """The text with characters that XML 1.0 cannot carry replaced by U+FFFD."""
    return _NOT_XML.sub("\ufffd", text)


def is_printable(text: str) -> bool:
    """Whether XML 1.0 can carry all of its characters."""
    return (text.isascii() and text.isprintable()) or _NOT_XML.search(text) is None


def parse_datetime(text: str) -> datetime:
    """xs:dateTime as aware UTC; without offset it counts as UTC; digits beyond microseconds are dropped.

    A moment beyond the years 1 to 9999, which XSD has and `datetime` has not, becomes the first or the last that there is."""
    found = _DATETIME.fullmatch(text.strip(SPACE))
    if found is None:
        raise InvalidMessage("1.8", "Not a date and time", text[:40])
    year, month, day, hour, minute, second, fraction, _, sign, hours, minutes = found.groups()
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0)) * (-1 if sign == "-" else 1)
    microsecond = int((fraction or "0")[:6].ljust(6, "0"))
    midnight = (hour, minute, second, microsecond) == ("24", "00", "00", 0)
    if not int(year):
        raise InvalidMessage("1.8", "Not a date and time: XML Schema 1.0 has no year 0", text[:40])
    try:
        in_cycle = datetime(
            _CYCLE + int(year) % _CYCLE,
            int(month),
            int(day),
            0 if midnight else int(hour),
            int(minute),
            int(second),
            microsecond,
            tzinfo=timezone(offset),
        )
    except ValueError:
        raise InvalidMessage("1.8", "Not a date and time", text[:40]) from None
    try:
        local = in_cycle.replace(year=int(year)) + timedelta(days=1 if midnight else 0)
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        return _EARLIEST if int(year) < _CYCLE else _LATEST


def format_datetime(moment: datetime) -> str:
    """xs:dateTime in UTC with `Z`; raises ValueError for a naive datetime, and for one that is beyond the years 1 to 9999 in UTC."""
    if moment.tzinfo is None:
        raise ValueError("a datetime without offset says no moment")
    try:
        return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    except OverflowError:
        raise ValueError("a datetime before the year 1 or after 9999 in UTC can't be said") from None


def parse_boolean(text: str) -> bool:
    """xs:boolean."""
    try:
        return _BOOLEANS[text.strip(SPACE)]
    except KeyError:
        raise InvalidMessage("1.8", "Not a boolean", text[:40]) from None


def format_boolean(value: bool) -> str:
    """xs:boolean."""
    return "true" if value else "false"
