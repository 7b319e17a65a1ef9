"""What a server offers may change while a connection is open: keys that were transferred count from the next association, or at once."""

from __future__ import annotations

import pytest
from in_memory import (
    CHALLENGE,
    CLIENT_TITLE,
    KEYS,
    NAME,
    OTHER_KEYS,
    SERVER_TITLE,
    SERVER_WPORT,
    Pair,
    from_client,
    profile,
    random_bytes,
    requested,
    security,
    settings,
)

from ami_dlms import apdu
from ami_dlms.apdu.ciphered import GeneralGloCiphering
from ami_dlms.apdu.get import GetRequestNormal
from ami_dlms.association import (
    AssociationProfile,
    ClientConnection,
    Get,
    GetResult,
    Open,
    Opened,
    OpenRefused,
    PeerFault,
    Release,
    Released,
    ServerConnection,
    Service,
)
from ami_dlms.enums import Mechanism
from ami_dlms.security import AUTHENTICATED, ENCRYPTED, GlobalKeys, ReceiveCounter, SendCounter, protect


class Offering:
    """A server that offers one association, and may offer it otherwise later."""

    def __init__(self) -> None:
        self.offered: AssociationProfile | None = self.under(KEYS)
        self.server = ServerConnection(lambda *_: self.offered, random_bytes=random_bytes)

    @staticmethod
    def under(keys: GlobalKeys) -> AssociationProfile:
        changed = security(SERVER_TITLE, keys=keys)
        return profile(
            Mechanism.GMAC, security=changed, send_counter=SendCounter(5000), receive_counter=ReceiveCounter(0)
        )

    def client(self, keys: GlobalKeys, dedicated_key: bytes | None = None) -> Pair:
        end = ClientConnection(
            settings(Mechanism.GMAC, security=security(CLIENT_TITLE, keys=keys)),
            challenge=CHALLENGE,
            send_counter=SendCounter(1),
            dedicated_key=dedicated_key,
        )
        return Pair(end, self.server)


def test_the_open_association_goes_on_under_the_keys_that_opened_it() -> None:
    offering = Offering()
    before = offering.client(KEYS)
    assert isinstance(before.ask(Open())[0], Opened)
    offering.offered = offering.under(OTHER_KEYS)
    assert isinstance(before.ask(Get(NAME))[0], GetResult)
    assert isinstance(before.ask(Release())[0], Released)
    assert isinstance(offering.client(KEYS).ask(Open())[0], OpenRefused)
    after = offering.client(OTHER_KEYS)
    assert isinstance(after.ask(Open())[0], Opened)
    assert isinstance(after.ask(Get(NAME))[0], GetResult)


def test_who_opens_again_without_a_release_meets_the_new_keys_too() -> None:
    offering = Offering()
    assert isinstance(offering.client(KEYS).ask(Open())[0], Opened)
    offering.offered = offering.under(OTHER_KEYS)
    assert isinstance(offering.client(OTHER_KEYS).ask(Open())[0], Opened)


def test_an_association_that_is_not_offered_any_more_is_refused() -> None:
    offering = Offering()
    assert isinstance(offering.client(KEYS).ask(Open())[0], Opened)
    offering.offered = None
    assert isinstance(offering.client(KEYS).ask(Open())[0], OpenRefused)


@pytest.mark.parametrize("dedicated_key", [None, b"dedicated key 16"])
def test_a_server_may_renew_its_keys_in_an_open_association(dedicated_key: bytes | None) -> None:
    """The client takes the answer under the old key, and has to go on under the new one; a dedicated key stays what it was."""
    offering = Offering()
    joined = offering.client(KEYS, dedicated_key)
    assert isinstance(joined.ask(Open())[0], Opened)
    offering.offered = offering.under(OTHER_KEYS)
    offering.server.renew(SERVER_WPORT, 1)
    if dedicated_key is not None:
        assert isinstance(joined.ask(Get(NAME))[0], GetResult)
        return
    (fault,) = joined.ask(Get(NAME))
    assert isinstance(fault, PeerFault) and fault.reason == "service-not-allowed, deciphering-error"
    request = apdu.encode(GetRequestNormal(0xC1, NAME))
    content = protect(AUTHENTICATED | ENCRYPTED, OTHER_KEYS, CLIENT_TITLE, 0, request)
    offering.server.receive_data(from_client(apdu.encode(GeneralGloCiphering(CLIENT_TITLE, content))))
    assert requested(offering.server.next_event(), Service.GET).items == (Get(NAME),)
    again = offering.client(OTHER_KEYS)
    assert isinstance(again.ask(Open())[0], Opened)
    assert isinstance(again.ask(Get(NAME))[0], GetResult)


def test_renewing_what_has_not_changed_does_nothing() -> None:
    offering = Offering()
    joined = offering.client(KEYS)
    joined.ask(Open())
    offering.server.renew(SERVER_WPORT, 1)
    offering.server.renew(SERVER_WPORT, 2)
    assert isinstance(joined.ask(Get(NAME))[0], GetResult)
