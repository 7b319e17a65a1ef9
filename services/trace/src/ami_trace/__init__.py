"""What happened for one request, as values: the trace of messages, sessions and APDUs, and captures that others can read.

Pure: octets, times and keys come in as arguments; what is kept where, and who may see it, is the caller's business.
"""
