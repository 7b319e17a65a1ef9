"""Whether two messages ask for the same."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ami_cim.message import Header, RequestMessage
from ami_cim.payloads import Payload
from ami_hes.jobs.rows import digest

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Query(Payload):
    register: str


def test_the_query_counts_and_timestamp_and_comment_do_not() -> None:
    asked = RequestMessage(
        header=Header(verb="get", noun="MeterReadings", message_id="m", timestamp=NOW), query=Query("1")
    )
    again = replace(asked, header=replace(asked.header, timestamp=None, comment="again"))
    assert digest(asked) == digest(again)
    assert len({digest(replace(asked, query=query)) for query in (None, Query("1"), Query("2"))}) == 3
