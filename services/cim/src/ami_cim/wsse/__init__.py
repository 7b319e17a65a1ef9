"""WS-Security 1.1 (OASIS, 2004 and 2006): who a message says that it is from, and whether its Body and Timestamp are what that one has signed.

Pure functions: octets in, and what was proved out (`Proof`); whether that is somebody, in time, and for the first time, is decided by who has clocks,
principals and authorities. XML-DSig is signxml's; which elements have to be signed, and that they are the very ones that are read, is checked here."""

from ami_cim.wsse.claims import Proof, UsernameProof, refused
from ami_cim.wsse.reading import FUNCTION, SECURITY, SecurityReading
from ami_cim.wsse.sealing import Sealed, Signer, load_signer, seal

__all__ = [
    "FUNCTION",
    "SECURITY",
    "Proof",
    "Sealed",
    "SecurityReading",
    "Signer",
    "UsernameProof",
    "load_signer",
    "refused",
    "seal",
]
