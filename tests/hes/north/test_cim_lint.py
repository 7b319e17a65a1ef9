"""`ami cim lint` says what the head-end really answers: the same octets, posted."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from north_bench import GENERIC, StandIn, texts
from patience import PATIENCE_S
from reported import ignore
from typer.testing import CliRunner

from ami_cli.__main__ import app
from ami_hes.app import running
from ami_hes.settings import Settings
from ami_process.environment import Environment

VECTORS = Path(__file__).parents[2] / "vectors"
REQUESTS = sorted(
    path
    for path in (*(VECTORS / "cim").glob("*.xml"), *(VECTORS / "field/xml").glob("*.xml"))
    if path.stem
    not in ("device_event", "readings_2009_event", "partial_reply", "fault", "latin1_said_by_the_header_alone")
)
"""Those that a head-end may be asked; it is given no charset of a header here."""
UNKNOWN_METER = "2.4"


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    """A head-end without meters."""
    values = {"port": 0, "dlms_port": 0, "store": tmp_path / "hes.sqlite"}
    async with running(Settings(hes=values, meters=[]), Environment(emit=ignore), StandIn()) as listening:
        yield f"http://{listening[0]}"


@pytest.mark.parametrize("path", REQUESTS, ids=lambda path: path.stem)
async def test_the_answer_is_the_one_that_was_said(url: str, path: Path) -> None:
    said = json.loads(CliRunner().invoke(app, ["cim", "lint", "--json", str(path)]).stdout)["answer"]
    async with httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False) as client:
        response = await client.post(url + GENERIC, content=path.read_bytes(), headers={"Content-Type": "text/xml"})
    if said["accepted"]:
        assert (response.status_code, texts(response.content, "code")) == (200, [UNKNOWN_METER])
        assert len(said["meters"]) == 1
    else:
        form = "reply FAILED" if response.status_code == 200 else f"SOAP fault, HTTP status {response.status_code}"
        assert (said["form"], said["code"]) == (form, *texts(response.content, "code"))
        assert said["reason"].startswith(texts(response.content, "reason")[0])
