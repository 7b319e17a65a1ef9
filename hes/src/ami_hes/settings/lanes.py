"""What may be done at once: by lane, and by group of meters."""

from pydantic import Field

from ami_process.settings import Seconds, Section


class LaneSettings(Section):
    """`[hes.lanes.read]` and `[hes.lanes.campaign]`: what may wait and be worked in a lane below that of controls."""

    deadline_s: Seconds
    """The work on all meters of a request has to end within this."""
    max_pending: int = Field(default=100_000, ge=1, description="accepted commands that still wait or run")
    share: float = Field(gt=0, le=1, description="of `hes.max_sessions`, in this lane and those below it")
    attempts: int = Field(
        default=3, ge=1, description="how often a meter is tried whose fault may be gone the next time"
    )
    retry_first_s: Seconds = 1.0
    """The first pause before a meter is tried again; it doubles each time."""
    retry_most_s: Seconds = 30.0
    """The longest pause."""


class ReadSettings(LaneSettings):
    """`[hes.lanes.read]`: reading on demand."""

    deadline_s: Seconds = 120.0
    share: float = Field(default=0.8, gt=0, le=1, description="of `hes.max_sessions`, in this lane and those below it")


class CampaignSettings(LaneSettings):
    """`[hes.lanes.campaign]`: what can wait, as collecting by schedule."""

    deadline_s: Seconds = 3600.0
    share: float = Field(default=0.5, gt=0, le=1, description="of `hes.max_sessions`")


class LanesSettings(Section):
    """`[hes.lanes]`: controls go before reads, and reads before campaigns. Controls have `hes.deadline_s` and `hes.max_pending`."""

    read: ReadSettings = ReadSettings()
    campaign: CampaignSettings = CampaignSettings()


class GroupSettings(Section):
    """`[[hes.groups]]`: meters that share what is narrow; a meter is in the first group that fits."""

    tag: str = Field(min_length=1)
    """A tag of the registry, as `feeder`."""
    value: str | None = None
    """Its value; unset: each value of the tag is a group by itself."""
    sessions: int | None = Field(default=None, ge=1)
    """Meters of it that are worked at once; unset: no limit of its own."""
    sessions_per_second: float | None = Field(default=None, gt=0)
    """How many sessions are begun in a second; unset: no limit."""
