"""What the commands of `hes` write to a terminal: words in one piece, times in one spelling."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel

from ami_hes.api.moments import given
from ami_hes.api.values.moments import Moment
from ami_hes.client.asking import format_moment, show, table

MESSAGE_ID = "9be738bb-02af-5ce0-b1bd-bb9eb6959aa6"
AT = "2026-03-28T23:30:00+01:00"


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of eighty columns."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("FORCE_COLOR", "1")


def test_a_word_is_not_broken_on_a_narrow_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    words = (AT, MESSAGE_ID, "create EndDeviceControls", "CIS", "1", "1", "0", "FAILED")
    lines = table("accepted", "MessageID", "request", "from", "meters", "done", "ok", "result")
    lines.add_row(*words)
    show(lines)
    written = capsys.readouterr().out.split()
    assert {word for cell in (AT.removesuffix("+01:00"), *words[1:]) for word in cell.split()} <= set(written)


def test_text_that_is_longer_than_a_terminal_goes_on_below_in_whole_words(capsys: pytest.CaptureFixture[str]) -> None:
    reason = "the meter did not answer in time and nobody knows whether its contactor has been moved " * 3
    lines = table("MessageID", "given up", "what and why")
    lines.add_row(MESSAGE_ID, AT, reason)
    show(lines)
    written = capsys.readouterr().out
    assert set(reason.split()) <= set(written.split())
    assert max(map(len, written.splitlines())) <= 80


def test_a_hostile_word_makes_no_table_wider_than_sixty_columns_each(capsys: pytest.CaptureFixture[str]) -> None:
    lines = table("meter", "reason")
    lines.add_row("M1", "x" * 5_000)
    show(lines)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


class _Answer(BaseModel):
    at: Moment
    until: Moment | None


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        ("2026-03-28T23:30:00Z", "2026-03-29T00:30:00+01:00"),
        ("2026-07-01T00:00:00.250Z", "2026-07-01T02:00:00+02:00"),
        ("9999-12-31T23:59:00Z", "9999-12-31T23:59:00+00:00"),
    ],
)
def test_times_of_answers_have_the_offset_of_the_deployment(at: str, shown: str) -> None:
    answer = _Answer(at=datetime.fromisoformat(at), until=None)
    came = _Answer.model_validate_json(bytes(given(answer, ZoneInfo("Europe/Berlin")).body))
    assert (format_moment(came.at), came.until) == (shown, None)
    assert came.at == answer.at
