"""Whom the HES speaks CIM with that is not simply strict: subscribers, and partners with dialects."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from ami_hes.partner_files import dialect_of, profile_of
from ami_hes.settings.values import MeterGroup
from ami_process.http_urls import ReceiverUrl
from ami_process.message_security import Outgoing
from ami_process.settings import Section

EventNoun = Literal[
    "MeterReadings",
    "EndDeviceEvents",
    "MeterConfig",
    "EndDeviceConfig",
    "UsagePointConfig",
    "MasterDataLinkageConfig",
]


class SubscriberSettings(Section):
    """`[[hes.subscribers]]`: who gets what is collected by schedule, what has happened to meters, or what has changed of master data."""

    name: str = Field(min_length=1, max_length=100)
    """MessageIDs of its events follow from it, so a name is kept for as long as the subscriber is the same."""
    url: ReceiverUrl | None = Field(default=None, description="where events are posted")
    directory: Path | None = Field(
        default=None, description="in place of `url`: an existing directory, where each event is a file"
    )
    file_format: Literal["xml", "csv"] = "xml"
    """Of files: the message without a SOAP envelope, or a line for each value."""
    meters_per_file: int = Field(default=100, ge=1, le=100, description="meters in one file, at most")
    nouns: tuple[EventNoun, ...] = ("MeterReadings",)
    """Events of these nouns are for it."""
    groups: tuple[MeterGroup, ...] = Field(
        default=(), description='meters that have one of these tags of the registry, as "feeder=F12"; unset: all meters'
    )
    event: Literal["generic", "typed"] = "generic"
    """How an event is written: as EventMessage, or as the noun's own, as CreatedMeterReadings."""
    ack_required: bool = Field(default=True, description="Header.AckRequired of its events")
    partner: str | None = Field(
        default=None,
        min_length=1,
        description="name of an entry of `[[hes.partners]]`, in whose dialect and ReadingTypes its events are written",
    )
    values_per_message: int = Field(
        default=2_000, ge=1, le=100_000, description="values in one event, unless one meter has more"
    )

    @model_validator(mode="after")
    def _has_one_target(self) -> Self:
        if (self.url is None) == (self.directory is None):
            raise ValueError("a subscriber has a url or a directory")
        if self.partner is not None and self.directory is not None and self.file_format == "csv":
            raise ValueError("files of lines have no dialect: a partner gets xml")
        return self


class PartnerSettings(Section):
    """`[[hes.partners]]`: a partner that reads or writes the standard otherwise: by what it is known, and how it is understood and answered."""

    name: str = Field(default="", max_length=100)
    """What it is called in what is reported."""
    source: str | None = Field(default=None, min_length=1)
    """Its Header.Source."""
    reply_address: str | None = Field(default=None, min_length=1)
    """Its ReplyAddress, of which scheme, host and port count; with `source`, both have to fit."""
    dialect: str = "strict"
    """Its namespaces, wrappers and orders: `strict`, the name of a known product's, or a file that ends with .toml."""
    late_reply: Literal["generic", "typed", "operation"] | None = Field(
        default=None,
        description="how a late reply is written: as ResponseMessage, as the noun's own, as EndDeviceControlsResponseMessage, or in the operation Response; unset: as the dialect says",
    )
    several_names: Literal["one-meter", "several-meters"] = "one-meter"
    """What several Names of one EndDevice without mRID are."""
    mapping: Path | None = Field(
        default=None, description="profile of its ReadingTypes (TOML); unset: the general ones"
    )
    mapping_rows: Path | None = Field(
        default=None, description="rows of the mapping of its own (CSV), beside the profile"
    )
    meters_per_message: int | None = Field(
        default=None, ge=1, description="of an answer in parts; unset: as many as `hes.max_answer_octets` lets in"
    )

    message_security: Literal["required"] | None = Field(
        default=None,
        description="`required`: a message with its Source or ReplyAddress has to prove by its Security header who it is from, also where others need not",
    )
    outgoing: Outgoing | None = Field(
        default=None,
        description="what late replies and events for it get; unset: as `hes.message_security.outgoing`",
    )
    max_request_octets: int | None = Field(
        default=None,
        ge=1_000,
        le=64_000_000,
        description="of its largest request, if that is more than `hes.max_request_octets`; whoever gives its Source may send as much",
    )

    @field_validator("dialect")
    @classmethod
    def _is_a_dialect(cls, value: str) -> str:
        dialect_of(value)
        return value

    @model_validator(mode="after")
    def _is_known_by_something(self) -> Self:
        if self.source is None and self.reply_address is None:
            raise ValueError("a partner needs source or reply_address, to be known by")
        profile_of(self.mapping, self.mapping_rows)
        return self
