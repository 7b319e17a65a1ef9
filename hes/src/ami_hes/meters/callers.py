"""Callers that are not known yet: how many there may be at once, and who makes room when one more comes.

No caller waits when all places are taken. A caller of the address that holds too many places loses its own, so who calls in vain from
one address keeps out no caller from another; meters behind one NAT share an address. Who has pushed and has nothing
more to say goes first, then who has been silent longest, and last who has answered. An IPv6 address is as good as its first
64 bits.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ami_hes.meters.link import Link


@dataclass(slots=True, eq=False)
class Caller:
    """One of them. `pushed` is how many of its frames were pushes that it began with."""

    link: Link
    address: str
    pushed: int = 0

    @property
    def delivered(self) -> bool:
        """Whether it has pushed, and said nothing since."""
        return 0 < self.pushed == self.link.frames

    @property
    def standing(self) -> tuple[bool, bool]:
        """What it has to lose: the least goes first."""
        return not self.delivered, bool(self.link.frames)


@dataclass(frozen=True, slots=True)
class CallerPlaces:
    """How many callers may be unknown at once, in all and from one address."""

    most: int
    most_per_address: int

    def crowded_out(self, callers: Sequence[Caller], newcomer: str) -> Caller | None:
        """Of the callers in the order in which they came, the one that makes room for one more; None: there is room."""
        of_each = Counter(caller.address for caller in callers)
        if of_each[newcomer] >= self.most_per_address:
            crowd = newcomer
        elif len(callers) >= self.most:
            crowd = of_each.most_common(1)[0][0]
        else:
            return None
        return min((one for one in callers if one.address == crowd), key=lambda one: one.standing)
