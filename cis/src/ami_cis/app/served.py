"""What the CIS serves on its one port: the inbox for messages, the API with its console, and who comes in at each of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from zoneinfo import ZoneInfo

import httpx
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from ami_cis.api import PREFIX, control_routes
from ami_cis.console import SITE
from ami_cis.device_events_api import device_event_routes
from ami_cis.inbox import Inbox
from ami_cis.meters_api import meter_routes
from ami_cis.places_api import place_routes
from ami_cis.readings_api import reading_routes
from ami_cis.requests_api import Changes, request_routes
from ami_cis.roles import ROUTES
from ami_cis.schedules_api import schedule_routes
from ami_cis.settings import Cis
from ami_cis.standings import Standings
from ami_cis.store import Store
from ami_cis.under_way import Asking
from ami_cis.workflows import (
    Controls,
    EventQuestions,
    Exchanges,
    MasterData,
    MeterExchanges,
    Readings,
    ReadSchedules,
)
from ami_console import Console, IssuerSignIn, Live, Sessions, reporting
from ami_process.api import Branch, create_api
from ami_process.clock_api import clock_routes
from ami_process.doors import Admissions
from ami_process.environment import Environment, real_time
from ami_process.health import Health
from ami_process.message_security import MessageSecurity
from ami_process.oidc import TokenIssuer
from ami_process.principal_api import principal_routes
from ami_process.tls import client_context
from ami_process.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Seen:
    """What is shown of the meters and the requests, and the environment whose events change it."""

    standings: Standings
    changes: Changes
    live: Live
    zone: ZoneInfo
    environment: Environment


@dataclass(frozen=True, slots=True)
class Asked:
    """By what the HES is asked."""

    exchanges: Exchanges
    controls: Controls
    readings: Readings
    asking: Asking


def routes_of(asked: Asked, seen: Seen, store: Store, environment: Environment) -> list[BaseRoute]:
    """Those of the API."""
    asking, changes = asked.asking, seen.changes
    master_data = MasterData(asked.exchanges, environment)
    questions = EventQuestions(asked.exchanges, environment)
    return [
        *clock_routes(environment.clock),
        *principal_routes(ROUTES),
        *control_routes(asked.controls, asking),
        *reading_routes(asked.readings, store, asking),
        *device_event_routes(store, questions, asking, environment.now, changes.note_acknowledged),
        *meter_routes(master_data, MeterExchanges(master_data, asked.readings), asking),
        *schedule_routes(ReadSchedules(asked.exchanges, environment), store, asking),
        *place_routes(store, seen.standings, environment.now),
        *request_routes(store, changes, seen.standings, seen.live, seen.zone),
    ]


@dataclass(frozen=True, slots=True)
class Doors:
    """Who comes in: by a token, as a principal, with a session of the console, or by an issuer's word."""

    cis: Cis
    admissions: Admissions
    sessions: Sessions
    by_issuer: IssuerSignIn | None

    @classmethod
    def of(cls, cis: Cis, environment: Environment, *, bound_to: str) -> Self:
        """`bound_to`: the address that the port is open at. Raises SettingsError for a file or a secret that can't be read."""
        tokens = Tokens.of(cis.token_file, "cis.token_file", bound_to=bound_to)
        issuer = _issuer(cis, environment)
        admissions = Admissions.of("cis", tokens, cis.principals, cis.anonymous, bound_to, real_time, issuer)
        sessions = Sessions(
            tokens,
            "cis",
            environment.random_bytes,
            closed=not admissions.api.is_open,
            owner=admissions.api.owner,
            told=reporting(environment.emit),
        )
        by_issuer = IssuerSignIn.of(sessions, issuer, "cis.oidc", environment.random_bytes, _public_url(cis))
        return cls(cis, admissions, sessions, by_issuer)

    def application(
        self,
        inbox: Inbox,
        routes: Sequence[BaseRoute],
        health: Health,
        security: MessageSecurity,
        reply_address: str | None,
    ) -> ASGIApp:
        """Inbox, console and API on one port, each behind its door."""
        names = (self.cis.host, *self.cis.host_names, httpx.URL(reply_address or "").host)
        setting = "cis.host_names"
        console = Console(SITE, self.sessions, names=names, names_setting=setting, issuer=self.by_issuer)
        api = create_api(
            routes,
            self.admissions.api,
            names=names,
            names_setting=setting,
            admits=self.sessions.principal_of,
            roles=ROUTES,
        )
        messages = inbox.application(health, names, _public_url(self.cis), self.admissions.messages, security)
        return Branch(PREFIX, api, console.before(messages))


def _issuer(cis: Cis, environment: Environment) -> TokenIssuer | None:
    """Whose tokens are taken."""
    if cis.oidc.issuer is None:
        return None
    return TokenIssuer(cis.oidc, trusted=client_context(cis.tls, "cis.tls", environment.emit))


def _public_url(cis: Cis) -> str | None:
    """What the reply address begins with, where one is configured."""
    return None if cis.reply_address is None else str(httpx.URL(cis.reply_address).copy_with(raw_path=b"")).rstrip("/")
