"""`ami proxy record`, `replay` and `model`: the traffic between a head-end and a meter, and what can be made of it."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from ami_cli.companions import CompanionOption, CompanionReader
from ami_cli.formatting import count
from ami_cli.meter.counters import CounterFile, default_file
from ami_cli.meter.errors import MeterError
from ami_cli.meter.registry import read_entry
from ami_cli.meter.secret_arguments import octets
from ami_cli.proxy.exchanges import Session, session_of
from ami_cli.proxy.model import model_of
from ami_cli.proxy.recorder import CaptureFile, Recorder
from ami_cli.proxy.relay import Relay
from ami_cli.proxy.replay import Answers, ReplayedMeter, ReplayKeys, counter_at, profiles_of
from ami_cli.proxy.session_file import MOST_OCTETS, SessionFileError, SessionWriter, read_session
from ami_cli.proxy.taps import Framing
from ami_dlms.errors import LocalError
from ami_dlms.explain import Keyring
from ami_dlms.security import GlobalKeys
from ami_process.commands import explaining, serve_until_stopped
from ami_process.sockets import ListenFailed, format_address, listening
from ami_registry import Transport
from ami_registry.meter import key_id

KEY_FORMS = "HEX|env:NAME|file:PATH"
DLMS_PORT = 4059
MEBIBYTE = 1 << 20
MOST_MIB = MOST_OCTETS // MEBIBYTE
MOST_DIGITS = 5
CLEAR_SUFFIX = ".clear.pcapng"
CARRIED = {Transport.WRAPPER: Framing.WRAPPER, Transport.HDLC: Framing.HDLC}
app = typer.Typer(
    name="proxy",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Stand between a head-end and a meter: show and record what passes, answer from a record, make a model of it.",
)

Listen = Annotated[str, typer.Option(metavar="HOST:PORT", help="Where the head-end comes to; port 0 takes a free one.")]
FramingOption = Annotated[
    Framing | None, typer.Option(help="What carries the APDUs. Default: what the entry of --registry says, or wrapper.")
]
RegistryFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A configuration or shipment file: address and keys of a meter.")
]
MeterName = Annotated[str | None, typer.Option("--meter", metavar="NAME", help="Which one of them.")]
EncryptionKey = Annotated[
    str | None, typer.Option(metavar=KEY_FORMS, help="Encryption key; without it nothing is deciphered.")
]
AuthenticationKey = Annotated[
    str | None, typer.Option(metavar=KEY_FORMS, help="Authentication key; without it no tag is checked.")
]
DedicatedKey = Annotated[
    str | None, typer.Option(metavar=KEY_FORMS, help="For ded-* APDUs, unless the AARQ that carries it passes as well.")
]
MeterTitle = Annotated[
    str | None, typer.Option(metavar="HEX", help="The meter's system title, for who comes in the middle.")
]
SessionOut = Annotated[Path | None, typer.Option(metavar="FILE", help="Record what is said here, deciphered; new.")]
Pcapng = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A capture with clear APDUs, for Wireshark; call it *.clear.pcapng.")
]
MostOctets = Annotated[int, typer.Option(metavar="MIB", min=1, max=MOST_MIB, help="How large each file may become.")]
Recording = Annotated[Path, typer.Argument(metavar="SESSION", help="A file of `ami proxy record --session`.")]


@app.command("record")
def record(
    meter: Annotated[
        str | None, typer.Argument(metavar="[HOST:PORT]", help="Where the meter is, if no entry of --registry says it.")
    ] = None,
    listen: Listen = f"127.0.0.1:{DLMS_PORT}",
    framing: FramingOption = None,
    registry: RegistryFile = None,
    name: MeterName = None,
    ek: EncryptionKey = None,
    ak: AuthenticationKey = None,
    dedicated_key: DedicatedKey = None,
    meter_title: MeterTitle = None,
    session: SessionOut = None,
    pcapng: Pcapng = None,
    companion: CompanionOption = CompanionReader.STOCK,
    most_mib: MostOctets = 256,
) -> None:
    """Hand on what passes, show each APDU in words, and keep it, until Ctrl-C.

    Octets are handed on unchanged, whatever the proxy makes of them. Exit code 0: it was stopped. 2: wrong options, or no listening.
    """
    with explaining("ami proxy", MeterError, LocalError, SessionFileError, ListenFailed, OSError):
        given = _keyring({"ek": ek, "ak": ak, "dedicated-key": dedicated_key, "meter-title": meter_title})
        if pcapng is not None and not pcapng.name.endswith(CLEAR_SUFFIX):
            typer.echo(f"{pcapng} will hold clear text: a name that ends in {CLEAR_SUFFIX} would say so", err=True)
        where, carried, keyring = _whom(meter, framing, registry, name, given)
        most = most_mib * MEBIBYTE
        here = _address(listen, "--listen")
        application = f"ami proxy {version('ami-reference')}"
        recorder = Recorder(carried, keyring, typer.echo)
        relay = Relay(where, recorder)

        def keep() -> None:
            if session is not None:
                recorder.session = SessionWriter(session, carried, datetime.now(UTC), most)
            if pcapng is not None:
                try:
                    recorder.capture = CaptureFile(pcapng, application, companion.dissector, most)
                except SessionFileError:
                    if session is not None:  # just made, and it would be in the way of the next try
                        session.unlink()
                    raise

        async def run(stop: asyncio.Event) -> int:
            to = f"to {format_address(*where)}"
            await _listening(here, relay.serve, lambda listener: relay.run(listener, stop), to, keep)
            return 0

        try:
            code = serve_until_stopped(run)
        finally:
            recorder.close()
        found = f"{count(relay.connections, 'connection')}, {count(recorder.apdus, 'APDU')}"
        typer.echo(f"{found}, {count(recorder.unreadable, 'APDU')} that no key opened", err=True)
        raise typer.Exit(code)


@app.command("replay")
def replay(
    recording: Recording,
    listen: Listen = f"127.0.0.1:{DLMS_PORT}",
    ek: EncryptionKey = None,
    ak: AuthenticationKey = None,
    secret: Annotated[
        str | None, typer.Option(metavar=KEY_FORMS, help="Password of LLS, which no session file holds.")
    ] = None,
    counter: Annotated[
        int | None,
        typer.Option(
            min=0, max=0xFFFF_FFFF, help="Where the meter's invocation counter begins. Default: by the clock."
        ),
    ] = None,
    counters: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where used invocation counters are kept. Default: as `ami meter`."),
    ] = None,
) -> None:
    """Be the meter of a recorded session, until Ctrl-C: each question is answered as it was then, ciphered anew.

    Take other keys than those of the real meter: what is sent here would count its invocation counter on, which the meter does not know.
    """
    with explaining("ami proxy", MeterError, LocalError, SessionFileError, ListenFailed, OSError):
        keys = _keys(ek, ak)
        password = None if secret is None else octets("--secret", secret, environ=os.environ, password=True)
        recorded = read_session(recording)
        session = session_of(recorded)
        given = ReplayKeys(keys, password, counter_at(datetime.now(UTC)) if counter is None else counter)
        here = _address(listen, "--listen")
        profiles_of(session, given)  # says what is missing, before a value is reserved
        file, used = (
            CounterFile(counters or default_file(os.environ)),
            f"{key_id(None if keys is None else keys.encryption_key)}/replay",
        )
        send = None if keys is None else file.reserve(used, given.counter, exactly=counter is not None, ours=True)
        meter = ReplayedMeter(
            profiles_of(session, given, send), Answers.of(session), recorded.framing, os.urandom, typer.echo
        )
        if send is not None:
            meter.top_up = lambda: file.top_up(used, send)

        async def run(stop: asyncio.Event) -> int:
            async def until_stopped(_: asyncio.Server) -> None:
                await stop.wait()

            await _listening(here, meter.serve, until_stopped, _summary(session))
            return 0

        try:
            code = serve_until_stopped(run)
        finally:
            if send is not None:
                file.give_back(used, send)
        raise typer.Exit(code)


@app.command("model")
def model(
    recording: Recording,
    write: Annotated[Path, typer.Option("--save-model", metavar="FILE", help="The model, for meter-sim.")],
    client: Annotated[
        int | None,
        typer.Option(min=0, max=0xFFFF, help="As this client saw the meter. Default: the one that has read most."),
    ] = None,
) -> None:
    """Make a model for simulated meters of what was read in a recorded session: the form of `ami meter scan --save-model`."""
    with explaining("ami proxy", SessionFileError, OSError):
        session = session_of(read_session(recording))
        text, device = model_of(session, client)
        write.write_text(text, "utf-8")
        found = f"{count(len(device.objects), 'object')}, {count(len(device.readings), 'attribute')} that were read"
        typer.echo(f"{write}: {found}; check it with: ami models {write}")


def _summary(session: Session) -> str:
    clients = ", ".join(str(client) for client, _ in session.associations)
    return f"from {count(len(session.exchanges), 'recorded answer')}, for client {clients}"


async def _listening(
    here: tuple[str, int],
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    run: Callable[[asyncio.Server], Awaitable[None]],
    what: str,
    first: Callable[[], None] = lambda: None,
) -> None:
    """Serve at `here`; `first` is done when the address is ours and before anybody is served."""
    with listening(*here, "--listen ") as listener:
        first()
        server = await asyncio.start_server(serve, sock=listener)
        host, port, *_ = listener.getsockname()
        typer.echo(f"listening at {format_address(host, port)}, {what}; Ctrl-C ends it", err=True)
        async with server:
            await run(server)


def _whom(
    meter: str | None, framing: Framing | None, registry: Path | None, name: str | None, given: Keyring
) -> tuple[tuple[str, int], Framing, Keyring]:
    """Where the meter is, what carries its APDUs, and what opens them; what is given wins over the entry."""
    if registry is None:
        if meter is None:
            raise SessionFileError("which meter? give HOST:PORT, or --registry FILE --meter NAME")
        return _address(meter, "HOST:PORT"), framing or Framing.WRAPPER, given
    entry = read_entry(registry, name, environ=os.environ)
    if framing is None and entry.reach.transport not in CARRIED:
        raise SessionFileError(f"{entry.name}: transport {entry.reach.transport} has no connection to stand in between")
    where = (entry.reach.host, entry.reach.port) if meter is None else _address(meter, "HOST:PORT")
    keyring = replace(
        given,
        encryption_key=given.encryption_key or entry.identity.encryption_key,
        authentication_key=given.authentication_key or entry.identity.authentication_key,
        title_peer=given.title_peer or entry.identity.meter_title,
    )
    return where, framing or CARRIED[entry.reach.transport], keyring


def _address(text: str, option: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    bare = ":" in host and not (host.startswith("[") and host.endswith("]"))  # an IPv6 address without a port
    if not host or bare or not port.isdecimal() or len(port) > MOST_DIGITS or int(port) > 0xFFFF:
        raise SessionFileError(f"{option}: {text[:100]!r} is no HOST:PORT, such as 10.0.0.5:4059 or [fe80::1]:4059")
    return host.strip("[]"), int(port)


def _keyring(given: dict[str, str | None]) -> Keyring:
    found = {
        name: None if text is None else octets(f"--{name}", text, environ=os.environ) for name, text in given.items()
    }
    return Keyring(found["ek"], found["ak"], found["dedicated-key"], title_peer=found["meter-title"])


def _keys(ek: str | None, ak: str | None) -> GlobalKeys | None:
    if ek is None and ak is None:
        return None
    if ek is None or ak is None:
        raise SessionFileError("--ek and --ak go together: the encryption key and the authentication key")
    return GlobalKeys(octets("--ek", ek, environ=os.environ), octets("--ak", ak, environ=os.environ))
