"""MeterConfig and EndDeviceConfig: meters made known, changed, taken out and asked for in CIM (IEC 61968-9).

Each device of a message is carried out for itself, so a message may be PARTIAL; what was done is named in the Reply. Whatever comes
twice is done once: a create that says what is there already is OK, and so is a change. That a meter is protected (`hes.guard.protected`) is
taken from it by nobody here: who may do so and may switch could disconnect it without a second person.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial

from ami_cim.errors import InvalidMessage
from ami_cim.identity import EndDevice, Identified, Identifier, mrid_key
from ami_cim.message import ReplyError, RequestMessage
from ami_cim.paging import page_of
from ami_cim.payloads.device_assets import DeviceAsset
from ami_cim.payloads.end_device_config import EndDeviceConfig, GetEndDeviceConfig
from ami_cim.payloads.meter_config import GetMeterConfig, MeterConfig
from ami_hes.master_data import device_entries
from ami_hes.master_data.finding import found_meters
from ami_hes.master_data.problems import Problem, failure, identifier_of, reply_of
from ami_hes.meters.meter_index import Table
from ami_hes.nouns import Refused, Report, RequestContext, error
from ami_hes.nouns.devices import meter_of_device
from ami_hes.nouns.questions import question
from ami_hes.registry import Amendment, KeptRegistry, NotAmended, OfConfiguration, RowOutcome

MOST_DEVICES = 1_000
"""Of one message that changes them."""
_CLASSES: Mapping[str, tuple[type[MeterConfig | EndDeviceConfig], type[GetMeterConfig | GetEndDeviceConfig]]] = {
    "MeterConfig": (MeterConfig, GetMeterConfig),
    "EndDeviceConfig": (EndDeviceConfig, GetEndDeviceConfig),
}
OpenCommands = Callable[[str], Awaitable[int]]
"""How many commands of the meter with this mRID are waiting or at work."""
_Change = Callable[[Table, device_entries.Fields], Table]


def question_of(message: RequestMessage) -> GetMeterConfig | GetEndDeviceConfig:
    """What a get of either noun asks. Raises Refused."""
    return question(message, _CLASSES[message.header.noun][1])


@dataclass(frozen=True, slots=True)
class DeviceOrders:
    """Carries out what messages of one of these nouns ask for; each may be done twice."""

    noun: str
    kept: KeptRegistry
    open_commands: OpenCommands
    protected: tuple[tuple[str, str], ...] = ()
    """Tags and values that protect a meter."""

    async def __call__(self, context: RequestContext, message: RequestMessage) -> Report:
        """The Reply, with what was done by its mRIDs; raises Refused and StoreUnavailable."""
        works: dict[str, Callable[[RequestMessage], Awaitable[Report]]] = {
            "create": partial(self._put, device_entries.completed, new=True),
            "change": partial(self._put, device_entries.changed, new=False),
            "delete": self._delete,
            "get": self._get,
        }
        if (work := works.get(context.verb)) is None:
            served = ", ".join(works)
            raise Refused(error("2.9", f"The verb {context.verb} is not served for {self.noun}; served are: {served}."))
        try:
            return await work(message)
        except InvalidMessage as problem:
            raise Refused(error(problem.code, f"{problem.reason}.")) from None

    async def _put(self, change: _Change, message: RequestMessage, *, new: bool) -> Report:
        config = self._config(message)
        pointers = [device_entries.pointer_of(asset) for asset in config.devices]
        targets = [
            self._amendment(asset, pointer, change, new=new)
            for asset, pointer in zip(config.devices, pointers, strict=True)
        ]
        amended = iter(await self.kept.amend([one for one in targets if isinstance(one, Amendment)]))
        done: list[Identifier] = []
        errors: list[ReplyError] = []
        for pointer, target in zip(pointers, targets, strict=True):
            outcome = next(amended) if isinstance(target, Amendment) else target
            if isinstance(target, Amendment) and isinstance(outcome, RowOutcome):
                done.append(self._identifier(target.mrid))
            else:
                errors.append(self._failure(outcome, pointer))
        left = {path for asset in config.devices for path in device_entries.not_kept(asset)} | set(config.unsupported)
        return reply_of(done, errors, not_kept=sorted(left)), None

    def _amendment(
        self, asset: DeviceAsset, pointer: Identified, change: _Change, *, new: bool
    ) -> Amendment | ReplyError | Problem:
        try:
            fields = device_entries.fields_of(asset)
            mrid = asset.mrid if new and asset.mrid is not None else self._known(pointer)
        except Problem as problem:
            return problem
        if isinstance(mrid, ReplyError):
            return mrid

        def amended(table: Table | None) -> Table:
            if table is None:
                return device_entries.new_entry(mrid, fields)
            after = change(table, fields)
            self._check_protection(table, after)
            return after

        return Amendment(mrid, amended)

    async def _delete(self, message: RequestMessage) -> Report:
        config = self._config(message)
        done: list[Identifier] = []
        errors: list[ReplyError] = []
        for pointer in map(device_entries.pointer_of, config.devices):
            try:
                done.append(await self._deleted(pointer))
            except Problem as problem:
                errors.append(self._failure(problem, pointer))
        return reply_of(done, errors), None

    async def _deleted(self, pointer: Identified) -> Identifier:
        mrid = self._known(pointer)
        if isinstance(mrid, ReplyError):
            raise Problem(mrid.code, mrid.reason or "")
        found = self.kept.show(mrid)
        if found is None:  # it was taken out meanwhile
            raise Problem("2.4", "The meter is not known here any more.")
        self._check_protection(found[1], {})
        if points := found[1].get("usage_points"):
            reason = f"The meter is at the usage point {points[0]}: unlink it first (MasterDataLinkageConfig, delete)."
            raise Problem("2.29", reason)
        if waiting := await self.open_commands(found[1]["mrid"]):
            raise Problem(
                "5.2", f"The meter is at work: {waiting} commands of it are not at their end. Delete it later."
            )
        try:
            await self.kept.remove(mrid)
        except OfConfiguration as problem:
            raise Problem("5.2", f"{problem}.") from None
        return self._identifier(mrid)

    async def _get(self, message: RequestMessage) -> Report:
        config, _ = _CLASSES[self.noun]
        query = question_of(message)
        if query.unsupported:
            raise Refused(error("5.2", f"Meters are not found by {', '.join(query.unsupported)}."))
        found = await found_meters(
            self.kept,
            devices=query.devices,
            points=query.usage_points,
            groups=query.end_device_groups,
            point_groups=query.usage_point_groups,
            page=page_of(message),
        )
        assets = tuple(map(device_entries.asset_of, found.tables))
        reply = reply_of([self._identifier(one.mrid or "") for one in assets], found.errors)
        return reply, config(devices=assets) if assets else None

    def _config(self, message: RequestMessage) -> MeterConfig | EndDeviceConfig:
        payload = message.payload
        if not isinstance(payload, _CLASSES[self.noun][0]) or not payload.devices:
            raise Refused(error("1.7", f"The Payload has no {self.noun} with a {self._word}."))
        if len(payload.devices) > MOST_DEVICES:
            raise Refused(error("3.1", f"A message names at most {MOST_DEVICES} of them here."))
        return payload

    def _check_protection(self, before: Table, after: Table) -> None:
        """Raises Problem where a meter would have it no longer."""
        has, left = before.get("tags", {}), after.get("tags", {})
        lost = [f"{tag}={value}" for tag, value in self.protected if has.get(tag) == value and left.get(tag) != value]
        if lost:
            who = "who may take meters in and out does that (hes meters import, hes meters remove)"
            raise Problem("5.2", f"The meter is protected by {', '.join(lost)}, which no message takes away: {who}.")

    def _known(self, pointer: Identified) -> str | ReplyError:
        """The mRID of the one meter that is meant."""
        meter = meter_of_device(EndDevice(pointer.mrid, pointer.names), self.kept.registry)
        return meter if isinstance(meter, ReplyError) else mrid_key(meter.mrid)

    def _failure(self, outcome: object, pointer: Identified) -> ReplyError:
        identifier = identifier_of(pointer, self._word)
        match outcome:
            case ReplyError(code=code, reason=reason):
                return failure(code, reason or "", identifier)
            case Problem(code=code):
                return failure(code, str(outcome), identifier)
            case NotAmended(field=field):
                code = "5.2" if field == "mrid" else "2.12" if field == "usage_points" else "2.4"
                return failure(code, f"{outcome}.", identifier)
        raise TypeError(f"no outcome: {outcome!r}")

    def _identifier(self, mrid: str) -> Identifier:
        return Identifier(value=mrid, kind="uuid", object_type=self._word)

    @property
    def _word(self) -> str:
        return self.noun.removesuffix("Config")
