"""docs/one-request.md is what really passes on the sockets, today."""

from __future__ import annotations

from pathlib import Path

from ami_cli import one_request

ROOT = Path(__file__).parents[2]


async def test_the_page_is_what_a_run_writes() -> None:
    written = (ROOT / "docs/one-request.md").read_text("utf-8")
    now = await one_request.page(ROOT / "config/demo.toml")
    assert now == written, "write it anew: .venv/bin/ami one-request --write docs/one-request.md"


def test_it_shows_the_action_and_both_reads_of_the_state() -> None:
    text = (ROOT / "docs/one-request.md").read_text("utf-8")
    action = text.index("action-request-normal: disconnect_control 0-0:96.3.10*255 remote_disconnect")
    assert "output_state (class 70, attribute 2)" in text[:action]
    assert "output_state (class 70, attribute 2)" in text[action:]
    assert "The CIS reads: **OK**." in text
