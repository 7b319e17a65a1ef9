"""The options that say which meter, how to reach it and as whom, and the target that they add up to.

With --registry everything comes from a [[meters]] entry, and any option that is given as well wins over it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from ami.meter.counters import default_file
from ami.meter.errors import ExitCode, MeterError
from ami.meter.options import (
    AUTHENTICATIONS,
    CURRENT_ASSOCIATION,
    DLMS_PORT,
    INVOCATION_COUNTER,
    PUBLIC_CLIENT,
    Identity,
    MessageKey,
    Protection,
    Reach,
    Target,
    Transport,
    Wrapping,
)
from ami.meter.registry import Entry, read_entry
from ami.meter.secrets_given import octets, public_key
from dlms.errors import LocalError
from dlms.obis import Obis

TITLE_OCTETS = 8
_WAY, _WHO, _KEYS, _ODD = "How to reach the meter", "As whom", "Keys", "Meters that do it otherwise"
T = TypeVar("T", Reach, Identity)
_KEY = "Hex, text:ABC, env:NAME or file:PATH."
_PUBLIC = "x and y as hex, env:NAME, file:PATH, or cert:PATH."


def _option(*names: str, panel: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel=panel, help=help, show_default=False, **more)


@dataclass(frozen=True, kw_only=True)
class TargetOptions:
    """What was given on the command line; None and empty: not given."""

    host: Annotated[str, _option("--host", panel=_WAY, help="Name or address of the meter.")] = ""
    port: Annotated[
        int | None, _option("--port", panel=_WAY, help=f"{DLMS_PORT} when not given.", min=1, max=65535)
    ] = None
    transport: Annotated[
        Transport | None,
        _option("--transport", panel=_WAY, help="tcp and udp: the wrapper; hdlc: HDLC frames over TCP; serial: HDLC."),
    ] = None
    device: Annotated[
        str,
        _option(
            "--device", panel=_WAY, help="Serial line: /dev/ttyUSB0, or a URL of pyserial. Means --transport serial."
        ),
    ] = ""
    baud: Annotated[
        int | None, _option("--baud", panel=_WAY, help="Speed of the serial line. 9600 when not given.")
    ] = None
    mode_e: Annotated[
        bool, _option("--mode-e", panel=_WAY, help="Sign on by IEC 62056-21 mode E first (optical heads).")
    ] = False
    physical: Annotated[
        int | None,
        _option("--physical", panel=_WAY, help="HDLC: the meter's physical (lower) address.", min=0, max=16383),
    ] = None
    timeout: Annotated[
        float | None, _option("--timeout", panel=_WAY, help="Seconds for one answer; 10 when not given.", min=0.01)
    ] = None
    registry: Annotated[
        Path | None,
        _option("--registry", panel=_WAY, help="Take everything from a meters entry of this configuration file."),
    ] = None
    meter: Annotated[str | None, _option("--meter", panel=_WAY, help="Name of the entry.")] = None
    client: Annotated[
        int | None,
        _option("--client", panel=_WHO, help="Client address (SAP); 16, the public client, when not given.", min=1),
    ] = None
    server: Annotated[
        int | None, _option("--server", panel=_WHO, help="Logical device (SAP); 1 when not given.", min=0)
    ] = None
    authentication: Annotated[
        str | None,
        _option("--authentication", panel=_WHO, help=f"One of {', '.join(AUTHENTICATIONS)}; none when not given."),
    ] = None
    secret: Annotated[str, _option("--secret", panel=_WHO, help=f"Password of LLS, secret of HLS. {_KEY}")] = ""
    short_names: Annotated[
        bool, _option("--short-names", panel=_WHO, help="The meter names its objects by short names (SN).")
    ] = False
    any_invoke_id: Annotated[
        bool,
        _option(
            "--any-invoke-id",
            panel=_ODD,
            help="Take the answer under whatever invoke id it comes; a late one may then be taken for it.",
        ),
    ] = False
    any_address: Annotated[
        bool,
        _option("--any-address", panel=_ODD, help="Take answers from whatever wrapper ports or HDLC address."),
    ] = False
    association_object: Annotated[
        str,
        _option(
            "--association-object",
            panel=_ODD,
            help=f"Where the meter lists the association's objects; {CURRENT_ASSOCIATION} when not given.",
        ),
    ] = ""
    max_pdu: Annotated[
        int | None,
        _option("--max-pdu", panel=_WHO, help="Largest APDU we take; 65535 when not given.", min=12, max=65535),
    ] = None
    ek: Annotated[str, _option("--ek", panel=_KEYS, help=f"Encryption key. {_KEY}")] = ""
    ak: Annotated[str, _option("--ak", panel=_KEYS, help=f"Authentication key. {_KEY}")] = ""
    signing_key: Annotated[
        str, _option("--signing-key", panel=_KEYS, help=f"Our private key for hls-ecdsa. {_KEY}")
    ] = ""
    meter_signing_key: Annotated[
        str, _option("--meter-signing-key", panel=_KEYS, help=f"The meter's public key for hls-ecdsa. {_PUBLIC}")
    ] = ""
    kek: Annotated[
        str, _option("--kek", panel=_KEYS, help=f"Key-encryption (master) key, for wrapped keys. {_KEY}")
    ] = ""
    agreement_key: Annotated[
        str, _option("--agreement-key", panel=_KEYS, help=f"Our private key for agreed keys. {_KEY}")
    ] = ""
    meter_agreement_key: Annotated[
        str, _option("--meter-agreement-key", panel=_KEYS, help=f"The meter's public key for agreed keys. {_PUBLIC}")
    ] = ""
    title: Annotated[
        str,
        _option(
            "--title",
            panel=_KEYS,
            help="Our system title, 8 octets; when not given one of our own, kept with the counters.",
        ),
    ] = ""
    meter_title: Annotated[
        str, _option("--meter-title", panel=_KEYS, help="The meter's, if it has to be this one.")
    ] = ""
    suite: Annotated[
        int | None, _option("--suite", panel=_KEYS, help="Security suite; 0 when not given.", min=0, max=2)
    ] = None
    ciphering: Annotated[
        Wrapping | None,
        _option(
            "--ciphering", panel=_KEYS, help="How APDUs are wrapped when there is a key; general-glo when not given."
        ),
    ] = None
    message_key: Annotated[
        MessageKey | None,
        _option(
            "--message-key",
            panel=_KEYS,
            help="Key of general-ciphering, which this implies: the global one, or one for each message.",
        ),
    ] = None
    protection: Annotated[
        Protection | None, _option("--protection", panel=_KEYS, help="What ciphering does; both when not given.")
    ] = None
    invocation_counter: Annotated[
        int | None,
        _option("--invocation-counter", panel=_KEYS, help="Begin here instead of asking the public client.", min=0),
    ] = None
    counter_object: Annotated[
        str,
        _option(
            "--counter-object",
            panel=_KEYS,
            help=f"Where the public client finds it; {INVOCATION_COUNTER} when not given.",
        ),
    ] = ""
    counters: Annotated[
        Path | None,
        _option(
            "--counters",
            panel=_KEYS,
            help="File that remembers which counters we have used; ~/.local/state/ami/invocation-counters.json when not given.",
            envvar="AMI_METER_COUNTERS",
        ),
    ] = None
    verbose: Annotated[
        bool, _option("--verbose", "-v", panel=_WAY, help="Every APDU on standard error: in words, in clear, as sent.")
    ] = False


def target_of(options: TargetOptions, environ: Mapping[str, str]) -> Target:
    """The options as one target; MeterError for those that do not go together."""
    entry = None
    if options.registry is not None:
        entry = read_entry(options.registry, options.meter, environ=environ)
    elif options.meter is not None:
        raise MeterError(ExitCode.USAGE, "names an entry of a registry", where="--meter", hint="give --registry too")
    return Target(
        reach=_reach(options, entry),
        identity=_identity(options, entry, environ),
        counters=options.counters or default_file(environ),
        name="" if entry is None else entry.name,
        device_name="" if entry is None else entry.device_name,
        device_id="" if entry is None else entry.device_id,
        verbose=options.verbose,
    )


def _reach(options: TargetOptions, entry: Entry | None) -> Reach:
    given: dict[str, Any] = {
        "transport": options.transport or (Transport.SERIAL if options.device else None),
        "host": options.host or None,
        "port": options.port,
        "device": options.device or None,
        "baud": options.baud,
        "mode_e": options.mode_e or None,
        "physical": options.physical,
        "timeout_s": options.timeout,
    }
    reach = _changed(Reach() if entry is None else entry.reach, given)
    if reach.transport is Transport.SERIAL and not reach.device:
        raise MeterError(ExitCode.USAGE, "is missing", where="--device", hint="as in --device /dev/ttyUSB0")
    if reach.transport is not Transport.SERIAL and not reach.host:
        hint = "as in --host 192.0.2.17, or --registry FILE --meter NAME"
        raise MeterError(ExitCode.USAGE, "is missing", where="--host", hint=hint)
    return reach


def _identity(options: TargetOptions, entry: Entry | None, environ: Mapping[str, str]) -> Identity:
    def key(option: str, text: str, length: int | None = None, *, password: bool = False) -> bytes | None:
        found = octets(option, text, environ=environ, password=password) if text else None
        if found is not None and length is not None and len(found) != length:
            raise MeterError(ExitCode.USAGE, f"has {len(found)} octets, and not {length}", where=option)
        return found

    def public(option: str, text: str) -> bytes | None:
        return public_key(option, text, environ=environ).octets if text else None

    given: dict[str, Any] = {
        "client": options.client,
        "server": options.server,
        "authentication": options.authentication,
        "secret": key("--secret", options.secret, password=True),
        "encryption_key": key("--ek", options.ek),
        "authentication_key": key("--ak", options.ak),
        "signing_key": key("--signing-key", options.signing_key),
        "meter_signing_key": public("--meter-signing-key", options.meter_signing_key),
        "master_key": key("--kek", options.kek),
        "agreement_key": key("--agreement-key", options.agreement_key),
        "meter_agreement_key": public("--meter-agreement-key", options.meter_agreement_key),
        "message_key": options.message_key,
        "suite": options.suite,
        "wrapping": options.ciphering or (None if options.message_key is None else Wrapping.GENERAL_CIPHERING),
        "protection": options.protection,
        "title": key("--title", options.title, TITLE_OCTETS),
        "meter_title": key("--meter-title", options.meter_title, TITLE_OCTETS),
        "counter_object": _obis(options.counter_object, "--counter-object"),
        "invocation_counter": options.invocation_counter,
        "max_pdu_size": options.max_pdu,
        "short_names": options.short_names or None,
        "any_invoke_id": options.any_invoke_id or None,
        "any_address": options.any_address or None,
        "association_object": _obis(options.association_object, "--association-object"),
    }
    return _changed(Identity(client=PUBLIC_CLIENT) if entry is None else entry.identity, given)


def _obis(text: str, option: str) -> Obis | None:
    try:
        return Obis.parse(text) if text else None
    except LocalError as error:
        raise MeterError(ExitCode.USAGE, str(error), where=option) from None


def _changed(base: T, given: Mapping[str, Any]) -> T:
    known = {one.name for one in fields(base)}
    return replace(base, **{name: value for name, value in given.items() if value is not None and name in known})
