"""The collector of the interpreter, for a process that makes and drops small objects all day: it looks seldom, and never at what stays.

Nearly all that a process drops goes at once, when the last reference to it goes; the collector is there for what refers to itself. It looks
whenever there are so many objects more than there were, and by the interpreter's usual number a head-end that speaks to a hundred meters
at once has it look at the same live sessions again and again: a sixth of its CPU time.
"""

import gc

NEW_BEFORE_A_LOOK = 20_000
"""Objects more than at the last look; what refers to itself takes some megabytes until then."""


def collect_seldom() -> None:
    """To be called once, when the process is ready: what there is by then stays and is not looked at again."""
    _, middle, oldest = gc.get_threshold()
    gc.set_threshold(NEW_BEFORE_A_LOOK, middle, oldest)
    gc.freeze()
