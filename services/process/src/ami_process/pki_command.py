"""Make a certificate authority and certificates for TLS between CIS and HES, renew and revoke them, and show what ends when."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ami_process.authority import AUTHORITY, AUTHORITY_DAYS, DAYS, Authority, Issued, PkiError
from ami_process.events import utc_now
from ami_process.tls import WARN_BEFORE

app = typer.Typer(name="pki", help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Directory = Annotated[
    Path, typer.Option("--directory", "-d", metavar="DIRECTORY", help="Where the authority is.", envvar="AMI_PKI")
]
PKI = Path("pki")
Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the certificate, as cis or hes.")]
Hosts = Annotated[
    list[str] | None,
    typer.Option("--host", metavar="HOST", help="A host name or IP address that it serves at; may be repeated."),
]
Days = Annotated[int, typer.Option(min=1, max=36_500, help="How long it is valid.")]
ENDING_SOON = 1
"""The exit code of `show` when something ends within 30 days, has ended, or is revoked."""


@app.command("init")
def init(
    directory: Directory = PKI,
    subject: Annotated[str, typer.Option(help="The name of the authority.")] = "AMI test authority",
    days: Days = AUTHORITY_DAYS,
) -> None:
    """Make an authority: its certificate, its key, and an empty list of revoked certificates."""
    with _explaining():
        Authority(directory).init(subject, utc_now(), days)
        typer.echo(f"{directory / 'ca.pem'} signs from now on; keep {directory / 'ca.key'} to yourself")


@app.command("issue")
def issue(name: Name, host: Hosts = None, days: Days = DAYS, directory: Directory = PKI) -> None:
    """Make a key and a certificate, for servers and clients, with its name and these hosts in it."""
    with _explaining():
        made = Authority(directory).issue(name, host or (), utc_now(), days)
        typer.echo(f"{directory / name}.pem for {', '.join(made.hosts)}, until {made.not_after:%Y-%m-%d}")


@app.command("renew")
def renew(name: Name, directory: Directory = PKI) -> None:
    """Replace key and certificate by new ones with the same names; `ca` keeps its key."""
    with _explaining():
        made = Authority(directory).renew(name, utc_now())
        typer.echo(f"{directory / name}.pem until {made.not_after:%Y-%m-%d}")


@app.command("revoke")
def revoke(name: Name, directory: Directory = PKI) -> None:
    """Put a certificate on the list of revoked ones."""
    with _explaining():
        made = Authority(directory).revoke(name, utc_now())
        typer.echo(f"{made.serial:x} is in {directory / 'ca.crl'}: whoever reads that refuses it")


@app.command("refresh")
def refresh(directory: Directory = PKI) -> None:
    """Sign the list of revoked certificates again: one that has ended refuses everybody."""
    with _explaining():
        authority = Authority(directory)
        authority.refresh_list(utc_now())
        typer.echo(f"{directory / 'ca.crl'} until {authority.list_ends_at():%Y-%m-%d}")


@app.command("export")
def export(
    name: Name,
    into: Annotated[Path, typer.Argument(metavar="INTO", help="A directory of the process that it is for.")],
    directory: Directory = PKI,
) -> None:
    """Copy what one process needs: certificate.pem, key.pem, authorities.pem, revoked.pem."""
    with _explaining():
        Authority(directory).export(name, into)
        typer.echo(f"{into} has what a section [*.tls] names")


@app.command("show")
def show(directory: Directory = PKI) -> None:
    """List all certificates. Exit code 1: something ends within 30 days, has ended, or is revoked."""
    with _explaining():
        authority, now = Authority(directory), utc_now()
        issued, ends_at = authority.issued(), authority.list_ends_at()
    table = Table("name", "hosts", "until", "state")
    states = [_state(one, now) for one in issued]
    for one, state in zip(issued, states, strict=True):
        table.add_row(one.name, ", ".join(one.hosts), f"{one.not_after:%Y-%m-%d}", state or "valid")
    if ends_at is not None:
        states.append(_ending(ends_at, now))
        table.add_row(f"{AUTHORITY}.crl", "", f"{ends_at:%Y-%m-%d}", states[-1] or "valid")
    Console().print(table)
    raise typer.Exit(ENDING_SOON if any(states) else 0)


def _state(one: Issued, now: datetime) -> str:
    return "revoked" if one.revoked else _ending(one.not_after, now)


def _ending(at: datetime, now: datetime) -> str:
    if now >= at:
        return "has ended"
    return f"ends in {(at - now) // timedelta(days=1)} days" if now >= at - WARN_BEFORE else ""


@contextmanager
def _explaining() -> Iterator[None]:
    try:
        yield
    except PkiError as problem:
        typer.echo(f"ami pki: {problem}", err=True)
        raise typer.Exit(2) from None


if __name__ == "__main__":
    app()
