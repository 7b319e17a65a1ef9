"""A trace as a file for others: HTML for a browser, a capture for Wireshark."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from ami_cli.formatting import count
from ami_console.trace_file import trace_file
from ami_trace.captured import captured
from ami_trace.form import Trace
from ami_trace.view import view_of

CLEAR_SUFFIX = ".clear.pcapng"


def write_html(trace: Trace, path: Path) -> str:
    """One file that needs nothing else; what was written, in words. Raises OSError."""
    path.write_text(trace_file(view_of(trace)), "utf-8")
    return _said(trace, path)


def write_pcapng(trace: Trace, path: Path) -> str:
    """A capture with both legs; likewise. Raises CaptureError as well."""
    with path.open("wb") as file:
        for piece in captured(trace, f"ami {version('ami-reference')}"):
            file.write(piece)
    hint = (
        ""
        if path.name.endswith(CLEAR_SUFFIX) or not trace.clear_text
        else f"; a name that ends in {CLEAR_SUFFIX} would say so"
    )
    return _said(trace, path) + hint


def _said(trace: Trace, path: Path) -> str:
    clear = "; it holds clear text" if trace.clear_text and not trace.redacted else ""
    return f"{path}: {count(len(list(trace.apdus())), 'APDU')} of {trace.message_id}{clear}"
