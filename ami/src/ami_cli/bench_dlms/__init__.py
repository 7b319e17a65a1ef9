"""How fast `dlms` is, each figure as a ratio: to an echo of the same sizes, to bare AES-GCM, and to foreign stacks.

`ends` is what answers and what asks, without I/O; `socket_drivers` carries it over sockets, `process` is one side in a process of
its own, `round_trips` lets them meet; `in_memory` needs no sockets; `peers` runs foreign stacks, each in a process and
virtual environment of its own. All contenders of a figure take turns in the same run, because machines have moods.
"""
