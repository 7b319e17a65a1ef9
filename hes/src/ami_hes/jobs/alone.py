"""The work on one delivery, apart from that on all others: whatever can't be read or done of it keeps no other back."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from ami_hes.engine import Delivery
from ami_hes.engine.ports import J
from ami_hes.store import StoreUnavailable
from ami_process.events import Emit, Event, format_fault

T = TypeVar("T")


async def alone(
    delivery: Delivery[J], work: Awaitable[T], failed: Callable[[str], Event], *, emit: Emit, again_s: float
) -> T | None:
    """What comes of the work; None if it ended in a fault, and then the delivery comes again after these seconds.

    `failed` makes the event of a fault of ours, from its traceback.
    """
    try:
        return await work
    except StoreUnavailable:  # the store says so itself
        await delivery.again(again_s)
    except Exception as problem:  # noqa: BLE001  # reported, with its traceback
        emit(failed(format_fault(problem)))
        await delivery.again(again_s)
    return None
