"""`ami decode`: what any frame or APDU says, octet by octet, deciphered where the keys are given."""

import os
import sys
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from ami.decode import capture, documents
from ami.decode.errors import NotOctets
from ami.decode.inputs import STANDARD_INPUT, take
from ami.decode.keyrings import Keyrings, with_registry
from ami.decode.tree_view import View
from ami.meter.errors import MeterError
from ami.meter.secrets_given import octets, public_key
from ami.view import THEME
from dlms.errors import LocalError
from dlms.security import PrivateKey
from dlms.tree import Keyring, Node, explain, explain_data, is_sound

KEY_FORMS = "HEX|env:NAME|file:PATH"
PUBLIC_FORMS = f"{KEY_FORMS}|cert:PATH"
app = typer.Typer(name="decode", add_completion=False)


class Format(StrEnum):
    """What `--format` takes."""

    TEXT = "text"
    JSON = "json"
    XML = "xml"


@app.command("decode")
def decode(
    given: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[HEX...|FILE|-]",
            help="Hex as logs, dumps or source code have it, a file of it, of octets or a capture, or - for stdin.",
        ),
    ] = None,
    ek: Annotated[
        str | None, typer.Option(metavar=KEY_FORMS, help="Encryption key; without it nothing is deciphered.")
    ] = None,
    ak: Annotated[
        str | None, typer.Option(metavar=KEY_FORMS, help="Authentication key; without it no tag is checked.")
    ] = None,
    title: Annotated[
        str | None, typer.Option(metavar="HEX", help="System title of the sender, or of the client.")
    ] = None,
    title_peer: Annotated[
        str | None, typer.Option(metavar="HEX", help="System title of the other end, the server.")
    ] = None,
    dedicated_key: Annotated[
        str | None, typer.Option(metavar=KEY_FORMS, help="For ded-* APDUs, unless an AARQ before them carries it.")
    ] = None,
    kek: Annotated[
        str | None, typer.Option(metavar=KEY_FORMS, help="Key-encryption (master) key, for keys that are sent wrapped.")
    ] = None,
    agreement_key: Annotated[
        str | None,
        typer.Option(metavar=KEY_FORMS, help="Private agreement key of one end, the recipient's for C(1e,1s)."),
    ] = None,
    peer_agreement_key: Annotated[
        str | None, typer.Option(metavar=PUBLIC_FORMS, help="Public agreement key of the other end, for C(0e,2s).")
    ] = None,
    signature_key: Annotated[
        list[str] | None,
        typer.Option(metavar=PUBLIC_FORMS, help="Public key of somebody who signs; as often as there are."),
    ] = None,
    registry: Annotated[
        Path | None, typer.Option(help="Configuration file whose meters' keys open what bears their system titles.")
    ] = None,
    format_: Annotated[
        Format, typer.Option("--format", help="JSON and XML are what `ami encode` reads.")
    ] = Format.TEXT,
    data: Annotated[bool, typer.Option("--data", help="It is one value of Data, no APDU and no frame.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Long octet strings in full, as text too.")] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colours on a terminal either.")] = False,
) -> None:
    """Show what wrapper frames, HDLC frames or APDUs say, octet by octet.

    Exit code 0: all of it was understood. 1: something is broken, or a tag does not hold. 2: wrong options.
    """
    try:
        names = {"ek": ek, "ak": ak, "title": title, "title-peer": title_peer, "dedicated-key": dedicated_key}
        names |= {"kek": kek, "agreement-key": agreement_key}
        keyrings = with_registry(_keyring(names, peer_agreement_key, signature_key or []), registry, os.environ)
        if not given and sys.stdin.isatty():
            typer.echo("hex, please; Ctrl-D ends it", err=True)
        taken = take(" ".join(given or [STANDARD_INPUT]), sys.stdin.buffer)
    except (MeterError, LocalError, NotOctets, OSError) as error:
        typer.echo(f"ami decode: {error}", err=True)
        raise typer.Exit(2) from None
    headed = list(_captured(taken, keyrings) if isinstance(taken, bytes) else _plain(taken, keyrings, data=data))
    if not headed:
        typer.echo("ami decode: no wrapper frame in this capture", err=True)
    _show(headed, format_, full=full, no_color=no_color)
    if not headed or not all(is_sound(tree) for _, tree in headed):
        raise typer.Exit(1)


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


def _plain(messages: Sequence[bytes], keyrings: Keyrings, *, data: bool) -> Iterator[tuple[str, Node]]:
    session = keyrings.session(messages)
    for message in messages:
        yield from (("", tree) for tree in (explain_data(message) if data else explain(message, session)))


def _captured(octets: bytes, keyrings: Keyrings) -> Iterator[tuple[str, Node]]:
    """Each frame under its two ends; what a connection tells (titles, blocks) holds for that connection."""
    found = list(capture.messages(octets))
    frames: dict[frozenset[str], list[bytes]] = {}
    for source, destination, frame in found:
        frames.setdefault(frozenset((source, destination)), []).append(frame)
    sessions = {ends: keyrings.session(together) for ends, together in frames.items()}
    for source, destination, frame in found:
        for tree in explain(frame, sessions[frozenset((source, destination))]):
            yield f"{source} → {destination}", tree


def _show(headed: Sequence[tuple[str, Node]], format_: Format, *, full: bool, no_color: bool) -> None:
    if format_ is not Format.TEXT:
        trees = [tree for _, tree in headed]
        typer.echo(documents.format_json(trees) if format_ is Format.JSON else documents.format_xml(trees))
        return
    console = Console(theme=THEME, highlight=False, no_color=no_color or None)
    for number, (heading, tree) in enumerate(headed):
        if number:
            console.print()
        if heading:
            console.print(Text(heading, "quiet"), soft_wrap=True)
        for line in View(full).lines(tree):
            shown = Text.assemble(*line)
            shown.rstrip()
            console.print(shown, soft_wrap=True)
