"""A tree in lines for a person: where, which octets, which field, what they say. Pure: trees in, styled pieces out.

What octets turned into when they were deciphered or put together is shown behind a bar, with offsets of its own. State is
shown by shape and word and colour, never by colour alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ami_cli.formatting import GLYPHS
from ami_dlms.explain import FRAMING, MISSING, Derived, Node, is_sound

PER_LINE = 8
LONG = 64
SHOWN_OF_LONG = 3 * PER_LINE
NAME_WIDTH = 34
BAR = "│ "
Piece = tuple[str, str]
Line = list[Piece]


@dataclass(frozen=True, slots=True)
class View:
    """How much is shown."""

    full: bool = False

    def lines(self, tree: Node) -> Iterator[Line]:
        """One message: a heading, then its leaves in the order of their octets."""
        mark = ("OK", "ok") if is_sound(tree) else ("FAILED", "failed")
        yield [(GLYPHS[mark[0]], mark[1]), (f" {tree.name}", "bold"), (f"  {tree.text}", ""), (_size(tree), "quiet")]
        if tree.trouble:
            yield [(f"      {GLYPHS['FAILED']} {tree.trouble}", "failed")]
        yield from self._inside(tree, 0, "") if tree.parts else self._octets(tree)

    def _octets(self, node: Node) -> Iterator[Line]:
        """Those of a message that is nothing but octets."""
        yield from ([(f"{offset}  {shown}", "quiet")] for offset, shown in self._rows(node))

    def _inside(self, node: Node, depth: int, bars: str) -> Iterator[Line]:
        for part in node.parts:
            yield from self._node(part, depth, bars)
        for derived in node.derived:
            yield from self._derived(derived, bars)

    def _node(self, node: Node, depth: int, bars: str) -> Iterator[Line]:
        rows = [] if node.parts else self._rows(node)
        first = rows[0] if rows else (" " * 4, "")
        yield self._line(first, node, depth, bars)
        for row in rows[1:]:
            yield [(bars, "line"), (f"{row[0]}  {row[1]}", "quiet" if node.type == FRAMING else "")]
        if node.trouble:
            yield [(bars, "line"), (f"      {GLYPHS['FAILED']} {node.trouble}", "failed")]
        yield from self._inside(node, depth + 1, bars)

    def _line(self, row: tuple[str, str], node: Node, depth: int, bars: str) -> Line:
        style = "quiet" if node.type == FRAMING else "failed" if node.type == MISSING else ""
        name = f"{'  ' * depth}{node.name}"
        text = f"{name:<{NAME_WIDTH}}  {node.text}" if node.text else name
        named, said = text[: len(name)], text[len(name) :]
        return [
            (bars, "line"),
            (f"{row[0]}  ", "quiet"),
            (f"{row[1]:<{3 * PER_LINE}}  ", style),
            (named, style or ("bold" if node.parts else "running")),
            (said, style),
        ]

    def _rows(self, node: Node) -> list[tuple[str, str]]:
        """Offset and hex of a leaf, some octets per row; a long one is cut unless all is wanted."""
        octets = node.octets
        cut = len(octets) > LONG and not self.full
        shown = octets[:SHOWN_OF_LONG] if cut else octets
        rows = [
            (f"{node.start + place:04X}", shown[place : place + PER_LINE].hex(" ").upper())
            for place in range(0, len(shown), PER_LINE)
        ]
        return [*rows, (" " * 4, f"and {len(octets) - len(shown)} octets more")] if cut else rows

    def _derived(self, derived: Derived, bars: str) -> Iterator[Line]:
        glyph, style = {True: ("OK", "ok"), False: ("FAILED", "failed"), None: ("PARTIAL", "partial")}[derived.good]
        inner = bars + BAR
        yield [(inner, "line"), (GLYPHS[glyph], style), (f" {derived.how}", style)]
        if derived.tree is None:
            return
        tree = derived.tree
        yield [(inner, "line"), (tree.name, "bold"), (f"  {tree.text}", ""), (_size(tree), "quiet")]
        if tree.trouble:
            yield [(inner, "line"), (f"{GLYPHS['FAILED']} {tree.trouble}", "failed")]
        yield from self._inside(tree, 0, inner) if tree.parts else self._node(tree, 0, inner)


def _size(tree: Node) -> str:
    return f"  {len(tree.octets)} octet{'' if len(tree.octets) == 1 else 's'}"
