"""The page docs/states.md, made from the two tables: `python tests/dlms/association/states_page.py > docs/states.md`."""

from __future__ import annotations

from ami_dlms.association import CLIENT_TABLE, SERVER_TABLE
from ami_dlms.framing.hdlc_states import CLIENT_LINK_TABLE, SERVER_LINK_TABLE
from ami_dlms.framing.mode_e import CLIENT_SIGN_ON, SERVER_SIGN_ON
from ami_dlms.transitions import diagram

PAGE = """# States of an association, of a link below it, and of a sign-on

Made from the tables of `ami_dlms.association.states`, `ami_dlms.framing.hdlc_states` and `ami_dlms.framing.mode_e` by `python tests/dlms/association/states_page.py > docs/states.md`;
a test holds it to them. A transition that is not shown is an error: ours when the event says "send", otherwise the peer's.

## Client

An event of the peer that has no arrow closes the connection. "breach" is anything that does not hold: a wrong tag, a replay,
an unencrypted answer where ciphering was agreed, octets that can't be read.

```mermaid
{client}
```

## Server

There is one such machine for each pair of wrapper ports on a connection. An event of the client that has no arrow is
answered by an ExceptionResponse (a lost block by its data-access-result) and changes nothing.

```mermaid
{server}
```

## Client of an HDLC link

In READY the client sends next, in WAITING the server. What comes late or twice leaves the state as it is.

```mermaid
{client_link}
```

## Server of an HDLC link

In LISTENING the turn is the client's, in ANSWERING the server's. REJECTING answers everything by FRMR until SNRM or DISC.

```mermaid
{server_link}
```

## Reader of an optical port (mode E)

```mermaid
{client_sign_on}
```

## Meter with an optical port (mode E)

```mermaid
{server_sign_on}
```
"""


def page() -> str:
    return PAGE.format(
        client=diagram(CLIENT_TABLE),
        server=diagram(SERVER_TABLE),
        client_link=diagram(CLIENT_LINK_TABLE),
        server_link=diagram(SERVER_LINK_TABLE),
        client_sign_on=diagram(CLIENT_SIGN_ON),
        server_sign_on=diagram(SERVER_SIGN_ON),
    )


if __name__ == "__main__":
    print(page(), end="")
