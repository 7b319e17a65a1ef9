"""Whole processes on stores of an older version: they are upgraded at the start, and what they left open has a truthful end."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from harness import Receiver, system

from ami_cim import envelope, soap
from ami_cim.message import Header, Reply, ResponseMessage

STORES = Path(__file__).parents[1] / "stores"


def an_answer(request: str) -> bytes:
    header = Header(
        verb="reply",
        noun="EndDeviceControls",
        message_id=f"answer of {request}",
        correlation_id=f"{request}-correlation",
        timestamp=datetime(2026, 11, 20, 12, tzinfo=UTC),
    )
    return soap.wrap(
        envelope.format_response(ResponseMessage(header=header, reply=Reply(result="OK")), envelope.REQUEST_MESSAGE)
    )


@pytest.mark.parametrize("version", ["0001", "0002-unversioned", "0002"])
def test_what_an_older_head_end_system_left_open_is_answered_and_what_it_owed_is_delivered(
    tmp_path: Path, version: str
) -> None:
    receiver, owed = Receiver(), an_answer("owed")
    with system(tmp_path, meters=1) as ami:
        store = Path(ami.config["hes"]["store"])
        shutil.copyfile(STORES / f"hes-{version}.sqlite", store)
        with closing(sqlite3.connect(store)) as connection, connection:
            connection.execute("UPDATE requests SET reply_address = ? WHERE reply_address IS NOT NULL", (receiver.url,))
            connection.execute("UPDATE requests SET answer = ? WHERE request_id = 'owed'", (owed,))
        ami.meter("M1001")["mrid"] = "00000000-0000-4000-8000-000000001001"
        hes = ami.start_hes()
        receiver.wait(2)
        if version == "0001":
            assert hes.seen("store_migrated")[0]["copy"] == f"{store}.schema-0001"
        assert hes.stop() == 0
    receiver.close()
    assert owed in receiver.bodies
    (body,) = [body for body in receiver.bodies if body != owed]
    reply = envelope.parse_response(soap.unwrap(body))
    assert (reply.header.correlation_id, reply.reply.result) == ("open-correlation", "PARTIAL")
    (failed,) = [error for error in reply.reply.errors if not error.code.startswith("0.")]
    assert failed.code in ("4.1", "5.3") and "may or may not have switched" in str(failed.reason)
    assert "nothing was" not in str(failed.reason) and "not sent" not in str(failed.reason)


def test_an_older_store_of_the_customer_system_is_upgraded_by_the_process_that_serves(tmp_path: Path) -> None:
    with system(tmp_path, meters=1) as ami:
        store = Path(ami.config["cis"]["store"])
        shutil.copyfile(STORES / "cis-0001.sqlite", store)
        cis = ami.start_cis("--no-loop")
        cis.wait_for("ready")
        assert cis.seen("store_migrated")[0]["found"] == "0001"
