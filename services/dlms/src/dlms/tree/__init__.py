"""Messages as trees for people: every octet with its field, its meaning in words, and what is inside when keys are known.

`explain` recognises wrapper frames, HDLC frames and single APDUs, and never raises for octets: what is broken says where.
"""

from dlms.tree.building import octets_of
from dlms.tree.documents import Document, Part, document, part_of
from dlms.tree.frames import explain
from dlms.tree.keyring import Keyring, Session, Title
from dlms.tree.node import FRAMING, MISSING, Derived, Node, is_sound, leaves, nodes

__all__ = [
    "FRAMING",
    "MISSING",
    "Derived",
    "Document",
    "Keyring",
    "Node",
    "Part",
    "Session",
    "Title",
    "document",
    "explain",
    "is_sound",
    "leaves",
    "nodes",
    "octets_of",
    "part_of",
]
