"""What a second person has to approve."""

from pydantic import Field

from ami_hes.settings.values import MeterGroup
from ami_process.settings import Section


class GroupLimitSettings(Section):
    """`[[hes.guard.disconnects.groups]]` and the same of the others: a limit of its own for each group of meters with this tag."""

    tag: str = Field(min_length=1)
    """A tag of the registry, as `feeder`."""
    value: str | None = None
    """Its value; unset: each value of the tag is a group by itself."""
    meters: int = Field(ge=0, description="of the group, in an hour, whoever asks")


class GuardLimitSettings(Section):
    """`[hes.guard.keys]`, `[hes.guard.firmware]`: how many meters in an hour need no second person."""

    per_principal: int | None = Field(
        default=None, ge=0, description="meters in an hour that one principal may ask for; unset: no limit"
    )
    in_all: int | None = Field(default=None, ge=0, description="meters in an hour of all principals; unset: no limit")
    groups: tuple[GroupLimitSettings, ...] = Field(default=(), max_length=100)
    """Beside these, by group."""


class SwitchingLimitSettings(GuardLimitSettings):
    """`[hes.guard.disconnects]`, `[hes.guard.load_limits]`: the same of what takes power away. Connects have no limit."""

    per_principal: int | None = Field(default=50, ge=0, description="meters in an hour that one principal may ask for")
    in_all: int | None = Field(default=200, ge=0, description="meters in an hour of all principals")


class GuardSettings(Section):
    """`[hes.guard]`: what a second person has to approve before it is done ([approve-mass-switching](howto/approve-mass-switching.md))."""

    disconnects: SwitchingLimitSettings = SwitchingLimitSettings()
    """`[hes.guard.disconnects]`."""
    load_limits: SwitchingLimitSettings = SwitchingLimitSettings()
    """`[hes.guard.load_limits]`: limits and emergency limits that are set."""
    keys: GuardLimitSettings = GuardLimitSettings()
    """`[hes.guard.keys]`: keys that are changed, by commissioning too."""
    firmware: GuardLimitSettings = GuardLimitSettings()
    """`[hes.guard.firmware]`."""
    protected: tuple[MeterGroup, ...] = Field(
        default=("protected=yes",),
        max_length=100,
        description="tags of meters that take all of the above with approval alone, as hospitals",
    )
    approval_hours: float = Field(
        default=24.0, gt=0, le=24 * 31, description="how long a request waits for approval; then it ends with 5.2"
    )
