"""The payloads of IEC 61968-9 that are read and written, one module per noun, and the one of nouns that are not."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Payload:
    """What the payload of any noun is; `ami_cim.nouns` says which there are."""
