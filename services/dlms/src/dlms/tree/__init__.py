"""Messages as trees for people: every octet with its field, its meaning in words, and what is inside when keys are known.

`explain` recognises wrapper frames, HDLC frames and single APDUs, and never raises for octets: what is broken says where.
"""

from dlms.tree.frames import explain
from dlms.tree.keyring import Keyring, Session, Title
from dlms.tree.node import FRAMING, MISSING, Derived, Node, is_sound, leaves, nodes

__all__ = [
    "FRAMING",
    "MISSING",
    "Derived",
    "Keyring",
    "Node",
    "Session",
    "Title",
    "explain",
    "is_sound",
    "leaves",
    "nodes",
]
