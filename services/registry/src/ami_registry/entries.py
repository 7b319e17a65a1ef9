"""The fields of a [[meters]] table, each with its parser and its meaning, and the one way to read such a table.

What is wrong is reported with the number and the name of the entry, the field and what to do, and never with a secret.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ami_dlms.association.vocabulary import CIPHERINGS, MECHANISMS, parse_ciphering, parse_mechanism
from ami_dlms.errors import LocalError
from ami_dlms.framing.hdlc_address import MAX_WIDE
from ami_registry import values
from ami_registry.meter import BEHIND, OF_ALL, Meter, Parity, Transport
from ami_registry.references import Resolve
from ami_registry.shipments import PLACE
from ami_registry.values import MAX_CHARACTERS, Parser

IGNORED = frozenset({"simulated", *PLACE})
"""How a simulated meter behaves is for the simulator alone, and where it is for the CIS."""
NEEDED = ("name", "address", "logical_device_name", "device_id")
WPORTS = (1, 0xFFFF)
MAX_CHANNEL = 63
MAX_BAUD = 1_000_000
REMOVED = {
    "disconnect_version": "is no field any more: take it out; a disconnect control of version 0 and one of version 1 are worked alike"
}
"""Fields of earlier versions, and what to do with an entry that has one."""
Entry = int | str
"""Where an entry comes from: its number among [[meters]], from 1, or words for another place."""


class EntryError(ValueError):
    """An entry can't be used; the text says which, where and why."""

    def __init__(self, entry: Entry, name: object, field: str, problem: str) -> None:
        called = f" ({name[:MAX_CHARACTERS]})" if isinstance(name, str) and name and name.isprintable() else ""
        where = f"[[meters]] entry {entry}" if isinstance(entry, int) else entry
        super().__init__(f"{where}{called}, {field}: {problem}")
        self.field = field
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Field:
    """`value` are the words for what may stand there."""

    name: str
    parse: Parser
    value: str
    meaning: str


def _words(known: Collection[str]) -> str:
    return " or ".join(f"`{word}`" for word in known)


def parse_transport(word: str) -> Transport:
    """The transport of a word; LocalError names the known words."""
    if word not in set(Transport):
        raise LocalError(f"one of {', '.join(Transport)} was expected")
    return Transport(word)


def parse_parity(word: str) -> Parity:
    """The parity of a word; LocalError names the known words."""
    if word not in set(Parity):
        raise LocalError(f"one of {', '.join(Parity)} was expected")
    return Parity(word)


