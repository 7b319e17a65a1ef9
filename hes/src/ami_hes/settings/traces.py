"""What is kept of requests, and who is told of it."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from ami_process.http_urls import ReceiverUrl
from ami_process.settings import Section


class TraceSettings(Section):
    """`[hes.traces]`: what is kept of requests for `ami trace`."""

    keep: Literal["off", "sampled", "everything"] = "sampled"
    """`everything`: every APDU of every meter, for an hour in which something is looked for."""
    meters_per_request: int = Field(
        default=20, ge=0, description="whose sessions are kept, of the meters of a request that ended well first"
    )
    failures_per_request: int = Field(default=200, ge=0, description="sessions that failed, of a request")
    one_of: int = Field(default=100, ge=1, description="beyond these one of so many that ended well is kept")
    per_second: float = Field(
        default=50.0, gt=0, allow_inf_nan=False, description="of the sessions that ended well, however many requests"
    )
    octets_per_meter: int = Field(
        default=256_000, ge=1_000, le=10_000_000, description="of APDUs in one attempt; those behind are left out"
    )
    max_octets: int = Field(
        default=256_000_000, ge=1_000_000, description="of all sessions in the store, packed; the oldest ones go"
    )
    keep_days: float = Field(default=7.0, gt=0, le=366, description="how long they are kept")


class TelemetrySettings(Section):
    """`[hes.telemetry]`: a collector of OpenTelemetry, which is told of requests what `[hes.traces]` keeps of them ([telemetry](howto/telemetry.md))."""

    endpoint: ReceiverUrl | None = Field(
        default=None,
        description="where it takes traces by OTLP over HTTP, as http://127.0.0.1:4318 (`/v1/traces` is added where there is no path); unset: nobody is told. Needs the extra `ami-hes[otel]`",
    )
    token: str | None = Field(default=None, repr=False, description="a bearer token for it: `env:NAME` or `file:PATH`")
    authorities: Path | None = Field(
        default=None, description="that have signed its certificate (PEM); unset: the usual ones"
    )
    service: str = Field(
        default="ami-hes", min_length=1, max_length=100, description="`service.name` of what it is told"
    )
