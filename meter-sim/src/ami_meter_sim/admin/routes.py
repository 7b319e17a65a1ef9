"""The routes below /api/v1 and the metrics, as a FastAPI application; what they do is in `ami_meter_sim.control`."""

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response, StreamingResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import Route

from ami_console import Live, live_response
from ami_dlms.cosem.confidential import SECRET_ATTRIBUTES
from ami_meter_sim.admin import metrics, values
from ami_meter_sim.admin.bodies import (
    Concerned,
    Consoles,
    Filter,
    Happening,
    Household,
    Load,
    Meters,
    Named,
    PageQuery,
    Power,
    Press,
    Removed,
    Reset,
    RuleSet,
    Sale,
    Sold,
    Start,
    Value,
    Wrong,
)
from ami_meter_sim.admin.objects import describe_object
from ami_meter_sim.admin.stream import stream
from ami_meter_sim.control import FleetControl, Selection
from ami_meter_sim.faults import FAULTS, FaultError, Rule
from ami_meter_sim.faults.defects import DEFECTS
from ami_meter_sim.faults.defects.table import rows
from ami_meter_sim.load.houses import HouseKind
from ami_meter_sim.population.journal import StateUnusable
from ami_meter_sim.refusals import NotPossible, NotThere
from ami_meter_sim.scenarios.model import Scenario, ScenarioError, load, shipped
from ami_meter_sim.scenarios.runner import Runner, ScenarioRunning
from ami_meter_sim.settings import OtherConsole
from ami_meter_sim.snapshots import Snapshots
from ami_meter_sim.tap import MOST_READERS, Tap
from ami_process import clock_api
from ami_process.api import JSON, ApiRefused, exception_handlers, refuse
from ami_process.clock_api import ClockState, Step, clock_routes

BASE = "/api/v1"
MOST_RULES = 10_000
MOST_AT_ONCE = 100_000
"""Meters that one request concerns at most."""
Name = Annotated[str, Path(max_length=64)]
ClassId = Annotated[int, Path(ge=0, le=0xFFFF)]
Instance = Annotated[str, Path(max_length=40)]
Attribute = Annotated[int, Path(ge=1, le=127)]
OBJECT = BASE + "/meters/{name}/objects/{class_id}/{instance}/{attribute}"


def application(
    control: FleetControl,
    runner: Runner,
    snapshots: Snapshots,
    tap: Tap,
    live: Live,
    version: str,
    consoles: Sequence[OtherConsole] = (),
) -> FastAPI:
    """The application, with its schema at /api/v1/openapi.json. `consoles`: of all processes that play meters, this one's among them."""
    app = FastAPI(
        title="Simulated meters",
        version=version,
        openapi_url=f"{BASE}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers=_handlers(),
    )
    _clock(app, clock_routes(control.fleet.environment.clock))
    _consoles(app, consoles)
    _meters(app, control)
    _objects(app, control)
    _attributes(app, control)
    _hands(app, control)
    _supply(app, control)
    _faults(app, control)
    _scenarios(app, runner)
    _snapshots(app, snapshots)
    _watching(app, control, tap, live)
    _summaries(app)
    return app


def _summaries(app: FastAPI) -> None:
    """Each operation is called by the beginning of its description, as those of CIS and HES are, and not by a function."""
    for route in app.routes:
        if isinstance(route, APIRoute):
            route.summary = re.split(r"[;:.](?:\s|$)", route.description, maxsplit=1)[0]


def _clock(app: FastAPI, routes: Sequence[Route]) -> None:
    """As every process has it, and described as all else is."""
    read, move = (one.endpoint for one in routes)
    reading: dict[str, Any] = {"description": "What time it is for the process."}
    moving: dict[str, Any] = {"description": "Move a stepped clock on."}
    moving["openapi_extra"] = {
        "requestBody": {"required": True, "content": {JSON: {"schema": Step.model_json_schema()}}}
    }
    app.add_api_route(clock_api.PATH, read, methods=["GET"], response_model=ClockState, **reading)
    app.add_api_route(clock_api.PATH, move, methods=["POST"], response_model=ClockState, **moving)