FIELDS = (
    Field("name", values.text, "text", "by which CIM knows it; also the name of its state files"),
    Field("mrid", values.text, "text", "by which CIM knows it; the HES needs one"),
    Field("usage_points", values.texts, "list of texts", "names by which CIM knows it as well"),
    Field(
        "behind",
        values.text,
        "text",
        "of a sub-meter: the name of the meter on whose M-Bus it is; it has no address, association or device id of its own, only the HES reads this",
    ),
    Field("channel", values.whole_number(1, MAX_CHANNEL), f"whole number, from 1 to {MAX_CHANNEL}", "of that M-Bus"),
    Field(
        "identification",
        values.identification,
        "text",
        "eight digits, by which the HES knows that it is this sub-meter that is on the channel (class 72, attribute 6, BCD)",
    ),
    Field("manufacturer", values.manufacturer, "text", "three letters, likewise (attribute 7)"),
    Field(
        "address",
        values.address,
        "text",
        "`host:port` where the HES calls it, `/dev/...` of its serial line, or `dials-in`",
    ),
    Field(
        "transport",
        values.of_word(parse_transport),
        _words(list(Transport)),
        "the wrapper over TCP or UDP, or HDLC over TCP or a serial line; a meter that dials in speaks the wrapper over TCP",
    ),
    Field("baud", values.whole_number(1, MAX_BAUD), f"whole number, from 1 to {MAX_BAUD}", "of its serial line"),
    Field("parity", values.of_word(parse_parity), _words(list(Parity)), "of its serial line, eight bits a character"),
    Field(
        "mode_e",
        values.true_or_false,
        "true or false",
        "whether it wants the sign-on of IEC 62056-21 mode E before HDLC, as optical heads do; `baud` is then the highest",
    ),
    Field(
        "physical_address",
        values.whole_number(0, MAX_WIDE),
        "whole number, from 0 to 16383",
        "lower address of HDLC, of the device on a line that several share",
    ),
    Field(
        "address_size",
        values.whole_number(1, 4),
        "whole number, from 1 to 4",
        "octets of the meter's address of HDLC, 1, 2 or 4; unset: as few as it takes",
    ),
    Field(
        "client_wport",
        values.whole_number(*WPORTS),
        "whole number, from 1 to 65535",
        "of the management client; of a simulated meter up to 127",
    ),
    Field(
        "server_wport",
        values.whole_number(*WPORTS),
        "whole number, from 1 to 65535",
        "of its logical device; several meters may share an address",
    ),
    Field("public_client", values.true_or_false, "true or false", "whether it answers the public client (16)"),
    Field("authentication", values.of_word(parse_mechanism), _words(MECHANISMS), "of the management client"),
    Field("suite", values.whole_number(0, 2), "whole number, from 0 to 2", "security suite"),
    Field(
        "ciphering",
        values.of_word(parse_ciphering),
        _words(CIPHERINGS),
        "of the APDUs: whole (`general-glo`, `general-ciphering`), by service, or not at all",
    ),
    Field(
        "encryption_key",
        values.secret,
        "hex",
        "16 octets, 32 in suite 2: hex, `env:NAME` or `file:PATH`; a relative path starts at the working directory",
    ),
    Field("authentication_key", values.secret, "hex", "the same"),
    Field("master_key", values.secret, "hex", "the same; wraps the keys that are sent to the meter"),
    Field("secret", values.password, "hex", "the password of LLS, or the secret of an HLS; the same, or `text:...`"),
    Field("signing_key", values.private_key, "hex", "the head-end's private key, for `hls-ecdsa`; the same"),
    Field("meter_signing_key", values.public_key, "hex", "the meter's public key, x and y, for `hls-ecdsa`; the same"),
    Field(
        "default_keys",
        values.true_or_false,
        "true or false",
        "whether its keys and its secret are those that its maker gives to many: commissioning changes them; only the HES reads this",
    ),
    Field("system_title", values.system_title, "hex", "of 8 octets; a simulated meter needs it for ciphering"),
    Field("logical_device_name", values.device_name, "text", "what the meter calls itself; up to 16 letters of ASCII"),
    Field(
        "device_id",
        values.text,
        "text",
        "what the HES reads from it before it switches, so that no other device is switched",
    ),
    Field("device_id_object", values.obis, "text", "OBIS of the object with the device id; only the HES reads this"),
    Field("disconnect_object", values.obis, "text", "OBIS of its disconnect control; only the HES reads this"),
    Field(
        "invocation_counter",
        values.obis,
        "text",
        "OBIS of the object with the invocation counter; only the HES reads this",
    ),
    Field(
        "pack",
        values.pack_name,
        "text",
        "the pack ([packs](packs.md)) by which its events and alarms are numbered and its objects are compared; only the HES reads this",
    ),
    Field(
        "tags",
        values.tags,
        "table of texts",
        'groups that it belongs to, as `{ feeder = "F12", transformer = "T7" }`; only the HES reads this',
    ),
)
_PARSERS = {field.name: field.parse for field in FIELDS}


def parse_meter(entry: Entry, table: object, resolve: Resolve, needed: Collection[str] = NEEDED) -> Meter:
    """The meter of this entry; EntryError says what a person has to change.

    Whether its fields fit together is another question: `Meter.problem`.
    """
    if not isinstance(table, Mapping):
        raise EntryError(entry, None, "entry", f"is a {type(table).__name__}; a table was expected")
    found: dict[str, Any] = {
        field: parse_field(entry, table, field, resolve) for field in table if field not in IGNORED
    }
    if not found.keys().isdisjoint(BEHIND):
        for field in (field for field in found if field not in (*BEHIND, *OF_ALL)):
            problem = f"is that of the meter that it is behind; a sub-meter has {', '.join((*OF_ALL, *BEHIND))}"
            raise EntryError(entry, table.get("name"), field, problem)
        needed = (*BEHIND, *(field for field in needed if field in OF_ALL))
    for field in needed:
        if field not in found:
            raise EntryError(entry, table.get("name"), field, "is missing")
    return Meter(**found)


def parse_field(entry: Entry, table: Mapping[str, object], field: str, resolve: Resolve) -> Any:
    """One field of an entry that has it; EntryError as above."""
    if field in REMOVED:
        raise EntryError(entry, table.get("name"), field, REMOVED[field])
    if field not in _PARSERS:
        raise EntryError(entry, table.get("name"), field, "this field does not exist; known are " + ", ".join(_PARSERS))
    try:
        return _PARSERS[field](table[field], resolve)
    except ValueError as error:
        raise EntryError(entry, table.get("name"), field, str(error)) from None
