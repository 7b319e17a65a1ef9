"""Every octet belongs to exactly one leaf, the values are those of the decoder, and documents lead back, for any APDU."""

from __future__ import annotations

import json
from typing import Any

import pytest
from any_apdu import APDUS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sizes import examples

from ami_dlms import apdu
from ami_dlms.errors import DecodeError
from ami_dlms.explain import (
    MISSING,
    DecodingSession,
    Keyring,
    Node,
    document,
    explain,
    is_sound,
    leaves,
    nodes,
    octets_of,
    part_of,
)
from ami_dlms.explain.apdus import read_apdu

QUICK = settings(
    max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
KEYS = Keyring(bytes(16), bytes(16), bytes(16), bytes(8), bytes(range(8)))


def check_cover(tree: Node) -> None:
    """Leaves stand edge to edge, and so do the parts of every node, in the derived trees as well."""
    roots = [tree, *(one.tree for node in nodes(tree) for one in node.derived if one.tree is not None)]
    for root in roots:
        offset = root.start
        for leaf in leaves(root):
            assert leaf.start == offset, leaf.name
            offset += len(leaf.octets)
        assert b"".join(leaf.octets for leaf in leaves(root)) == root.octets
        for node in nodes(root):
            if node.parts:
                assert b"".join(part.octets for part in node.parts) == node.octets, node.name


@pytest.mark.parametrize("name", sorted(APDUS))
@QUICK
@given(st.data())
def test_whole_apdus(name: str, data: st.DataObject) -> None:
    octets = apdu.encode(data.draw(APDUS[name]))
    decoded = apdu.decode(octets)
    tree = read_apdu(octets)
    assert tree.value == decoded
    assert is_sound(tree)
    assert tree.octets == octets
    check_cover(tree)


@pytest.mark.parametrize("name", sorted(APDUS))
@QUICK
@given(st.data())
def test_documents_lead_back(name: str, data: st.DataObject) -> None:
    octets = apdu.encode(data.draw(APDUS[name]))
    (tree,) = explain(octets, DecodingSession(KEYS))
    check_cover(tree)
    again = octets_of(part_of(json.loads(json.dumps(document(tree)))))
    assert apdu.decode(again) == apdu.decode(octets)


@pytest.mark.parametrize("name", sorted(APDUS))
@QUICK
@given(st.data())
def test_broken_apdus_break_where_the_decoder_breaks(name: str, data: st.DataObject) -> None:
    octets = bytearray(apdu.encode(data.draw(APDUS[name])))
    position = data.draw(st.integers(0, len(octets) - 1))
    if data.draw(st.booleans()):
        del octets[position:]
    else:
        octets[position] ^= data.draw(st.integers(1, 255))
    tree = read_apdu(bytes(octets))
    check_cover(tree)
    decoded: Any = None
    try:
        decoded = apdu.decode(bytes(octets))
    except DecodeError:
        assert tree.type == MISSING
        assert any(node.trouble for node in nodes(tree))
    else:
        assert tree.type != MISSING
        assert repr(tree.value) == repr(decoded)


@settings(max_examples=examples(300), deadline=None)
@given(
    st.sampled_from([b"", b"\x7e\xa0", b"\x00\x01\x00\x01\x00\x10", b"\xdb\x08", b"\xc8", b"\x60"]),
    st.binary(max_size=120),
)
def test_any_octets_give_a_tree_that_covers_them(head: bytes, rest: bytes) -> None:
    octets = head + rest
    trees = explain(octets, DecodingSession(KEYS))
    for tree in trees:
        check_cover(tree)
    assert b"".join(tree.octets for tree in trees) == octets
