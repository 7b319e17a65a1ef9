"""Consecutive ports are chosen where all of them are free, and a row with one that is taken is passed over."""

from __future__ import annotations

import secrets
import socket

import pytest

from ami_cli.chosen_ports import chosen_row


def test_a_row_in_which_one_is_taken_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    first = chosen_row(5)
    choices = [first]
    choose = secrets.choice

    def chosen(starts: range) -> int:
        return choices.pop() if choices else choose(starts)

    monkeypatch.setattr(secrets, "choice", chosen)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first + 4))
        found = chosen_row(5)
    assert not choices and first + 4 not in range(found, found + 5)


def test_more_than_there_are_are_refused() -> None:
    with pytest.raises(OSError, match="consecutive"):
        chosen_row(60_000)
