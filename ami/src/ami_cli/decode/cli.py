"""`ami decode`: what any frame or APDU says, octet by octet, deciphered where the keys are given."""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ami_cli.companions import CompanionOption, CompanionReader
from ami_cli.decode.annotated import CLEAR_SUFFIX, write_annotated
from ami_cli.decode.captures.seen import Seen
from ami_cli.decode.errors import NotOctets
from ami_cli.decode.inputs import Input, take
from ami_cli.decode.keyrings import Keyrings, with_registry
from ami_cli.decode.reading import Shown, trees
from ami_cli.decode.tree_view import View
from ami_cli.decode.writing import Progress, write_documents, write_summary, write_trees
from ami_cli.formatting import count as counted
from ami_cli.meter.errors import MeterError
from ami_cli.meter.secret_arguments import octets, public_key
from ami_dlms.errors import LocalError
from ami_dlms.explain import Keyring, is_sound
from ami_dlms.security import PrivateKey
from ami_trace.pcapng import CaptureError

KEY_FORMS = "HEX|env:NAME|file:PATH"
PUBLIC_FORMS = f"{KEY_FORMS}|cert:PATH"
app = typer.Typer(name="decode", add_completion=False)


class Format(StrEnum):
    """What `--format` takes."""

    TEXT = "text"
    JSON = "json"
    XML = "xml"


Given = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[HEX...|FILE...|-]",
        help="Hex as logs, dumps or source code have it; files of it, of octets or captures; or - for stdin.",
    ),
]
EncryptionKey = Annotated[
    str | None, typer.Option(metavar=KEY_FORMS, help="Encryption key; without it nothing is deciphered.")
]
AuthenticationKey = Annotated[
    str | None, typer.Option(metavar=KEY_FORMS, help="Authentication key; without it no tag is checked.")
]
Title = Annotated[str | None, typer.Option(metavar="HEX", help="System title of the sender, or of the client.")]
PeerTitle = Annotated[str | None, typer.Option(metavar="HEX", help="System title of the other end, the server.")]
DedicatedKey = Annotated[
    str | None, typer.Option(metavar=KEY_FORMS, help="For ded-* APDUs, unless an AARQ before them carries it.")
]
MasterKey = Annotated[
    str | None, typer.Option(metavar=KEY_FORMS, help="Key-encryption (master) key, for keys that are sent wrapped.")
]
AgreementKey = Annotated[
    str | None,
    typer.Option(metavar=KEY_FORMS, help="Private agreement key of one end, the recipient's for C(1e,1s)."),
]
PeerAgreementKey = Annotated[
    str | None, typer.Option(metavar=PUBLIC_FORMS, help="Public agreement key of the other end, for C(0e,2s).")
]
SignatureKeys = Annotated[
    list[str] | None,
    typer.Option(metavar=PUBLIC_FORMS, help="Public key of a signer; may be repeated."),
]
RegistryFile = Annotated[
    Path | None, typer.Option(help="Configuration file whose meters' keys open what bears their system titles.")
]
FormatOption = Annotated[Format, typer.Option("--format", help="JSON and XML are what `ami encode` reads.")]
Summary = Annotated[bool, typer.Option("--summary", "-s", help="One line per frame: when, which, who, what.")]
DataOption = Annotated[bool, typer.Option("--data", help="It is one value of Data, no APDU and no frame.")]
Full = Annotated[bool, typer.Option("--full", help="Long octet strings in full, as text too.")]
Pcapng = Annotated[
    Path | None,
    typer.Option(metavar="OUT", help="Write the capture with its clear APDUs, for Wireshark; call it *.clear.pcapng."),
]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colours on a terminal either.")]


