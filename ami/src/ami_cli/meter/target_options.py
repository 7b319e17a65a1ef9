"""The options that every sub-command of `ami meter` has: which meter, how to reach it, as whom, with which keys.

What a field of the protocol core's settings has no option here for, a test lists with its reason
(tests/ami/meter/test_every_setting.py).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ami_cli.meter.options import (
    CURRENT_ASSOCIATION,
    DLMS_PORT,
    MessageKey,
    Priority,
    Protection,
    Wrapping,
)
from ami_dlms.association.vocabulary import MECHANISMS
from ami_dlms.framing.hdlc_parameters import INFORMATION_LENGTHS, WINDOWS
from ami_registry.meter import INVOCATION_COUNTER, Parity, Transport

_WAY, _WHO, _KEYS = "How to reach the meter", "Client and association", "Keys"
_ODD, _HDLC = "For unusual meters", "HDLC"
_INFORMATION = {"min": INFORMATION_LENGTHS.start, "max": INFORMATION_LENGTHS.stop - 1}
_WINDOW = {"min": WINDOWS.start, "max": WINDOWS.stop - 1}
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
        _option(
            "--transport",
            panel=_WAY,
            help="wrapper and udp: the wrapper over TCP and UDP; hdlc: HDLC over TCP; serial: HDLC.",
        ),
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
    parity: Annotated[
        Parity | None, _option("--parity", panel=_WAY, help="Of the serial line. None when not given.")
    ] = None
    mode_e: Annotated[
        bool, _option("--mode-e", panel=_WAY, help="Sign on by IEC 62056-21 mode E first (optical heads).")
    ] = False
    physical: Annotated[
        int | None,
        _option("--physical", panel=_HDLC, help="The meter's physical (lower) address.", min=0, max=16383),
    ] = None
    address_size: Annotated[
        int | None,
        _option(
            "--address-size",
            panel=_HDLC,
            help="Octets of the meter's address, 1, 2 or 4; when not given as few as it takes. 2 and 4 have --physical.",
        ),
    ] = None
    max_info_transmit: Annotated[
        int | None,
        _option(
            "--max-info-transmit", panel=_HDLC, help="Octets in a frame of ours; 128 when not given.", **_INFORMATION
        ),
    ] = None
    max_info_receive: Annotated[
        int | None,
        _option("--max-info-receive", panel=_HDLC, help="Octets in a frame of the meter's; 128.", **_INFORMATION),
    ] = None
    window_transmit: Annotated[
        int | None, _option("--window-transmit", panel=_HDLC, help="Frames that we send in one go; 1.", **_WINDOW)
    ] = None
    window_receive: Annotated[
        int | None,
        _option("--window-receive", panel=_HDLC, help="Frames that the meter sends in one go; 1.", **_WINDOW),
    ] = None
    retries: Annotated[
        int | None,
        _option("--retries", panel=_HDLC, help="How often a frame is repeated within --timeout; 3.", min=0, max=100),
    ] = None
    timeout: Annotated[
        float | None, _option("--timeout", panel=_WAY, help="Seconds for one answer; 10 when not given.", min=0.01)
    ] = None
    registry: Annotated[
        Path | None,
        _option(
            "--registry",
            panel=_WAY,
            help="Take everything from a meters entry of this configuration file, or of a shipment file (.json, .csv).",
        ),
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
        _option("--authentication", panel=_WHO, help=f"One of {', '.join(MECHANISMS)}; none when not given."),
    ] = None
    secret: Annotated[str, _option("--secret", panel=_WHO, help=f"Password of LLS, secret of HLS. {_KEY}")] = ""
    short_names: Annotated[
        bool, _option("--short-names", panel=_WHO, help="The meter names its objects by short names (SN).")
    ] = False
    conformance: Annotated[
        str,
        _option(
            "--conformance",
            panel=_ODD,
            help="What is offered: names with commas, as in get,set,selective-access; or changes: "
            "+general-block-transfer,-multiple-references.",
        ),
    ] = ""
    block_window: Annotated[
        int | None,
        _option("--block-window", panel=_ODD, help="Blocks of a general block transfer in one go; 8.", min=1, max=63),
    ] = None
    priority: Annotated[
        Priority | None, _option("--priority", panel=_ODD, help="Of our requests; high when not given.")
    ] = None
    pre_established: Annotated[
        int | None,
        _option(
            "--pre-established",
            panel=_ODD,
            help="The association exists and is not opened; the largest APDU that the meter takes, 0: any.",
            metavar="SIZE",
            min=0,
            max=65535,
        ),
    ] = None
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
    no_fast_path: Annotated[
        bool,
        _option(
            "--no-fast-path",
            panel=_ODD,
            help="Code and cipher every APDU by the general path, to find a fault; no octet changes.",
        ),
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
    max_result: Annotated[
        int | None,
        _option("--max-result", panel=_ODD, help="Octets of one answer, all blocks together; 64 MiB.", min=1024),
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
        Protection | None,
        _option("--protection", panel=_KEYS, help="What ciphering does to APDUs; both when not given."),
    ] = None
    response_protection: Annotated[
        Protection | None,
        _option("--response-protection", panel=_KEYS, help="What the meter's answers have to bear; as --protection."),
    ] = None
    signed: Annotated[
        bool, _option("--signed", panel=_KEYS, help="Sign requests with --signing-key, and want signed answers.")
    ] = False
    certificate: Annotated[
        str, _option("--certificate", panel=_KEYS, help="Our certificate (a file in PEM or DER), sent along.")
    ] = ""
    dedicated_key: Annotated[
        bool, _option("--dedicated-key", panel=_KEYS, help="Cipher with a key that is drawn for this association.")
    ] = False
    challenge_length: Annotated[
        int | None,
        _option(
            "--challenge-length",
            panel=_KEYS,
            help="Octets of our challenge of HLS; 16, or 32 with hls-ecdsa.",
            min=8,
            max=64,
        ),
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
        bool,
        _option("--verbose", "-v", panel=_WAY, help="Every APDU on standard error: in words, deciphered, as sent."),
    ] = False
