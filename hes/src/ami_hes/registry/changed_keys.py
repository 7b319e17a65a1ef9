"""Rows of keys that were changed at a meter, as they are sealed: what each is, and which of them count.

Of a meter and one of its secrets there may be three rows: the key that was `sent` and not seen in force, the one that is `in force`, and
the one `of entry` that the latter took the place of. What is in force counts as long as the entry has the secret that it had then:
so neither the configuration, which is read at each start, nor a shipment that is imported again undoes a change, and an entry
with another secret has the say again.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Self

from ami_hes.store import Sealed

SENT, IN_FORCE, OF_ENTRY = "sent ", "in force ", "of entry "
"""Followed by the field of the entry: the purpose of a row."""


class ChangedKey(NamedTuple):
    """A key, and the request by which it came."""

    key: bytes
    request_id: str = ""

    def format(self) -> bytes:
        """As it is sealed: an octet with the length of the key, the key, the request."""
        return bytes((len(self.key),)) + self.key + self.request_id.encode()

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """What `format` wrote."""
        end = 1 + octets[0]
        return cls(octets[1:end], octets[end:].decode())


def in_force(
    entry: Mapping[str, bytes], rows: Iterable[Sealed], opened: Callable[[Sealed], ChangedKey]
) -> dict[str, bytes]:
    """The secrets that count: those of the entry, but for changed ones. Raises CannotOpen."""
    by_purpose = {row.purpose: row for row in rows}
    secrets = dict(entry)
    for purpose, row in by_purpose.items():
        field = purpose.removeprefix(IN_FORCE)
        if field == purpose:
            continue
        if (former := by_purpose.get(OF_ENTRY + field)) is not None and opened(former).key == entry.get(field):
            secrets[field] = opened(row).key
    return secrets
