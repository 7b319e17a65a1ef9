"""The quick road of a plain GET at a server: one attribute, without selection, that the client may have, answered by a value.

Everything is asked before anything moves. What is not exactly that gives None, and the general road of `serving` decides
from the beginning; between request and answer it may still take over.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dlms import apdu
from dlms.apdu.get import GetRequestNormal, GetResponseNormal
from dlms.association.asked import AskedGet
from dlms.association.events import Answer, GetAnswer, GetRequested, RequestKey
from dlms.association.protection import Form
from dlms.association.rights import READ
from dlms.association.settings import AccessRights
from dlms.cosem.descriptors import AttributeDescriptor
from dlms.data import Data
from dlms.errors import LocalError


class AskedPlainGet(AskedGet):
    """A plain GET that was granted; what the application answers decides on the road back."""

    def __init__(self, key: RequestKey, descriptor: AttributeDescriptor, form: Form) -> None:
        self.key = key
        self.descriptor = descriptor
        self.form = form
        self.in_one = False

    def event(self) -> GetRequested:
        return GetRequested(self.key, self.descriptor, None)

    def results(self, answer: Answer) -> Sequence[Any]:
        if type(answer) is not GetAnswer:
            raise LocalError(f"{type(answer).__name__} does not answer {AskedGet.__name__}")
        return (answer.result,)


def granted(access: AccessRights, message: GetRequestNormal) -> bool:
    """Whether a request is a plain GET that the client may have."""
    if message.selection is not None:
        return False
    allowed = access.attribute(message.descriptor)
    return allowed is not None and bool(int(allowed) & READ)


def whole_answer(asked: AskedPlainGet, answer: Answer, limit: int) -> bytes | None:
    """The response when the answer is a value that fits."""
    if type(answer) is not GetAnswer or type(answer.result) is not Data:
        return None
    whole = apdu.encode(GetResponseNormal(asked.key.invoke_id_and_priority, answer.result))
    return whole if len(whole) <= limit else None
