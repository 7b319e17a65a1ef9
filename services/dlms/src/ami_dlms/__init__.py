"""DLMS/COSEM (IEC 62056), client and server, without I/O; import what you need from its sub-packages, see README.md."""
