"""A trace as a file for others: HTML for a browser, a capture for Wireshark."""

from __future__ import annotations

import os
import stat
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

from ami_cli.formatting import count
from ami_console.trace_file import trace_file
from ami_trace.captured import captured
from ami_trace.form import Trace
from ami_trace.pcapng import Dissector
from ami_trace.view import view_of

CLEAR_SUFFIX = ".clear.pcapng"


def write_html(trace: Trace, path: Path) -> str:
    """One file that needs nothing else; what was written, in words. Raises OSError."""
    with _opened(trace, path) as file:
        file.write(trace_file(view_of(trace)).encode())
    return _said(trace, path)


def write_pcapng(trace: Trace, path: Path, dissector: Dissector = Dissector.STOCK) -> str:
    """A capture with both legs, whose clear APDUs this dissector reads; likewise. Raises CaptureError as well."""
    with _opened(trace, path) as file:
        for piece in captured(trace, f"ami {version('ami-reference')}", dissector):
            file.write(piece)
    hint = (
        ""
        if path.name.endswith(CLEAR_SUFFIX) or not trace.clear_text
        else f"; a name that ends in {CLEAR_SUFFIX} would say so"
    )
    return _said(trace, path) + hint


def _clear(trace: Trace) -> bool:
    return trace.clear_text and not trace.redacted


def _opened(trace: Trace, path: Path) -> BinaryIO:
    """For its owner alone where it holds what was ciphered on the wire, also if the file was there before."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600 if _clear(trace) else 0o666)
    if _clear(trace) and stat.S_ISREG(os.fstat(handle).st_mode):
        os.fchmod(handle, 0o600)
    return os.fdopen(handle, "wb")


def _said(trace: Trace, path: Path) -> str:
    clear = "; it holds clear text" if _clear(trace) else ""
    return f"{path}: {count(len(list(trace.apdus())), 'APDU')} of {trace.message_id}{clear}"
