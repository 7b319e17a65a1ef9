"""How long a test waits for what has to come.

Only a failing test ever waits so long, so it is far beyond what the slowest machine needs: the limit ends a test that hangs and
says nothing about speed. A test that waits for something *not* to come names a time of its own, below one second.
"""

PATIENCE_S = 120.0
