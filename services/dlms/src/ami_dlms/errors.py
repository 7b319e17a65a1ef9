"""What can go wrong, seen from both sides: we asked wrongly (LocalError) or the peer did (RemoteError)."""

from __future__ import annotations


class DlmsError(Exception):
    """Base of everything this package raises on purpose."""


class LocalError(DlmsError):
    """The caller asked for something that the protocol, the settings or the present state forbid."""


class RemoteError(DlmsError):
    """The peer sent something that cannot be accepted."""


class DecodeError(RemoteError):
    """Octets that are no legal encoding: what was expected, what was found, where, and in which field."""

    def __init__(self, expected: str, got: str = "", offset: int = 0, field: str = "") -> None:
        super().__init__(expected, got, offset, field)
        self.expected = expected
        self.got = got
        self.offset = offset
        self.field = field

    def within(self, field: str) -> DecodeError:
        """The same error, one level further out: `field` is put in front of the path."""
        return DecodeError(self.expected, self.got, self.offset, f"{field}.{self.field}" if self.field else field)

    def shifted(self, start: int) -> DecodeError:
        """The same error as reported by a decoder of octets that begin at `start` of the whole."""
        return DecodeError(self.expected, self.got, self.offset + start, self.field)

    def __str__(self) -> str:
        found = f", got {self.got}" if self.got else ""
        where = f" in {self.field}" if self.field else ""
        return f"expected {self.expected}{found} at octet {self.offset}{where}"


class SecurityError(RemoteError):
    """A message whose protection is missing, wrong, replayed or weaker than agreed."""


class ForeignTitleError(SecurityError):
    """A message of another system title than that of the peer that is known."""


class ProofError(SecurityError):
    """The peer did not prove that it knows the secret of the authentication mechanism."""


class ProtocolError(RemoteError):
    """A well-formed message that has no place here and now."""


class LinkError(ProtocolError):
    """The data link under an association was refused, or is gone."""
