"""Messages as trees for people: every octet with its field, its meaning in words, and what is inside when keys are known.

`explain` recognises wrapper frames, frames of HDLC and M-Bus, APDUs and values; it never raises for octets: what is broken
says where.
"""

from ami_dlms.explain.confidential import HIDDEN, secret_nodes, without_secrets
from ami_dlms.explain.documents import Document, DocumentPart, document, part_of
from ami_dlms.explain.encoding import octets_of
from ami_dlms.explain.frames import explain, explain_data
from ami_dlms.explain.keyring import DecodingSession, Keyring, Title
from ami_dlms.explain.node import FRAMING, MISSING, Derived, Node, is_sound, leaves, nodes
from ami_dlms.explain.summaries import deciphered, headline, inside, is_ciphered, items_of

__all__ = [
    "FRAMING",
    "HIDDEN",
    "MISSING",
    "DecodingSession",
    "Derived",
    "Document",
    "DocumentPart",
    "Keyring",
    "Node",
    "Title",
    "deciphered",
    "document",
    "explain",
    "explain_data",
    "headline",
    "inside",
    "is_ciphered",
    "is_sound",
    "items_of",
    "leaves",
    "nodes",
    "octets_of",
    "part_of",
    "secret_nodes",
    "without_secrets",
]
