"""Firmware images and their transfers in the database: the FirmwareStore port. An image lies in parts, as it came."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from hashlib import sha256

from sqlalchemy import Connection, Float, Row, bindparam, case, cast, delete, func, insert, select, update

from ami_hes.store.database import Database
from ami_hes.store.firmware_port import (
    ImageExists,
    ImageProgress,
    StoredImage,
    StoredTransfer,
    TransferStage,
    WrongPart,
)
from ami_hes.store.tables import commands, firmware_transfers, image_parts, images
from ami_process.store.group_commit import GroupCommit

MOST_IN_MEMORY = 2
"""Images whose octets are kept in memory: a campaign asks for the same ones thousands of times."""
_OF_IMAGE = images.c.identifier == bindparam("of_image")
_THERE = select(func.coalesce(func.sum(func.length(image_parts.c.octets)), 0)).where(
    image_parts.c.identifier == bindparam("of_image")
)
_PARTS = (
    select(image_parts.c.octets)
    .where(image_parts.c.identifier == bindparam("of_image"))
    .order_by(image_parts.c.first_octet)
)
_DROP_PARTS = delete(image_parts).where(image_parts.c.identifier == bindparam("of_image"))
_COLUMNS = [one.name for one in fields(StoredTransfer)]
_REPLACE = (
    update(firmware_transfers)
    .where(firmware_transfers.c.mrid == bindparam("of_meter"))
    .values({name: bindparam(name) for name in _COLUMNS if name != "mrid"})
)

_JOINED = commands.outerjoin(
    firmware_transfers,
    (firmware_transfers.c.request_id == commands.c.request_id) & (firmware_transfers.c.mrid == commands.c.mrid),
)
_OF_CAMPAIGN = (
    select(commands.c.meter_name, *(firmware_transfers.c[name] for name in _COLUMNS))
    .select_from(_JOINED)
    .where(firmware_transfers.c.mrid.is_not(None))
)
_PART = cast(firmware_transfers.c.there, Float) / firmware_transfers.c.blocks
_SHARES = select(func.sum(case((commands.c.ok, 1.0), else_=func.coalesce(_PART, 0.0)))).select_from(_JOINED)


class SqlFirmware:
    """The FirmwareStore port; transfers that are kept at once share a transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keeping: GroupCommit[StoredTransfer] = GroupCommit(database, _keep_transfers)
        self._in_memory: OrderedDict[tuple[str, str], bytes] = OrderedDict()

    async def declare(self, image: StoredImage) -> ImageProgress:
        return await self._database.transaction(lambda connection: _declare(connection, image))

    async def add_part(self, identifier: str, offset: int, octets: bytes) -> ImageProgress:
        progress = await self._database.transaction(
            lambda connection: _add_part(connection, identifier, offset, octets)
        )
        if progress is None:
            raise WrongPart("the octets have another SHA-256 than was said; none of them is kept")
        return progress

    async def images(self) -> Sequence[ImageProgress]:
        return await self._database.transaction(_images)

    async def image(self, identifier: str) -> ImageProgress | None:
        return await self._database.transaction(lambda connection: _find(connection, identifier))

    async def remove(self, identifier: str) -> bool:
        return await self._database.transaction(lambda connection: _remove(connection, identifier))

    async def octets(self, identifier: str, sha256: str) -> bytes | None:
        key = (identifier, sha256)
        found = self._in_memory.get(key)
        if found is None:
            found = await self._database.transaction(lambda connection: _octets(connection, identifier, sha256))
        if found is not None:
            self._in_memory[key] = found
            self._in_memory.move_to_end(key)
            if len(self._in_memory) > MOST_IN_MEMORY:
                self._in_memory.popitem(last=False)
        return found

    async def transfer(self, mrid: str) -> StoredTransfer | None:
        query = select(*firmware_transfers.c).where(firmware_transfers.c.mrid == mrid)
        row = await self._database.transaction(lambda connection: connection.execute(query).one_or_none())
        return None if row is None else _transfer(StoredTransfer(**row._mapping))

    async def keep_transfer(self, transfer: StoredTransfer) -> None:
        await self._keeping.add(transfer)

    async def under_way(self, request_id: str, limit: int) -> Sequence[tuple[str, StoredTransfer]]:
        query = _OF_CAMPAIGN.where(commands.c.request_id == request_id, commands.c.finished_at.is_(None))
        query = query.order_by(commands.c.position).limit(limit)
        rows = await self._database.transaction(lambda connection: connection.execute(query).all())
        return [
            (name, _transfer(StoredTransfer(**dict(zip(_COLUMNS, transfer, strict=True))))) for name, *transfer in rows
        ]

    async def shares(self, request_id: str) -> float:
        query = _SHARES.where(commands.c.request_id == request_id)
        found: float | None = await self._database.transaction(lambda connection: connection.execute(query).scalar())
        return float(found or 0.0)


