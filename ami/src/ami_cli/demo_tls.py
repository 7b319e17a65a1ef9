"""Mutual TLS between CIS and HES for a demo: an authority and certificates beside its stores, made once, and the settings that name them."""

from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from ami_cli.populations import ConfigurationError
from ami_process.authority import Authority, PkiError
from ami_process.tls import WARN_BEFORE

PROCESSES = ("cis", "hes")
THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def secured(document: dict[str, Any], now: datetime) -> dict[str, Any]:
    """The document with TLS; its stores say where the files are. A certificate that ends soon is renewed."""
    directory = _directory(document)
    try:
        authority = Authority(directory)
        if not authority.exists:
            authority.init("AMI demo", now)
        for process in PROCESSES:
            _certify(authority, process, document[process], now)
    except PkiError as problem:
        raise ConfigurationError(f"{directory}: {problem}") from None
    sections = {process: document[process] | {"tls": _section(directory, process)} for process in PROCESSES}
    cis = sections["cis"]
    cis |= {name: _over_tls(cis[name]) for name in ("hes_url", "reply_address") if name in cis}
    hes = sections["hes"]
    hes["subscribers"] = [
        one | {"url": _over_tls(one["url"])} if _is_ours(one, document) else one for one in hes.get("subscribers", ())
    ]
    return document | sections


def _is_ours(subscriber: dict[str, Any], document: dict[str, Any]) -> bool:
    """Whether it is the CIS of this demo."""
    url = httpx.URL(subscriber.get("url", ""))
    return url.port == document["cis"]["port"] and url.host in (*THIS_MACHINE, document["cis"].get("host"))


def _directory(document: dict[str, Any]) -> Path:
    store = document["hes"]["store"]
    return Path("var/pki") if "://" in store else Path(store).parent / "pki"


def _certify(authority: Authority, process: str, section: dict[str, Any], now: datetime) -> None:
    if not (authority.directory / f"{process}.pem").exists():
        own = (section.get("host", ""), httpx.URL(section.get("reply_address", "")).host)
        authority.issue(process, (*THIS_MACHINE, *(host for host in own if host and ":" not in host)), now)
    elif authority.look_up(process).not_after - WARN_BEFORE < now:
        authority.renew(process, now)


def _section(directory: Path, process: str) -> dict[str, str]:
    files = {"certificate": f"{process}.pem", "key": f"{process}.key", "authorities": "ca.pem", "revoked": "ca.crl"}
    return {"mode": "mutual"} | {name: str((directory / file).absolute()) for name, file in files.items()}


def _over_tls(url: str) -> str:
    return f"https{url.removeprefix('http')}" if url.startswith("http://") else url
