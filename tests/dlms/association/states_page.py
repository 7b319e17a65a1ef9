"""The page docs/states.md, made from the two tables: `python tests/dlms/association/states_page.py > docs/states.md`."""

from __future__ import annotations

from dlms.association import CLIENT_TABLE, SERVER_TABLE
from dlms.transitions import diagram

PAGE = """# States of an association

Made from the two tables of `dlms.association.states` by `python tests/dlms/association/states_page.py > docs/states.md`;
a test holds it to them. An arrow that is not here is a mistake: ours when the event says "send", otherwise the peer's.

## Client

An event of the peer that has no arrow closes the connection. "breach" is anything that does not hold: a wrong tag, a replay,
an answer in clear where ciphering was agreed, octets that can't be read.

```mermaid
{client}
```

## Server

One such machine stands for each pair of wrapper ports on a connection. An event of the client that has no arrow is
answered by an ExceptionResponse (a lost block by its data-access-result) and changes nothing.

```mermaid
{server}
```
"""


def page() -> str:
    return PAGE.format(client=diagram(CLIENT_TABLE), server=diagram(SERVER_TABLE))


if __name__ == "__main__":
    print(page(), end="")
