"""The hash chain: each entry's hash goes over its canonical text and the hash of the one before it.

    hash(n) = SHA-256( hash(n-1) as 64 hex digits, line feed, canonical text of n in ASCII )

The hash before the first entry is `BEGINNING`. What was edited, left out, put in or moved breaks the chain at that place. Entries
that are cut off at the end leave a whole chain: who keeps an anchor (a number and its hash) elsewhere sees that they are gone.
Who can write the store can also make another chain of the same length, which nothing but an anchor shows either.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

from ami_hes.audit.entries import parse_entry

BEGINNING = "0" * 64
MOST_PROBLEMS = 20
"""That are told one by one."""


class Link(NamedTuple):
    """An entry as it is kept."""

    seq: int
    text: str
    hash: str
    misfiled: bool = False
    """Whether the store finds it under another time or request than it says itself, which no hash goes over."""


class Chain(NamedTuple):
    """What the store says of the chain beside its entries: what was dropped before the first one, and the last one."""

    base_seq: int
    base_hash: str
    seq: int
    hash: str


class Anchor(NamedTuple):
    """An entry's number and hash, as somebody has noted them elsewhere."""

    seq: int
    hash: str

    def format(self) -> str:
        return f"{self.seq}:{self.hash}"


def parse_anchor(text: str) -> Anchor:
    """NUMBER:HASH; ValueError for anything else."""
    number, _, digest = text.strip().partition(":")
    if not (number.isdecimal() and len(number) <= 18 and len(digest) == 64 and set(digest) <= set("0123456789abcdef")):
        raise ValueError("an anchor is NUMBER:HASH, as `ami audit verify` prints it")
    return Anchor(int(number), digest)


def hash_of(previous: str, text: str) -> str:
    """The hash of an entry behind one with the hash `previous`."""
    return sha256(f"{previous}\n{text}".encode()).hexdigest()


@dataclass(slots=True)
class ChainReport:
    """What checking has found; no problem: the chain is whole, from behind what was dropped to the last entry."""

    entries: int = 0
    last: Anchor | None = None
    problems: list[str] = field(default_factory=list)
    more: int = 0
    """Problems beyond those that are told."""
    unproved: list[Anchor] = field(default_factory=list)
    """Anchors at entries that were dropped by retention, of which nothing can be said."""

    @property
    def is_whole(self) -> bool:
        return not self.problems

    def note(self, problem: str) -> None:
        """One more."""
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)
        else:
            self.more += 1


class ChainCheck:
    """Checks a chain entry by entry, in the order of the numbers; what breaks it is told with its place.

    What is written while it goes on is left for the next time.
    """

    def __init__(self, chain: Chain, anchors: Sequence[Anchor] = ()) -> None:
        self._chain = chain
        self._wanted = {one.seq: one for one in anchors}
        self._seq, self._previous = chain.base_seq, chain.base_hash
        self._cut: Anchor | None = None
        self._report = ChainReport()

    @property
    def entries(self) -> int:
        """How many it has checked."""
        return self._report.entries

    @property
    def total(self) -> int:
        """How many it is going to have checked."""
        return self.entries + self._chain.seq - self._seq

    @property
    def seq(self) -> int:
        """The number of the last entry that it has checked, or of the one before the first."""
        return self._seq

    def add_page(self, chain: Chain, links: Iterable[Link]) -> None:
        """The next entries, and what the store said of the chain with them: those that were dropped by age since the last page are not missed."""
        if chain.base_seq > self._seq:
            self._chain, self._seq, self._previous = chain, chain.base_seq, chain.base_hash
        for link in links:
            if link.seq <= self._chain.seq:
                self.add(link)

    def add(self, link: Link) -> None:
        """The next entry."""
        for problem in _problems(link, self._seq, self._previous):
            self._report.note(problem)
        anchor = self._wanted.pop(link.seq, None)
        if anchor is not None and anchor.hash != link.hash:
            self._report.note(f"entry {link.seq} is not the one of the anchor {anchor.format()}")
        self._cut = _cut_of(link.text) or self._cut
        self._seq, self._previous = link.seq, link.hash
        self._report.entries += 1

    def end(self) -> ChainReport:
        """There are no more."""
        report, last = self._report, Anchor(self._seq, self._previous)
        report.last = last
        for problem in (*_at_the_ends(self._chain, last, self._cut), *self._of_anchors()):
            report.note(problem)
        return report

    def _of_anchors(self) -> Iterator[str]:
        """Those at no entry that is there."""
        chain = self._chain
        for anchor in self._wanted.values():
            if anchor.seq > chain.base_seq or anchor.seq < 1:
                yield f"the entry of the anchor {anchor.format()} is not there: the end was cut off, or it is of another log"
            elif anchor.seq == chain.base_seq and anchor.hash != chain.base_hash:
                yield f"the chain does not begin behind the anchor {anchor.format()}"
            elif anchor.seq < chain.base_seq:
                self._report.unproved.append(anchor)


def follow(links: Iterable[Link], chain: Chain, anchors: Sequence[Anchor] = ()) -> ChainReport:
    """Check a whole chain."""
    check = ChainCheck(chain, anchors)
    for link in links:
        check.add(link)
    return check.end()


def _problems(link: Link, before: int, previous: str) -> Iterator[str]:
    if link.seq != before + 1:
        yield f"entry {link.seq} follows entry {before}: {_between(before, link.seq)}"
    if hash_of(previous, link.text) != link.hash:
        yield f"entry {link.seq} is not what its hash was made of: it, or what stands before it, was changed"
    try:
        said = parse_entry(link.text)["seq"]
    except ValueError:
        yield f"entry {link.seq} can't be read"
        return
    if said != link.seq:
        yield f"entry {link.seq} says of itself that it is entry {said}"
    if link.misfiled:
        yield f"entry {link.seq} is filed under another time or request than it says: it is looked up, and dropped by age, by what was changed"


def _between(before: int, seq: int) -> str:
    missing = seq - before - 1
    return f"{missing} are missing" if missing > 0 else "the order is not that in which they were written"


def _cut_of(text: str) -> Anchor | None:
    """What an entry says that was dropped: up to which number, and its hash."""
    if '"what":"cut"' not in text:
        return None
    try:
        return parse_anchor(str(parse_entry(text).get("asked", "")))
    except ValueError:
        return None


def _at_the_ends(chain: Chain, last: Anchor, cut: Anchor | None) -> Iterator[str]:
    if last != (chain.seq, chain.hash):
        written = f"{chain.seq} with the hash {chain.hash}"
        yield f"the last entry is {last.seq}, and the store says that {written} was written last"
    if chain.base_seq and cut != (chain.base_seq, chain.base_hash):
        yield f"entries up to {chain.base_seq} are gone, and no entry says that they were dropped by age"
