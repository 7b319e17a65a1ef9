"""`ami proxy`: stands between a head-end and a meter, shows and records what passes, answers from a record, and makes a model of it.

`taps` find APDUs in passing octets, `passing` deciphers them, `session_file` and `captures` keep them, `relay` carries the octets;
`exchanges` reads a session back as questions and answers, for `replay` and `model`.
"""
