"""Published APDUs, foreign HDLC frames and recorded sessions: all explained, deciphered as they are meant, and led back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_every_octet import check_cover

from ami_dlms import apdu
from ami_dlms.explain import (
    DecodingSession,
    Derived,
    Keyring,
    Node,
    document,
    explain,
    is_sound,
    nodes,
    octets_of,
    part_of,
)

VECTORS = Path(__file__).parents[2] / "vectors"
ROWS: dict[str, Any] = {row["id"]: row for row in json.loads((VECTORS / "apdus.json").read_text())}
HDLC = json.loads((VECTORS / "hdlc.json").read_text())
FRAMES: dict[str, Any] = {row["id"]: row for row in HDLC["frames"]}
SESSIONS: dict[str, Any] = {row["id"]: row for row in HDLC["sessions"]}
# No legal encodings; where the tree says so, in the words of the field.
BROKEN = {
    "gosem_confirmedserviceerror_01": "value",
    "gosem_eventnotificationrequest_02": "time",
    "gosem_getresponse_00": "result",
    "gosem_getresponse_04": "results",
}
TAMPERED = {"gb_glo_get_auth_badtag", "gb_glo_get_authenc_badtag"}
# Its tag could not be reproduced by anybody: without the authentication key it deciphers to what was published.
UNVERIFIABLE = {"gb_t41_general_ciphering_1e1s"}
OTHER_TRUE = {"gosem_datanotification_01", "gosem_eventnotificationrequest_00", "gosem_getresponse_02"}


def keyring(row: Any) -> Keyring:
    keys = {name: bytes.fromhex(text) for name, text in row.get("keys", {}).items() if name not in ("iv",)}
    ak = None if row["id"] in UNVERIFIABLE else keys.get("ak")
    title = keys.get("title_used") or keys.get("system_title")
    dedicated = keys.get("key_used") if row["kind"].startswith("ded") else None
    return Keyring(keys.get("ek"), ak, dedicated, title)


def read(row: Any) -> Node:
    (tree,) = explain(bytes.fromhex(row["hex"]), DecodingSession(keyring(row)))
    return tree


def outcomes(tree: Node) -> list[Derived]:
    return [one for node in nodes(tree) for one in node.derived]


@pytest.mark.parametrize("name", sorted(ROWS))
def test_every_apdu_is_covered_and_named(name: str) -> None:
    tree = read(ROWS[name])
    check_cover(tree)
    assert tree.octets == bytes.fromhex(ROWS[name]["hex"])
    assert is_sound(tree) is (name not in BROKEN.keys() | TAMPERED)
    if name not in BROKEN:
        assert tree.value == apdu.decode(tree.octets)


@pytest.mark.parametrize(("name", "field"), sorted(BROKEN.items()))
def test_broken_vectors_say_where(name: str, field: str) -> None:
    told = [node.trouble for node in nodes(read(ROWS[name])) if node.trouble]
    assert len(told) == 1
    assert f".{field} (" in told[0]


@pytest.mark.parametrize("name", sorted(name for name, row in ROWS.items() if "expected_plaintext" in row))
def test_what_is_ciphered_is_deciphered(name: str) -> None:
    tree = read(ROWS[name])
    found = [one.tree.octets for one in outcomes(tree) if one.tree is not None] + [node.octets for node in nodes(tree)]
    assert bytes.fromhex(ROWS[name]["expected_plaintext"]) in found
    assert outcomes(tree)[0].good is (None if name in UNVERIFIABLE | {"gb_glo_get_enc"} else True)


@pytest.mark.parametrize("name", sorted(TAMPERED))
def test_a_tampered_tag_is_told_and_shows_no_plaintext(name: str) -> None:
    (outcome,) = outcomes(read(ROWS[name]))
    assert (outcome.good, outcome.tree) == (False, None)
    assert "does not hold with title 4D4D4D0000BC614E (--title)" in outcome.how


@pytest.mark.parametrize("name", sorted(ROWS.keys() - BROKEN.keys()))
def test_documents_of_apdus_lead_back_to_their_octets(name: str) -> None:
    octets = octets_of(part_of(json.loads(json.dumps(document(read(ROWS[name]))))))
    assert apdu.decode(octets) == apdu.decode(bytes.fromhex(ROWS[name]["hex"]))
    if name not in OTHER_TRUE:
        assert octets.hex().upper() == ROWS[name]["hex"]


@pytest.mark.parametrize("name", sorted(FRAMES))
def test_every_frame_is_explained_and_led_back(name: str) -> None:
    octets = bytes.fromhex(FRAMES[name]["hex"])
    trees = explain(octets, DecodingSession())
    assert b"".join(tree.octets for tree in trees) == octets
    for tree in trees:
        check_cover(tree)
        assert is_sound(tree)
    assert b"".join(octets_of(part_of(document(tree))) for tree in trees) == octets


def test_the_push_of_a_meter_in_the_field() -> None:
    row = FRAMES["push_ui_kamstrup"]
    keys = row["keys"]
    (tree,) = explain(
        bytes.fromhex(row["hex"]), DecodingSession(Keyring(bytes.fromhex(keys["ek"]), bytes.fromhex(keys["ak"])))
    )
    (outcome,) = outcomes(tree)
    assert outcome.good
    assert outcome.tree is not None
    assert outcome.tree.octets == bytes.fromhex(row["expected_plaintext"])
    assert outcome.tree.name == "data_notification"
    assert "in the message" in outcome.how


@pytest.mark.parametrize("row", HDLC["refused"], ids=lambda row: str(row["id"]))
def test_broken_frames_say_which_field_is_wrong(row: Any) -> None:
    octets = bytes.fromhex(row["hex"])
    trees = explain(octets, DecodingSession())
    assert b"".join(tree.octets for tree in trees) == octets
    assert any(f"in {row['field']}" in node.trouble for node in nodes(trees[0]))


@pytest.mark.parametrize("name", sorted(SESSIONS))
def test_recorded_sessions_explain_themselves(name: str) -> None:
    """With the global keys alone: titles come from the association, APDUs of many segments are put together."""
    octets = b"".join(bytes.fromhex(text) for _, text in SESSIONS[name]["exchange"])
    keys = Keyring(bytes(range(16)), bytes(range(0xD0, 0xE0)))
    trees = explain(octets, DecodingSession(keys))
    assert b"".join(tree.octets for tree in trees) == octets
    for tree in trees:
        check_cover(tree)
        assert is_sound(tree), [node.trouble for node in nodes(tree) if node.trouble]
    assert b"".join(octets_of(part_of(document(tree))) for tree in trees) == octets
    how = {one.how.partition(" ")[0] for tree in trees for one in outcomes(tree)}
    assert "put" in how or "none" in name
    if "gmac" in name:
        assert all(one.good for tree in trees for one in outcomes(tree))
        assert "the" in how
