"""What the consoles of CIS, HES and simulator share: their look, the frame of their pages, and the stream that keeps these live.

It knows neither CIM nor DLMS: each process brings its own pages and values. A page is an empty frame with a script of ours; what it
shows and does, the script asks the REST API of the process for, so a page can do nothing that a command cannot. Why: docs/adr/0035.
"""

from ami_console.assets import Assets
from ami_console.issuer_sign_in import IssuerSignIn
from ami_console.live import Live, live_response
from ami_console.page import Page
from ami_console.sessions import Happened, KeptSession, SessionKeeper, Sessions, reporting
from ami_console.sign_in_events import SignedIn, SignedOut, SignInRefused
from ami_console.site import Console, Site

__all__ = [
    "Assets",
    "Console",
    "Happened",
    "IssuerSignIn",
    "KeptSession",
    "Live",
    "Page",
    "SessionKeeper",
    "Sessions",
    "SignInRefused",
    "SignedIn",
    "SignedOut",
    "Site",
    "live_response",
    "reporting",
]
