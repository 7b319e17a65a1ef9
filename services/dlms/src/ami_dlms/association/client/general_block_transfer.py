"""General block transfer at a client: the request or answer under way, and pushes in blocks that are not confirmed."""

from __future__ import annotations

from ami_dlms import apdu
from ami_dlms.apdu.blocks import ABORT, GeneralBlockTransfer
from ami_dlms.association.blocks.general_block_transfer import GeneralTransfer, OneWayBlocks, Step
from ami_dlms.association.events import Opened
from ami_dlms.association.settings import MAX_REQUEST_OCTETS, ClientSettings
from ami_dlms.enums import Conformance
from ami_dlms.errors import LocalError, ProtocolError

PROTECTION_OCTETS = 256  # what a service and its protection add to a value, be it signed


class ClientTransfers:
    """The blocks of one association. `under_way` is the transfer of the pending request, None when it needs none."""

    def __init__(self, settings: ClientSettings) -> None:
        self._window = settings.block_window
        self._most = settings.max_result_octets + PROTECTION_OCTETS
        self._pushed = OneWayBlocks(min(settings.max_result_octets, MAX_REQUEST_OCTETS))
        self.under_way: GeneralTransfer | None = None

    def cut(self, octets: bytes, opened: Opened | None) -> tuple[GeneralTransfer | None, tuple[bytes, ...]]:
        """A request as the server takes it: as it is, or in blocks of a transfer that is not under way yet."""
        limit = 0 if opened is None else opened.server_max_receive_pdu_size
        if opened is None or not limit or len(octets) <= limit:
            return None, (octets,)
        if not opened.conformance & Conformance.GENERAL_BLOCK_TRANSFER:
            raise LocalError(f"the server takes {limit} octets at most, the request has {len(octets)}")
        transfer = GeneralTransfer(client=True, window=self._window, room=limit, limit=self._most)
        return transfer, transfer.send(octets)

    def receive(self, block: GeneralBlockTransfer, opened: Opened | None, *, pending: bool, most: int) -> Step:
        """What a block leads to: of an answer while a request is `pending`, `most` octets long at most, or of a push."""
        control = block.block_control
        unconfirmed = control.streaming and not control.window
        if self.under_way is None and (unconfirmed or not pending):
            return Step(whole=self._pushed.take(block) if unconfirmed else None)
        if opened is None or not opened.conformance & Conformance.GENERAL_BLOCK_TRANSFER:
            raise ProtocolError("general block transfer was not negotiated")
        if self.under_way is None:
            room = opened.server_max_receive_pdu_size
            self.under_way = GeneralTransfer(client=True, window=self._window, room=room, limit=most)
        return self.under_way.receive(block)

    def abandon(self) -> tuple[bytes, ...]:
        """Give up the transfer under way; the APDU that tells the server."""
        given_up, self.under_way = self.under_way, None
        return () if given_up is None else (apdu.encode(ABORT),)

    def timeout(self) -> tuple[bytes, ...]:
        """What to send again when the answer is late."""
        return () if self.under_way is None else self.under_way.timeout()
