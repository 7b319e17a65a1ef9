"""Tests of a DLMS meter on the line, real or simulated: what is sent, what is judged, what is put back (docs/adr/0053).

The octets go over a link that is handed in; nothing here opens a socket, and nothing here knows whether a meter is simulated.
"""
