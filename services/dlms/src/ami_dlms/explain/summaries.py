"""A message in a line: which APDU, what it is about, what came of it, and what it holds unencrypted."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from ami_dlms.apdu.ciphered import GeneralCiphering, GeneralDedCiphering, GeneralGloCiphering, ServiceCiphering
from ami_dlms.explain.node import FRAMING, MISSING, Node
from ami_dlms.explain.value_types import ABSENT

SAID = (
    "application_context", "mechanism", "descriptor", "result", "diagnostic", "state_error", "service_error", "reason",
    "block_number",
    "value", "parameters", "return_parameters", "body",
)  # fmt: skip
LISTS = ("variables", "items", "values", "results")
"""Of these how many there are, or the only one."""
NOT_SHOWN = "not shown"
CIPHERED = (GeneralGloCiphering, GeneralDedCiphering, GeneralCiphering, ServiceCiphering)


def headline(root: Node, hidden: Iterable[Node] = ()) -> str:
    """The name of an APDU with what its own fields say; for hidden parts only that they are there."""
    name, places = root.name.replace("_", "-"), {id(node) for node in hidden}
    said = [_said(part, places) for part in _telling(root) if part.type not in (MISSING, ABSENT)]
    return f"{name}: {', '.join(said)}" if said else name


def _telling(root: Node) -> Iterator[Node]:
    for part in root.parts:
        if part.name == "block":
            yield from _telling(part)
        elif part.name in LISTS:
            items = _items(part)
            yield items[0] if len(items) == 1 else part
        elif part.name in SAID:
            yield part


def items_of(root: Node) -> list[Node]:
    """The items of a request for many, or of its answer."""
    return [item for part in root.parts if part.name in LISTS for item in _items(part)]


def _items(part: Node) -> list[Node]:
    return [item for item in part.parts if item.type != FRAMING]


def _said(part: Node, places: Container[int]) -> str:
    if part.name == "block_number":
        return f"block {part.text}"
    return NOT_SHOWN if id(part) in places or any(id(one) in places for one in part.parts) else part.text


def is_ciphered(root: Node) -> bool:
    """Whether an APDU is a protected one, deciphered or not."""
    return isinstance(root.value, CIPHERED)


def deciphered(root: Node) -> Node:
    """What a ciphered APDU holds, through every layer that could be deciphered; any other APDU is that itself."""
    content = root.part("content")
    if content is None:
        return root
    held = [derived.tree for derived in content.derived if derived.tree is not None]
    held += [part for part in content.parts if part.type == root.type]
    return deciphered(held[0]) if held else root


def inside(root: Node) -> Node | None:
    """The APDU in the user-information of an association's APDU, as it was sent."""
    information = root.part("user_information")
    held = [] if information is None else [part for part in information.parts if part.type == root.type]
    return held[0] if held else None
