"""The collector of the interpreter, for a process that makes and drops small objects all day: it looks seldom, and never at what stays.

Nearly all objects are freed at once, when the last reference to them goes; the collector is there for those that refer to themselves. It runs
each time the number of objects has grown by its threshold. With the interpreter's own threshold it looked at the live sessions of a head-end that
talks to a hundred meters again and again, which took a sixth of the CPU time.
"""

import gc

NEW_BEFORE_A_LOOK = 20_000
"""Growth of the number of objects between two looks. Until then what refers to itself stays in memory, usually some megabytes."""


def collect_seldom() -> None:
    """To be called once, when the process is ready: what there is by then stays and is not looked at again."""
    _, middle, oldest = gc.get_threshold()
    gc.set_threshold(NEW_BEFORE_A_LOOK, middle, oldest)
    gc.freeze()