@app.command("decode")
def decode(
    given: Given = None,
    ek: EncryptionKey = None,
    ak: AuthenticationKey = None,
    title: Title = None,
    title_peer: PeerTitle = None,
    dedicated_key: DedicatedKey = None,
    kek: MasterKey = None,
    agreement_key: AgreementKey = None,
    peer_agreement_key: PeerAgreementKey = None,
    signature_key: SignatureKeys = None,
    registry: RegistryFile = None,
    format_: FormatOption = Format.TEXT,
    summary: Summary = False,
    data: DataOption = False,
    full: Full = False,
    pcapng: Pcapng = None,
    companion: CompanionOption = CompanionReader.STOCK,
    no_color: NoColor = False,
) -> None:
    """Show what frames (wrapper, HDLC, M-Bus) or APDUs say, octet by octet.

    Exit code 0: all of it was understood. 1: something is broken, or a tag does not hold. 2: wrong options.
    """
    if summary and format_ is not Format.TEXT:
        raise typer.BadParameter("--summary is text; leave out --format")
    try:
        names = {"ek": ek, "ak": ak, "title": title, "title-peer": title_peer, "dedicated-key": dedicated_key}
        names |= {"kek": kek, "agreement-key": agreement_key}
        keyrings = with_registry(_keyring(names, peer_agreement_key, signature_key or []), registry, os.environ)
        if not given and sys.stdin.isatty():
            typer.echo("hex, please; Ctrl-D ends it", err=True)
        inputs = list(take(given or [], sys.stdin.buffer))
    except (MeterError, LocalError, NotOctets, OSError) as error:
        typer.echo(f"ami decode: {error}", err=True)
        raise typer.Exit(2) from None
    if pcapng is not None:
        raise typer.Exit(_annotate(inputs, keyrings, pcapng, companion))
    outcome = _Outcome(keyrings, data=data)
    shown = outcome.read(inputs)
    if summary:
        write_summary(shown, no_color=no_color, several=len(inputs) > 1)
    elif format_ is Format.TEXT:
        write_trees(shown, View(full), no_color=no_color, several=len(inputs) > 1)
    else:
        write_documents(shown, as_xml=format_ is Format.XML)
    if not outcome.good:
        raise typer.Exit(1)


@dataclass(slots=True)
class _Outcome:
    """Reads all inputs, one after the other, and remembers whether everything was understood."""

    keyrings: Keyrings
    data: bool
    good: bool = True

    def read(self, inputs: Sequence[Input]) -> Iterator[Shown]:
        for given in inputs:
            seen, progress, count = Seen(), Progress(given.name, given.size), 0
            for shown in trees(given, self.keyrings, seen, progress, data=self.data):
                count += 1
                self.good = self.good and is_sound(shown.tree)
                yield shown
            progress.end()
            if given.capture is not None and not count:
                self.good = False
                _tell_seen(given.name, seen)
            self.good = self.good and not seen.ends_early
            _tell_end(given.name, seen)


def _annotate(inputs: Sequence[Input], keyrings: Keyrings, path: Path, reader: CompanionReader) -> int:
    """Write the capture with companions; the exit code."""
    if not path.name.endswith(CLEAR_SUFFIX):
        typer.echo(f"ami decode: {path} holds clear text: a name that ends in {CLEAR_SUFFIX} would say so", err=True)
    seen = Seen()
    try:
        written = write_annotated(inputs, keyrings, seen, path, reader.dissector)
    except (NotOctets, CaptureError, OSError) as error:
        typer.echo(f"ami decode: {error}", err=True)
        return 2
    if not written.frames:
        _tell_seen(inputs[0].name, seen)
    _tell_end(inputs[0].name, seen)
    typer.echo(written.line(path))
    return 0 if written.good and not seen.ends_early else 1


def _tell_end(name: str, seen: Seen) -> None:
    if seen.ends_early:
        typer.echo(
            f"ami decode: {name}: the file is cut off, or damaged, behind packet {seen.packets:,}: what was after it is missing here",
            err=True,
        )


def _tell_seen(name: str, seen: Seen) -> None:
    typer.echo(
        f"ami decode: {name}: no frame of the wrapper, HDLC or M-Bus in {counted(seen.packets, 'packet')}", err=True
    )
    for line in seen.lines():
        typer.echo(f"  {line}", err=True)


def _keyring(given: dict[str, str | None], peer: str | None, signers: Sequence[str]) -> Keyring:
    found = {
        name: None if text is None else octets(f"--{name}", text, environ=os.environ) for name, text in given.items()
    }
    private = found["agreement-key"]
    return Keyring(
        found["ek"],
        found["ak"],
        found["dedicated-key"],
        found["title"],
        found["title-peer"],
        found["kek"],
        None if private is None else PrivateKey(private),
        None if peer is None else public_key("--peer-agreement-key", peer, environ=os.environ),
        tuple(public_key("--signature-key", one, environ=os.environ) for one in signers),
    )