def _consoles(app: FastAPI, consoles: Sequence[OtherConsole]) -> None:
    @app.get(f"{BASE}/consoles", response_model=Consoles)
    async def list_consoles() -> dict[str, Any]:
        """The consoles of all processes that play meters, as `meter_sim.consoles` names them."""
        return {"consoles": [one.model_dump() for one in consoles]}


def _meters(app: FastAPI, control: FleetControl) -> None:
    @app.get(f"{BASE}/meters", response_model=Meters)
    async def list_meters(wanted: Annotated[Filter, Query()]) -> dict[str, Any]:
        """The meters of the process, a part at a time."""
        given = wanted.model_dump(exclude={"limit", "skip", "group"})
        found = await control.select(Selection(groups=wanted.group, **given), most=wanted.limit + 1, skip=wanted.skip)
        listed = [control.summary(meter) for meter in found[: wanted.limit]]
        return {"meters": listed, "more": len(found) > wanted.limit}

    @app.get(f"{BASE}/meters/{{name}}")
    async def show_meter(name: Name) -> dict[str, Any]:
        """Identity, switch, clock, energy, power, counters and faults of one meter."""
        return control.state(name)

    @app.get(f"{BASE}/meters/{{name}}/objects")
    async def list_objects(name: Name) -> list[dict[str, Any]]:
        """The COSEM objects of one meter."""
        return list(control.objects(name))


def _objects(app: FastAPI, control: FleetControl) -> None:
    @app.get(f"{BASE}/meters/{{name}}/objects/{{class_id}}/{{instance}}")
    async def show_object(name: Name, class_id: ClassId, instance: Instance) -> dict[str, Any]:
        """One object: its attributes with what each association may do and with their values, and its methods; never a secret."""
        return describe_object(control, name, class_id, instance)


def _attributes(app: FastAPI, control: FleetControl) -> None:
    @app.get(OBJECT, response_model=Value)
    async def read_attribute(name: Name, class_id: ClassId, instance: Instance, attribute: Attribute) -> dict[str, Any]:
        """An attribute of an object, as the meter itself sees it: no association, no fault. A secret can be set, and not be read."""
        if (class_id, attribute) in SECRET_ATTRIBUTES:
            raise NotPossible(f"attribute {attribute} of class {class_id} is a secret")
        try:
            return values.to_json(control.read(name, class_id, instance, attribute))
        except ValueError as problem:
            raise ApiRefused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(problem)) from None

    @app.put(OBJECT, response_model=Value)
    async def set_attribute(
        name: Name, class_id: ClassId, instance: Instance, attribute: Attribute, value: Value
    ) -> dict[str, Any]:
        """Set an attribute, as the meter itself could; gives what it reads afterwards."""
        try:
            wanted = values.from_json(value.model_dump())
        except ValueError as problem:
            raise ApiRefused(HTTPStatus.UNPROCESSABLE_ENTITY, str(problem)) from None
        control.write(name, class_id, instance, attribute, wanted)
        return values.to_json(control.read(name, class_id, instance, attribute))


def _hands(app: FastAPI, control: FleetControl) -> None:
    """What somebody at the meter does."""

    @app.post(f"{BASE}/meters/{{name}}/button")
    async def press_button(name: Name, press: Press) -> dict[str, Any]:
        """Press the button of the meter; gives its state."""
        control.press(name, press.button)
        return control.state(name)

    @app.post(f"{BASE}/meters/{{name}}/conditions")
    async def set_condition(name: Name, wrong: Wrong) -> dict[str, Any]:
        """Open or close a cover, hold a magnet to the meter, take a phase away: logged, with alarms, as the model says."""
        control.set_condition(name, wrong.condition, wrong.there)
        return control.state(name)

    @app.post(f"{BASE}/meters/{{name}}/occurrences")
    async def let_happen(name: Name, happening: Happening) -> dict[str, Any]:
        """Let something happen to the meter: it is logged and raises alarms as its model says; gives its state."""
        control.occur(name, happening.occurrence)
        return control.state(name)

    @app.post(f"{BASE}/meters/{{name}}/token", response_model=Sold)
    async def sell_token(name: Name, sale: Sale) -> dict[str, Any]:
        """Sell a token for a meter with prepayment, as a vending system does; it is entered by `enter` of its token gateway."""
        return {"token": control.sell_token(name, sale.amount)}


