"""Campaigns in the database: the Campaigns port. Their meters are commands like any others, and are counted there."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import ColumnElement, Connection, Row, Select, case, delete, func, insert, select, update

from ami_hes.store.campaigns_port import CampaignLine, CampaignState, StoredCampaign
from ami_hes.store.database import Database
from ami_hes.store.tables import campaigns, commands, requests

_ALL = func.count()
_DONE = func.count(commands.c.finished_at)
_OK = func.sum(case((commands.c.ok, 1), else_=0))
_LINES = (
    select(*campaigns.c, _ALL.label("meters"), _DONE.label("done"), _OK.label("ok_ones"))
    .join(commands, commands.c.request_id == campaigns.c.campaign_id)
    .group_by(*campaigns.c)
)
_FORGOTTEN = delete(campaigns).where(
    ~select(requests.c.request_id).where(requests.c.request_id == campaigns.c.campaign_id).exists()
)


class SqlCampaigns:
    """The Campaigns port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, campaign: StoredCampaign) -> None:
        values = asdict(campaign) | {"state": str(campaign.state)}
        await self._database.transaction(lambda c: c.execute(insert(campaigns).values(values)).close())

    async def move(self, campaign_id: str, state: CampaignState, among: Sequence[CampaignState]) -> bool:
        open_ones = select(commands.c.meter_name).where(
            commands.c.request_id == campaign_id, commands.c.finished_at.is_(None)
        )
        this = update(campaigns).where(
            campaigns.c.campaign_id == campaign_id, campaigns.c.state.in_(map(str, among)), open_ones.exists()
        )
        return await self._database.transaction(lambda c: c.execute(this.values(state=str(state))).rowcount > 0)

    async def state_of(self, campaign_id: str) -> CampaignState | None:
        query = select(campaigns.c.state).where(campaigns.c.campaign_id == campaign_id)
        found = await self._database.transaction(lambda c: c.execute(query).scalar())
        return None if found is None else CampaignState(found)

    async def find(self, campaign_id: str) -> CampaignLine | None:
        query = _LINES.where(campaigns.c.campaign_id == campaign_id)
        found = await self._database.transaction(lambda c: _read(c, query))
        return found[0] if found else None

    async def lines(self, limit: int, *, under_way: bool = False) -> list[CampaignLine]:
        query = _LINES.order_by(campaigns.c.created_at.desc(), campaigns.c.campaign_id).limit(limit)
        return await self._database.transaction(lambda c: _read(c, query.having(_ALL > _DONE) if under_way else query))

    async def of_kind(self, kind: str, summary: str, limit: int) -> list[StoredCampaign]:
        accepted = select(requests.c.request_id).where(requests.c.request_id == campaigns.c.campaign_id).exists()
        query = select(campaigns).where(*_called(kind, summary), accepted)
        query = query.order_by(campaigns.c.created_at.desc(), campaigns.c.campaign_id).limit(limit)
        return await self._database.transaction(lambda c: list(map(_campaign, c.execute(query))))

    async def has_open(self, kind: str, summary: str) -> bool:
        open_ones = select(commands.c.request_id).join(campaigns, commands.c.request_id == campaigns.c.campaign_id)
        query = open_ones.where(*_called(kind, summary), commands.c.finished_at.is_(None)).limit(1)
        return await self._database.transaction(lambda c: c.execute(query).first() is not None)

    async def mrids(self, campaign_ids: Sequence[str]) -> frozenset[str]:
        query = select(commands.c.mrid).where(commands.c.request_id.in_(campaign_ids))
        return await self._database.transaction(lambda c: frozenset(c.execute(query).scalars()))

    async def forget(self) -> None:
        await self._database.transaction(lambda c: c.execute(_FORGOTTEN).close())


def _read(connection: Connection, query: Select[*tuple[object, ...]]) -> list[CampaignLine]:
    return list(map(_line, connection.execute(query)))


def _called(kind: str, summary: str) -> tuple[ColumnElement[bool], ...]:
    return campaigns.c.kind == kind, campaigns.c.summary == summary


def _line(row: Row[*tuple[object, ...]]) -> CampaignLine:
    found = row._mapping
    return CampaignLine(_campaign(row), int(found["meters"]), int(found["done"]), int(found["ok_ones"] or 0))


def _campaign(row: Row[*tuple[object, ...]]) -> StoredCampaign:
    found = row._mapping
    return StoredCampaign(
        campaign_id=found["campaign_id"],
        kind=found["kind"],
        summary=found["summary"],
        state=CampaignState(found["state"]),
        created_at=found["created_at"],
        at_once=found["at_once"],
    )
