"""Which tests of the plan are built: the tables of all groups as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ami_conformance.bench import Bench
from ami_conformance.findings import Judge
from ami_conformance.groups import (
    association_tests,
    block_tests,
    class_tests,
    clock_tests,
    hdlc_tests,
    load_tests,
    object_tests,
    profile_tests,
    security_tests,
    service_tests,
    wrapper_tests,
    write_tests,
)

PARTLY: Mapping[str, str] = {
    "AR-02": "up to 60 attributes, without those that move by themselves",
    "C8-02": "the time alone, not the events",
    "RB-01": "400 messages, and afterwards an association; not uptime, events and memory",
    "RB-02": "an AARQ and two GET of its own instead of a recorded session, one bit of each octet; not the wrapper and HDLC around them",
    "RB-03": "200 connections, none of them half open",
    "RB-06": "an octet every 0.02 s; other clients afterwards, not meanwhile",
    "SV-17": "reading alone",
}
"""What those tests look at that do a part of the steps or expectations of their row."""
Check = Callable[[Bench, Judge], None]
CHECKS: Mapping[str, Check] = {
    **association_tests.TESTS,
    **block_tests.TESTS,
    **class_tests.TESTS,
    **clock_tests.TESTS,
    **hdlc_tests.TESTS,
    **load_tests.TESTS,
    **object_tests.TESTS,
    **profile_tests.TESTS,
    **security_tests.TESTS,
    **service_tests.TESTS,
    **wrapper_tests.TESTS,
    **write_tests.TESTS,
}
