"""The quick road of a plain GET at a server: one attribute, without selection, that the client may have, answered by a value.

Everything is asked before anything moves. What is not exactly that gives None, and the general road of `serving` decides
from the beginning; between request and answer it may still take over.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import error as StructError
from typing import Any

from ami_dlms.apdu.shortcuts import response_with
from ami_dlms.association.asked import AskedGet
from ami_dlms.association.envelope import MARGIN
from ami_dlms.association.events import Answer, GetAnswer, RequestKey
from ami_dlms.association.forms import Form
from ami_dlms.data import Data
from ami_dlms.errors import LocalError


class AskedPlainGet(AskedGet):
    """A plain GET that was granted; what the application answers decides on the road back."""

    in_one = False

    def __init__(self, key: RequestKey, form: Form) -> None:
        self.key = key
        self.form = form

    def results(self, answer: Answer) -> Sequence[Any]:
        if type(answer) is not GetAnswer:
            raise LocalError(f"{type(answer).__name__} does not answer {AskedGet.__name__}")
        return (answer.result,)


def whole_answer(asked: AskedPlainGet, answer: Answer, limit: int) -> bytes | None:
    """The response when the answer is a value that certainly fits into `limit` octets, whatever protects it."""
    if type(answer) is not GetAnswer or type(answer.result) is not Data:
        return None
    try:
        whole = response_with(asked.key.invoke_id_and_priority, answer.result)
    except (StructError, OverflowError):
        return None
    return whole if len(whole) + MARGIN <= limit else None
