"""XML in and out: one hardened parser with bounds on size and depth, one serializer, the lexical forms of XSD values.

A document type declaration is refused before the parser sees it (so there are no entities, no external subset, no bombs);
the encoding is decided here and never by the parser, so that no exotic encoding can hide one. Comments and processing
instructions are dropped. XInclude and schemaLocation hints are never followed."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import cast

from lxml import etree

from cim.errors import InvalidMessage

Element = etree._Element

MAX_OCTETS = 5_000_000
MAX_DEPTH = 40
MAX_NODES = 500_000

_ENCODINGS = {"utf-8", "utf-16", "utf-16le", "utf-16be", "us-ascii", "ascii", "iso-8859-1", "windows-1252"}
_DECLARED = re.compile(rb"""\A\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_TOO_DEEP = etree.XPath("boolean(" + "/*" * (MAX_DEPTH + 1) + ")")
_NODES = etree.XPath("count(//*) + count(//@*)")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DATETIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,20}))?(?:(Z)|([+-])(\d\d):(\d\d))?",
    re.ASCII,
)
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def parse(octets: bytes, *, max_octets: int = MAX_OCTETS) -> Element:
    """The root element of a document; InvalidMessage for everything that is not harmless, well-formed and small enough."""
    if len(octets) > max_octets:
        raise InvalidMessage("3.1", "The message is too large", f"{len(octets)} octets, at most {max_octets}")
    text = _decode(octets)
    _refuse_doctype(text)
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(text.encode("utf-8"), parser)
    except etree.XMLSyntaxError as error:
        raise InvalidMessage("1.8", "The message is not well-formed XML", error.msg) from None
    except (ValueError, LookupError) as error:
        raise InvalidMessage("1.8", "The message is not XML", str(error)) from None
    for entry in parser.error_log.filter_from_errors():  # a warning that comes later hides them from lxml
        raise InvalidMessage("1.8", "The message is not well-formed XML", entry.message)
    _check_shape(root)
    return root


def _check_shape(root: Element) -> None:
    if root.getroottree().docinfo.internalDTD is not None:
        raise InvalidMessage("1.8", "A document type declaration is not accepted")
    if _TOO_DEEP(root) is True:
        raise InvalidMessage("1.8", "The message is nested too deeply", f"more than {MAX_DEPTH} levels")
    if cast(float, _NODES(root)) > MAX_NODES:
        raise InvalidMessage("3.1", "The message has too many elements", f"more than {MAX_NODES}")


def _decode(octets: bytes) -> str:
    encoding = _encoding(octets)
    try:
        text = octets.decode(encoding)
    except UnicodeDecodeError as error:
        raise InvalidMessage("1.8", f"The message is not {encoding} text", f"octet {error.start}") from None
    return text.removeprefix("\ufeff")


def _encoding(octets: bytes) -> str:
    if octets.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if octets.startswith(b"<\x00"):
        return "utf-16le"
    if octets.startswith(b"\x00<"):
        return "utf-16be"
    if octets.startswith(b"\xef\xbb\xbf"):
        return "utf-8"
    declared = _DECLARED.match(octets)
    name = declared[1].decode("ascii").lower() if declared else "utf-8"
    if name not in _ENCODINGS or name.startswith("utf-16"):
        raise InvalidMessage("1.8", "The message declares an encoding that is not accepted", name)
    return name


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


def parse_datetime(text: str) -> datetime:
    """xs:dateTime as aware UTC; without offset it counts as UTC; digits beyond microseconds are dropped."""
    found = _DATETIME.fullmatch(text.strip())
    if found is None:
        raise InvalidMessage("1.8", "Not a date and time", text[:40])
    year, month, day, hour, minute, second, fraction, _, sign, hours, minutes = found.groups()
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0)) * (-1 if sign == "-" else 1)
    microsecond = int((fraction or "0")[:6].ljust(6, "0"))
    midnight = (hour, minute, second, microsecond) == ("24", "00", "00", 0)
    try:
        local = datetime(
            int(year),
            int(month),
            int(day),
            0 if midnight else int(hour),
            int(minute),
            int(second),
            microsecond,
            tzinfo=timezone(offset),
        )
        return (local + timedelta(days=1 if midnight else 0)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidMessage("1.8", "Not a date and time", text[:40]) from None


def format_datetime(moment: datetime) -> str:
    """xs:dateTime in UTC with `Z`; raises ValueError for a naive datetime."""
    if moment.tzinfo is None:
        raise ValueError("a datetime without offset says no moment")
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def parse_boolean(text: str) -> bool:
    """xs:boolean."""
    try:
        return _BOOLEANS[text.strip()]
    except KeyError:
        raise InvalidMessage("1.8", "Not a boolean", text[:40]) from None


def format_boolean(value: bool) -> str:
    """xs:boolean."""
    return "true" if value else "false"
