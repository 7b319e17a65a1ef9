"""Closed lists of words that the store keeps, the API says and commands take, and that nothing has to be loaded for."""

from enum import StrEnum


class MeterState(StrEnum):
    """How far a meter is. The store keeps the word; of one that is NEW it keeps nothing."""

    NEW = "new"
    """Nothing was ever begun."""
    COMMISSIONING = "commissioning"
    """Begun, and not at its end."""
    FAILED = "failed"
    """The last attempt ended with a step that failed."""
    COMMISSIONED = "commissioned"
    """Every step was seen done."""


class StepResult(StrEnum):
    """How a step ended."""

    DONE = "done"
    LEFT = "left"
    """There was nothing to do."""
    FAILED = "failed"


class ApprovalState(StrEnum):
    """What became of it. The store keeps the word."""

    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    """The request was cancelled before anybody had decided."""


class ApprovalOf(StrEnum):
    """What waits for it."""

    REQUEST = "request"
    CAMPAIGN = "campaign"


class Guarded(StrEnum):
    """What has limits. The store keeps the word."""

    DISCONNECTS = "disconnects"
    LOAD_LIMITS = "load_limits"
    """A low one switches off like a disconnect."""
    KEYS = "keys"
    FIRMWARE = "firmware"

    @property
    def words(self) -> str:
        """For a person."""
        return {"load_limits": "load limits", "keys": "changes of keys"}.get(self.value, self.value)


class Every(StrEnum):
    """How often a schedule is due."""

    DAY = "day"
    HOUR = "hour"