def _declare(connection: Connection, image: StoredImage) -> ImageProgress:
    found = _find(connection, image.identifier)
    if found is None:
        connection.execute(insert(images).values(asdict(image) | {"complete": False}))
        return ImageProgress(image, 0)
    if _told(found.image) != _told(image):
        raise ImageExists(image.identifier)
    return found


def _told(image: StoredImage) -> tuple[str, str, int, str]:
    """What makes it the same image."""
    return image.version, image.version_object, image.size, image.sha256


def _add_part(connection: Connection, identifier: str, offset: int, octets: bytes) -> ImageProgress | None:
    """None: the octets are all there and are not those that were said, so they are dropped."""
    found = _find(connection, identifier)
    if found is None:
        raise LookupError(identifier)
    if offset + len(octets) <= found.octets:  # it has come before, and its answer was lost
        return found
    if offset != found.octets or offset + len(octets) > found.image.size:
        raise WrongPart(f"octet {found.octets} of {found.image.size} was expected, not {len(octets)} from {offset} on")
    part = {"identifier": identifier, "first_octet": offset, "octets": octets}
    connection.execute(insert(image_parts), part)
    if offset + len(octets) == found.image.size:
        this = {"of_image": identifier}
        if sha256(_read(connection, identifier)).hexdigest() != found.image.sha256:
            connection.execute(_DROP_PARTS, this)
            return None
        connection.execute(update(images).where(_OF_IMAGE).values(complete=True), this)
    return _find(connection, identifier)


def _read(connection: Connection, identifier: str) -> bytes:
    return b"".join(bytes(part) for (part,) in connection.execute(_PARTS, {"of_image": identifier}))


def _octets(connection: Connection, identifier: str, digest: str) -> bytes | None:
    """Checked once more: a store is a file."""
    found = _find(connection, identifier)
    if found is None or not found.image.complete or found.image.sha256 != digest:
        return None
    octets = _read(connection, identifier)
    return octets if sha256(octets).hexdigest() == digest else None


def _find(connection: Connection, identifier: str) -> ImageProgress | None:
    row = connection.execute(select(*images.c).where(_OF_IMAGE), {"of_image": identifier}).one_or_none()
    return None if row is None else _progress(connection, row)


def _images(connection: Connection) -> list[ImageProgress]:
    return [_progress(connection, row) for row in connection.execute(select(*images.c).order_by(images.c.identifier))]


def _progress(connection: Connection, row: Row[*tuple[object, ...]]) -> ImageProgress:
    image = StoredImage(**row._mapping)
    return ImageProgress(image, int(connection.execute(_THERE, {"of_image": image.identifier}).scalar_one()))


def _remove(connection: Connection, identifier: str) -> bool:
    connection.execute(_DROP_PARTS, {"of_image": identifier})
    return connection.execute(delete(images).where(_OF_IMAGE), {"of_image": identifier}).rowcount > 0


def _transfer(row: StoredTransfer) -> StoredTransfer:
    """With its stage as what it is, of which the store has the word."""
    return replace(row, stage=TransferStage(row.stage))


def _keep_transfers(connection: Connection, transfers: Sequence[StoredTransfer]) -> None:
    for one in transfers:
        values = asdict(one) | {"stage": str(one.stage)}
        if not connection.execute(_REPLACE, values | {"of_meter": one.mrid}).rowcount:
            connection.execute(insert(firmware_transfers).values(values))
