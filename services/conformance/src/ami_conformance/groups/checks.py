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
