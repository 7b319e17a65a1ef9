"""The list of all faults for people: on a terminal, and as the page docs/faults.md, from the table and the models of parameters."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from ami_meter_sim.faults.registry import FAULTS, FaultRow
from ami_meter_sim.faults.rule import Rule
from ami_meter_sim.faults.told import ASKED, told
from ami_meter_sim.faults.when import When
from ami_process.terminal_text import wrapped

INTRODUCTION = """\
# Faults

Every fault that a simulated meter can have, what it does, and what a head-end should do about it. How to set them:
[inject-faults](howto/inject-faults.md). Below each fault stands what this head-end then tells the CIS, as a test finds it over real sockets:
in the Error of its reply, or as an event to a subscriber (and of a campaign its operator); three dots stand for what differs from meter to meter. Faults by which a meter
breaks a standard in one thing, as tests of conformance look for them, are in a table of their own: [defects](defects.md). This page is written by `meter-sim faults --write docs/faults.md`.

| fault | the meter | the head-end |
|---|---|---|
"""
OF_A_RULE = """
## The keys of a rule

In a file each rule is a table `[[faults]]`; the API and the command line take the same keys. The parameters of the fault are keys of the
same table.

"""
OF_WHEN = """
## The keys of `[faults.when]`

All that is given has to hold.

"""
TOLD_HEADER = "| the head-end was to do | with | it tells the CIS |\n|---|---|---|\n"
HEADER = "| key | value | default | meaning |\n|---|---|---|---|\n"
TYPES = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}
BOUNDS = (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"), ("exclusiveMaximum", "below"))


def listed() -> Iterator[str]:
    """What each fault does, and what the head-end should do about it, in lines of the terminal."""
    width = max(map(len, FAULTS))
    for row in FAULTS.values():
        yield wrapped(row.does, f"{row.name:{width}}  ")
        yield wrapped(row.advice, f"{'':{width}}  head-end: ", f"{'':{width}}    ")


def page() -> str:
    """The page in Markdown."""
    table = "".join(f"| [`{row.name}`](#{row.name}) | {row.does} | {row.advice} |\n" for row in FAULTS.values())
    keys = OF_A_RULE + HEADER + _rows(Rule) + OF_WHEN + HEADER + _rows(When)
    return INTRODUCTION + table + keys + "".join(map(_section, FAULTS.values()))


def _section(row: FaultRow) -> str:
    fault = row.kind
    usual: dict[str, Any] = {"when": fault.about} if fault.about else {}
    if fault.usual_probability < 1:
        usual["probability"] = fault.usual_probability
    text = f"\n## {row.name}\n\n{' '.join((fault.__doc__ or '').split())}\n\n"
    text += f"Possible directions: {', '.join(f'`{one}`' for one in fault.directions)}."
    if fault.of_the_line:
        text += " It happens to each frame of an answer on the line, over HDLC to each of the link's."
    if usual:
        text += f" Unless the rule says otherwise: {', '.join(f'`{key} = {_toml(value)}`' for key, value in usual.items())}."
    rows = _rows(fault)
    return text + "\n" + (f"\n{HEADER}{rows}" if rows else "") + _told(row.name)


def _told(fault: str) -> str:
    rows = (
        f"| {ASKED[one.asked]} | {', '.join(f'`{key} = {_toml(value)}`' for key, value in one.parameters.items())} | {one.in_words} |\n"
        for one in told()
        if one.fault == fault
    )
    return f"\n{TOLD_HEADER}{''.join(rows)}"


def _rows(model: type[BaseModel]) -> str:
    schema = model.model_json_schema()
    required = schema.get("required", ())
    return "".join(
        f"| `{name}` | {_value(about)} | {_default(about, name in required)} | {about.get('description', '')} |\n"
        for name, about in schema["properties"].items()
    )


def _value(about: Mapping[str, Any]) -> str:
    """What may stand there, with its bounds."""
    if "anyOf" in about:
        return " or ".join(dict.fromkeys(_value(one) for one in about["anyOf"] if one.get("type") != "null"))
    if "enum" in about:
        return " or ".join(f"`{one}`" for one in about["enum"])
    if about.get("type") == "array":
        return f"one or a list of: {_value(about['items'])}"
    if "$ref" in about:
        return "table"
    word = TYPES[about["type"]]
    bounds = " ".join(f"{text} {_toml(about[key])}" for key, text in BOUNDS if key in about)
    return f"{word}, {bounds}" if bounds else word


def _default(about: Mapping[str, Any], required: bool) -> str:
    if required:
        return "required"
    value = about.get("default")
    return "" if value in (None, []) or isinstance(value, dict) else f"`{_toml(value)}`"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + "}"
    return json.dumps(value)