def _supply(app: FastAPI, control: FleetControl) -> None:
    """What is behind the meter, and the grid in front of it."""

    @app.post(f"{BASE}/meters/{{name}}/load")
    async def add_load(name: Name, load: Load) -> dict[str, Any]:
        """Let so much flow in addition to what is behind the meter, from now on; gives its state."""
        control.add_load(name, load.power_w)
        return control.state(name)

    @app.post(f"{BASE}/meters/{{name}}/household")
    async def change_household(name: Name, household: Household) -> dict[str, Any]:
        """Put another kind of household behind the meter from now on: registers go on where they are; gives its state."""
        control.change_household(name, HouseKind[household.kind.upper()])
        return control.state(name)

    @app.post(f"{BASE}/power", response_model=Concerned)
    async def change_power(power: Power) -> dict[str, Any]:
        """An outage, with its last gasps, or its end; the answer does not wait for the moments of the meters."""
        wanted = Selection(
            name=power.name, groups=power.group, share=power.share, seed=power.seed, powered=not power.on
        )
        meters = await control.select(wanted, most=MOST_AT_ONCE)
        control.power([one.name for one in meters], power.on, spread_s=power.spread_s, seed=power.seed)
        return {"meters": len(meters)}


def _faults(app: FastAPI, control: FleetControl) -> None:
    faults = control.fleet.faults

    @app.get(f"{BASE}/faults/kinds")
    async def list_kinds() -> list[dict[str, Any]]:
        """Every fault that there is, what a head-end should do about it, and the schema of its parameters."""
        return [
            {"fault": row.name, "does": row.does, "head_end": row.advice, "parameters": row.kind.model_json_schema()}
            for row in FAULTS.values()
        ]

    @app.get(f"{BASE}/faults/defects")
    async def list_defects() -> list[dict[str, Any]]:
        """Every defect: a fault by which a meter breaks a standard in one thing, and the schema of its parameters."""
        return [
            {"fault": row.name, "group": row.group, "does": row.wrong, "clause": row.clause}
            | {"parameters": DEFECTS[row.name].model_json_schema()}
            for row in rows().values()
        ]

    @app.get(f"{BASE}/faults", response_model=list[RuleSet])
    async def list_rules() -> list[dict[str, Any]]:
        """The rules that count."""
        return [{"number": number, "rule": rule.described()} for number, rule in faults.rules]

    @app.post(f"{BASE}/faults", response_model=RuleSet)
    async def set_rule(rule: dict[str, Any]) -> dict[str, Any]:
        """Set a rule: the keys of a table [[faults]]. It counts at once, and for open connections too."""
        if len(faults.rules) >= MOST_RULES:
            raise ApiRefused(HTTPStatus.CONFLICT, f"{MOST_RULES} rules are set already")
        parsed = Rule.parse(rule)
        return {"number": faults.set(parsed), "rule": parsed.described()}

    @app.delete(f"{BASE}/faults", response_model=Reset)
    async def reset() -> dict[str, Any]:
        """Back to health: no rule counts any longer, and nothing that a hand has made wrong at a meter stays so."""
        rules, conditions = await control.reset()
        return {"rules": rules, "conditions": conditions}

    @app.delete(f"{BASE}/faults/{{number}}", response_model=Removed)
    async def remove_rule(number: Annotated[int, Path(ge=1, le=2**53)]) -> dict[str, Any]:
        """End one rule."""
        if not faults.remove(number):
            raise ApiRefused(HTTPStatus.NOT_FOUND, f"there is no rule number {number}")
        return {"rules": 1}


def _scenarios(app: FastAPI, runner: Runner) -> None:
    @app.get(f"{BASE}/scenarios")
    async def list_scenarios() -> list[dict[str, Any]]:
        """The scenarios that come with the simulator, and what to expect of a head-end in each."""
        return [{"name": name, "about": load(name).about} for name in shipped()]

    @app.post(f"{BASE}/scenario")
    async def start_scenario(start: Start) -> dict[str, Any]:
        """Start one; another one that runs has to be stopped before."""
        scenario = Scenario.parse(start.scenario) if start.scenario is not None else load(str(start.name))
        await runner.start(scenario.aimed(start.target))
        return runner.described()

    @app.get(f"{BASE}/scenario")
    async def show_scenario(part: Annotated[PageQuery, Query()]) -> dict[str, Any]:
        """The one that runs, or the last one: which meter is at which step, what it waits for, and what has happened."""
        return runner.described(part.meter, part.limit, part.skip)

    @app.delete(f"{BASE}/scenario")
    async def stop_scenario() -> dict[str, Any]:
        """Stop the one that runs; its faults are reset."""
        await runner.stop()
        return runner.described()


