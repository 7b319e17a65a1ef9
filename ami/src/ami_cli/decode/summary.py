"""A frame in one line: when, which, who to whom, what. For the shape of a recording before one looks at a frame of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ami_cli.decode.reading import Shown
from ami_cli.decode.readings import readings
from ami_cli.decode.tree_view import Line
from ami_cli.formatting import GLYPHS
from ami_dlms.apdu.ciphered import GeneralCiphering, GeneralGloCiphering
from ami_dlms.apdu.notify import DataNotification
from ami_dlms.explain import Node, deciphered, is_ciphered, is_sound, nodes
from ami_dlms.explain.texts import system_title

APDU = "apdu"
NUMBER_WIDTH = 6
UNREADABLE = "not deciphered"
NOISE = "noise"
BECOMES = " = "
MOST_VALUES = 3


def summary_line(shown: Shown, file: str = "") -> Line:
    """The line of one frame in styled pieces; `file` goes before it."""
    tree = shown.tree
    glyph, style = ("OK", "ok") if is_sound(tree) else ("FAILED", "failed")
    who = "  ".join(part for part in (_ends(shown), stations(tree)) if part)
    return [
        (f"{file}  " if file else "", "quiet"),
        (f"{shown.number:>{NUMBER_WIDTH}}  ", "quiet"),
        (f"{moment(shown.at)}  " if shown.is_captured else "", "quiet"),
        (f"{who}  " if who else "", ""),
        (GLYPHS[glyph], style),
        (f" {what(tree)}", "" if style == "ok" else style),
    ]


def _ends(shown: Shown) -> str:
    return f"{shown.source} → {shown.destination}" if shown.is_captured else ""


def moment(at: datetime | None) -> str:
    """`2026-11-28 15:24:12.345` in UTC; question marks for a packet without a time."""
    return "?" * 23 if at is None else at.strftime("%Y-%m-%d %H:%M:%S.") + f"{at.microsecond // 1000:03d}"


def stations(tree: Node) -> str:
    """Who speaks to whom in the frame itself: ports of the wrapper, addresses of HDLC, application processes of M-Bus."""
    if tree.name in ("wrapper", "hdlc_frame"):
        return tree.text.partition(",")[0]
    saps = [part.text for part in tree.parts if part.name in ("stsap", "dtsap")]
    return " → ".join(saps)


def what(tree: Node) -> str:
    """Its APDUs by their headlines, or what kind of frame it is; and the first thing that is wrong with it."""
    said = [_message(node) for node in _messages(tree)] or [_frame(tree)]
    trouble = next((node.trouble for node in nodes(tree) if node.trouble), "")
    said += [derived.how for node in nodes(tree) for derived in node.derived if derived.good is False][:1]
    return "; ".join(part for part in (*said, trouble) if part)


def _messages(node: Node) -> Iterator[Node]:
    """The outermost APDUs, of a frame or of what its segments give together."""
    if node.type == APDU:
        yield node
        return
    for part in node.parts:
        yield from _messages(part)
    for derived in node.derived:
        if derived.tree is not None:
            yield from _messages(derived.tree)


def _message(root: Node) -> str:
    held = deciphered(root)
    text = held.text or held.name.replace("_", "-")
    if isinstance(held.value, DataNotification) and (values := readings(held.value.body)):
        text += f": {', '.join(values[:MOST_VALUES])}" + (", ..." if len(values) > MOST_VALUES else "")
    if held is root and is_ciphered(root):
        title = _title(root)
        text = ", ".join(part for part in (text, title, UNREADABLE) if part)
    together = [derived.tree for derived in held.derived if derived.tree is not None]
    return text + "".join(BECOMES + (_message(tree) if tree.type == APDU else tree.text) for tree in together)


def _title(root: Node) -> str:
    value = root.value
    if isinstance(value, GeneralGloCiphering):
        return system_title(value.system_title)
    return system_title(value.originator_system_title) if isinstance(value, GeneralCiphering) else ""


def _frame(tree: Node) -> str:
    if tree.name in ("wrapper", "hdlc_frame"):
        text = tree.text.partition(", ")[2]
        information = tree.part("information")
        return ", ".join(
            part for part in (text, information.text if information and not information.parts else "") if part
        )
    if tree.name == "mbus_frame" and (information := tree.part("information")) and information.text:
        return f"{tree.text}, {information.text}"
    return tree.text or ("" if tree.name == NOISE else tree.name.replace("_", "-"))
