"""How APDUs are put on a transport: the wrapper of TCP and UDP, HDLC, and the sign-on in front of HDLC on an optical port."""