def _snapshots(app: FastAPI, snapshots: Snapshots) -> None:
    @app.get(f"{BASE}/snapshots")
    async def list_snapshots() -> list[dict[str, Any]]:
        """The snapshots of the meters of the state folder: when they were taken, and how many meters had been talked to."""
        return [one.described for one in snapshots.all()]

    @app.post(f"{BASE}/snapshots")
    async def take_snapshot(named: Named) -> dict[str, Any]:
        """Keep what all meters are now, and the faults that are set, under a name; in the state folder, so a restart keeps it."""
        return (await snapshots.take(named.name)).described

    @app.post(f"{BASE}/restore")
    async def restore_snapshot(named: Named) -> dict[str, Any]:
        """Bring all meters back to it, but for keys and their invocation counters; connections of before are gone."""
        return (await snapshots.restore(named.name)).described

    @app.delete(f"{BASE}/snapshots/{{name}}")
    async def remove_snapshot(name: Name) -> dict[str, Any]:
        """Forget one."""
        snapshots.remove(name)
        return {"name": name}


def _watching(app: FastAPI, control: FleetControl, tap: Tap, live: Live) -> None:
    registry = metrics.metrics_of(control.fleet, tap)

    @app.get(f"{BASE}/events")
    async def follow_events(
        event: Annotated[list[str], Query(max_length=50)] = [],  # noqa: B006 -- FastAPI copies it
        meter: Annotated[str | None, Query(max_length=64)] = None,
    ) -> Response:
        """What happens from now on, as server-sent events; of these kinds and this meter alone where they are given."""
        if tap.full:
            raise ApiRefused(HTTPStatus.SERVICE_UNAVAILABLE, f"{MOST_READERS} read along already")
        found = stream(tap, control.fleet.environment, frozenset(event), meter)
        return StreamingResponse(found, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    @app.get(f"{BASE}/live")
    async def follow_changes() -> Response:
        """What changes, a frame at a time: meters as the list has them, rules, the scenario."""
        return live_response(live)

    @app.get("/metrics")
    async def show_metrics() -> Response:
        """Sessions, frames, octets, faults and pushes, for Prometheus."""
        return Response(metrics.exposition(registry), media_type=metrics.CONTENT_TYPE)


def _handlers() -> dict[Any, Any]:
    async def invalid(_: Request, problem: RequestValidationError) -> Response:
        wrong = problem.errors()[0]
        where = ".".join(str(one) for one in wrong["loc"][1:]) or "body"
        return refuse(HTTPStatus.UNPROCESSABLE_ENTITY, f"{where}: {wrong['msg'].removeprefix('Value error, ')}")

    async def unreadable(request: Request, problem: HTTPException) -> Response:
        if problem.status_code == HTTPStatus.BAD_REQUEST:
            return refuse(HTTPStatus.BAD_REQUEST, "the body is no JSON")
        return await exception_handlers()[HTTPException](request, problem)

    async def not_there(_: Request, problem: Exception) -> Response:
        return refuse(HTTPStatus.NOT_FOUND, str(problem))

    async def not_possible(_: Request, problem: Exception) -> Response:
        return refuse(HTTPStatus.CONFLICT, str(problem))

    async def unusable(_: Request, problem: Exception) -> Response:
        return refuse(HTTPStatus.UNPROCESSABLE_ENTITY, str(problem))

    own = {
        HTTPException: unreadable,
        RequestValidationError: invalid,
        NotThere: not_there,
        NotPossible: not_possible,
        FaultError: unusable,
        ScenarioError: unusable,
        ScenarioRunning: not_possible,
        StateUnusable: not_possible,
    }
    return {**exception_handlers(), **own}
