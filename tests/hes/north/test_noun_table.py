"""docs/conformance.md, noun by noun and verb by verb: each is asked of a head-end, and is served where the table says so and nowhere else."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import get_args

import pytest
from north_bench import north, texts

from ami_cim.nouns import NOUNS
from ami_hes import served
from ami_hes.settings.partners import SubscriberSettings

PAGE = (Path(__file__).parents[3] / "docs/conformance.md").read_text("utf-8")
SECTION = PAGE.partition("## CIM: nouns and verbs\n")[2].partition("\n## ")[0]
HEADING, _, *LINES = [
    [cell.strip() for cell in line.strip("|").split("|")] for line in SECTION.splitlines() if line.startswith("|")
]
TABLE = {cells[0]: dict(zip(HEADING[1:], cells[1:], strict=True)) for cells in LINES}
VERBS = HEADING[1:8]
NOT_SERVED = {"2.5", "2.9"}
ENVELOPE = """\
<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>
<RequestMessage xmlns="http://iec.ch/TC57/2011/schema/message">
<Header><Verb>{verb}</Verb><Noun>{noun}</Noun><Source>stranger</Source><MessageID>{message_id}</MessageID></Header>{content}
</RequestMessage></e:Body></e:Envelope>"""


def request(verb: str, noun: str) -> bytes:
    """One that says nothing but its verb and its noun."""
    name = f"Get{noun}" if verb == "get" else noun
    body = f'<{name} xmlns="http://iec.ch/TC57/2011/{name}#"/>'
    content = f"<Request>{body}</Request>" if verb == "get" else f"<Payload>{body}</Payload>"
    if noun == "OperationSet" and verb == "execute":
        content = "<Payload><OperationSet><enforceMsgSequence>false</enforceMsgSequence></OperationSet></Payload>"
    return ENVELOPE.format(verb=verb, noun=noun, message_id=uuid.uuid4(), content=content).encode()


@pytest.mark.parametrize("noun", TABLE)
async def test_what_the_table_says_is_what_is_served(tmp_path: Path, noun: str) -> None:
    async with north(tmp_path) as hes:
        for verb in VERBS:
            codes = texts((await hes.post(request(verb, noun), "/cim")).content, "code")
            assert (not NOT_SERVED & set(codes)) == (TABLE[noun][verb] == "works"), (verb, codes)


def test_the_table_has_every_noun_and_says_one_of_three_words() -> None:
    assert TABLE.keys() == {one.name for one in NOUNS} | served.NOUNS.keys()
    words = {row[verb] for row in TABLE.values() for verb in VERBS}
    assert words == {"works", "not yet", "declined"}
    sent = {noun for noun, row in TABLE.items() if row["events"]}
    annotation = SubscriberSettings.model_fields["nouns"].annotation
    assert sent == set(get_args(get_args(annotation)[0]))
