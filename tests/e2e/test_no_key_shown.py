"""A whole exchange with keys that the test knows, and then they are looked for in all that a stranger might get to see."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from free_ports import free_port
from harness import System
from patience import PATIENCE_S
from stranger import CONNECT, DISCONNECT, Stranger, by_mrid

SECRETS = ("encryption_key", "authentication_key", "secret", "password", "master_key")
FORMATS = ("trace", "html", "pcapng", "view")
IMPORTED = {"encryption_key": "5EC0DE" * 5 + "AB", "authentication_key": "BADC0FFEE0DDF00D" * 2}
"""Of a meter that comes by the API."""


def shapes(key: bytes) -> set[bytes]:
    """As octets, in hexadecimal digits (with and without separators), and in base64 wherever it begins in what is encoded."""
    text = key.hex()
    pairs = [text[at : at + 2] for at in range(0, len(text), 2)]
    found = {key, text.encode(), " ".join(pairs).encode(), ":".join(pairs).encode(), repr(key)[2:-1].encode().lower()}
    for shift in range(3):
        whole = base64.b64encode(bytes(shift) + key)
        begin, end = -(-shift * 4 // 3), len(key) * 4 // 3 - 1
        inner = whole[begin + (1 if shift else 0) : end]
        found |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return found


def seen_in(name: str, octets: bytes, keys: dict[str, bytes]) -> Iterator[str]:
    """Where which key is, if anywhere; hexadecimal digits in either case."""
    small = octets.lower()
    for which, key in keys.items():
        for shape in shapes(key):
            is_hex = re.fullmatch(rb"[0-9a-f :]+", shape) is not None
            if shape in (small if is_hex else octets):
                yield f"{which} in {name} as {shape!r}"


def test_the_search_finds_what_it_is_to_find() -> None:
    key = bytes(range(0xF0, 0x100))
    for text in (
        key,
        key.hex().upper().encode(),
        *(base64.b64encode(bytes(n) + key + b"x") for n in range(4)),
        repr(key).encode(),
    ):
        assert list(seen_in("a text", b"before " + text + b" behind", {"key": key})), text
    assert not list(seen_in("a text", os.urandom(64), {"key": key}))


@pytest.mark.ci
def test_no_key_is_anywhere_a_stranger_can_look(ami: System) -> None:
    ami.config["hes"] |= {
        "log_apdus": True,
        "traces": {"keep": "everything"},
        "master_key": f"file:{ami.directory}/apart/key",
    }
    first, second = ami.meter("M1001"), ami.meter("M1002")
    second |= {"authentication": "lls", "ciphering": "general-glo", "secret": b"a very secret password".hex()}
    keys = {
        f"{one['name']} {name}": bytes.fromhex(one[name]) for one in (first, second) for name in SECRETS if name in one
    }
    keys |= {f"imported {name}": bytes.fromhex(key) for name, key in IMPORTED.items()}
    hes = ami.start("M1001", "M1002").hes
    assert hes is not None
    cis = ami.start_cis("--no-loop")
    cis.wait_for("ready")
    shown: dict[str, bytes] = {}
    with httpx.Client(base_url=ami.hes_url, timeout=PATIENCE_S, trust_env=False) as client:
        row = {"logical_device_name": "AMI0000000009999", "device_id": "9999"}
        row |= {"name": "M9", "mrid": "00000000-0000-4000-8000-000000009999", "address": f"127.0.0.1:{free_port()}"}
        row |= {
            "authentication": "hls-gmac",
            "ciphering": "general-glo",
            "system_title": "414D490000009999",
            **IMPORTED,
        }
        shown["import"] = client.post("/api/v1/meters", json={"rows": [{"place": "line 2", "columns": row}]}).content
        assert b"accepted" in shown["import"], shown["import"]
        for code in (DISCONNECT, CONNECT):
            assert Stranger(ami.hes_url).switch(code, [by_mrid(first), by_mrid(second)], message_id=code).result == "OK"
        Stranger(ami.hes_url).switch(DISCONNECT, [{"mRID": row["mrid"]}], message_id="in vain")
        wrong = row | {"name": "M8", "suite": 9, "encryption_key": IMPORTED["encryption_key"] + "0"}
        shown["refused"] = client.post("/api/v1/meters", json={"rows": [{"place": "line 3", "columns": wrong}]}).content
        assert b"refused" in shown["refused"]
        shown |= dict(answers(client))
        for message_id in (DISCONNECT, CONNECT, "in vain"):
            for form in FORMATS:
                trace = client.get(f"/api/v1/traces/{message_id}", params={"as": form})
                assert trace.status_code == 200, trace.text
                shown[f"trace {message_id} {form}"] = trace.content
    with httpx.Client(
        base_url=f"http://127.0.0.1:{ami.config['cis']['port']}", timeout=PATIENCE_S, trust_env=False
    ) as client:
        shown |= {f"CIS {name}": octets for name, octets in answers(client)}
    for process in ami.processes:
        for file in ("cmdline", "environ", "status"):
            try:
                shown[f"{process.name} {file}"] = Path(f"/proc/{process.pid}/{file}").read_bytes()
            except PermissionError:  # not even its own user may look
                assert file == "environ"
    limits = Path(f"/proc/{hes.pid}/limits").read_text()
    assert re.search(r"Max core file size +0 +0 ", limits), limits
    for process in ami.processes:
        process.stop()
        shown[f"{process.name} output"] = "\n".join(json.dumps(event) for event in process.events).encode()
    for file in ami.directory.rglob("*"):
        if file.is_file() and "meters" not in file.parts and file.suffix != ".toml" and "apart" not in file.parts:
            shown[str(file)] = file.read_bytes()
    assert {"hes.sqlite", "cis.sqlite"} <= {Path(name).name for name in shown}
    assert len(shown) > 40 and sum(map(len, shown.values())) > 500_000
    assert [found for name, octets in shown.items() for found in seen_in(name, octets, keys)] == []


def answers(client: httpx.Client) -> Iterator[tuple[str, bytes]]:
    """Of every route of the API that can be asked without knowing more, of each meter, and of the pages and metrics."""
    document: dict[str, Any] = client.get("/api/v1/openapi.json").json()
    paths = [
        path for path, verbs in document["paths"].items() if "get" in verbs and not path.endswith(("live", "stream"))
    ]
    names = {"M1001", "M9"}
    for path in (
        *paths,
        "/metrics",
        "/api/v1/openapi.json",
        "/healthz",
        "/readyz",
        "/requests",
        "/meters",
        "/meters/M9",
    ):
        for name in names if "{" in path else {""}:
            answer = client.get(re.sub(r"\{[^}]*\}", name, path))
            yield f"GET {path} {name}", answer.content
