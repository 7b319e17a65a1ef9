"""Our own meters have no finding: those of every pack, over the wrapper and over HDLC, and the same with what is malformed."""

from __future__ import annotations

import pytest
from conformance_bench import Conformance, name_of, pack_models

from ami_conformance.findings import Verdict
from ami_conformance.plan import rows
from ami_conformance.safety import Safety

SOME = {"idis-like/three-phase", "dsmr-smr5.5/three-phase"}
S0 = [one.id for one in rows().values() if one.safety is Safety.S0]
FAST = ("--silence", "0.1", "--timeout", "20")


@pytest.mark.parametrize(
    "model", [pytest.param(one, marks=() if one in SOME else pytest.mark.ci) for one in pack_models()]
)
@pytest.mark.parametrize("suffix", ["", pytest.param("-hdlc", marks=pytest.mark.ci)])
def test_a_meter_of_a_pack_passes(conformance: Conformance, model: str, suffix: str) -> None:
    found = conformance.on(name_of(model) + suffix, "--pack", model.partition("/")[0], *FAST)
    assert found.failed == {}
    assert found.code == 0
    assert sum(found.verdicts[test] == Verdict.PASS for test in S0) > 20


SECURITY = ["residential", "residential-hdlc", "LLS", "CLEAR", "SPECIFIC", "UDP"]


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=() if one == "residential" else pytest.mark.ci) for one in SECURITY]
)
def test_what_is_malformed_is_taken_well(conformance: Conformance, name: str) -> None:
    found = conformance.on(name, "--allow", "s1", *FAST)
    assert found.failed == {}
    passed = [test for test, verdict in found.verdicts.items() if verdict == Verdict.PASS]
    assert len(passed) > 60
    assert not any("the test broke" in one["reason"] for one in found.json["tests"])


def test_one_test_alone(conformance: Conformance) -> None:
    found = conformance.on("residential", "--test", "AS-02")
    assert list(found.verdicts) == ["AS-02"]
    assert found.of("AS-02")["exchanges"][0]["what"] == "AARQ"


def test_a_test_that_is_not_allowed_sends_nothing(conformance: Conformance) -> None:
    found = conformance.on("residential", "--test", "SE-02")
    assert found.of("SE-02")["verdict"] == Verdict.NOT_RUN
    assert found.of("SE-02")["exchanges"] == []
    assert "--allow" in found.of("SE-02")["reason"] or "s0 is allowed" in found.of("SE-02")["reason"]


def test_a_dry_run_holds_back_what_is_sent_in_pieces_as_well(conformance: Conformance) -> None:
    words = [word for test in ("WR-02", "RB-06", "SV-20") for word in ("--test", test)]
    found = conformance.on("residential", "--allow", "s1", "--dry-run", *words)
    held = {
        one["id"]: [each["what"] for each in one["exchanges"] if "dry run" in each["said"]]
        for one in found.json["tests"]
    }
    assert "a request in two pieces" in held["WR-02"] and "two requests in one write" in held["WR-02"]
    assert "a request octet by octet" in held["RB-06"]
    assert "two requests at once" in held["SV-20"]
