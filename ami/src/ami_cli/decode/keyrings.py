"""Whose keys open which messages: those of the command line, or those of the meter of a registry whose title is in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ami_cli.meter.registry import read_keys
from ami_dlms.explain import DecodingSession, Keyring


@dataclass(frozen=True, slots=True)
class Keyrings:
    """`given` is used where no title of `by_title` occurs."""

    given: Keyring
    by_title: Mapping[bytes, Keyring] = field(default_factory=dict)

    def session(self, messages: Sequence[bytes]) -> DecodingSession:
        """For messages that belong together: a system title is in an AARE, and in every general-glo frame."""
        return self.session_of(next((title for message in messages if (title := self.title_in(message))), None))

    def title_in(self, message: bytes) -> bytes | None:
        """The title of a registered meter that occurs in a message."""
        return next((title for title in self.by_title if title in message), None)

    def session_of(self, title: bytes | None) -> DecodingSession:
        """For the messages of the meter of this title."""
        return DecodingSession(self.given if title is None else self.by_title[title])


def with_registry(given: Keyring, registry: Path | None, environ: Mapping[str, str]) -> Keyrings:
    """The keys of all meters of a configuration file beside those that are given; MeterError says what to mend."""
    if registry is None:
        return Keyrings(given)
    return Keyrings(
        given,
        {
            one.system_title: replace(
                given,
                encryption_key=one.encryption_key,
                authentication_key=one.authentication_key,
                title_peer=one.system_title,
            )
            for one in read_keys(registry, environ=environ)
        },
    )
