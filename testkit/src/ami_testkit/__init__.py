"""An AMI to test against: `with ami(meters=100) as system:` has a head-end, meters, their clock, an inbox and a border with faults.

What is named here is loaded when it is first asked for: pytest imports this package in every run of an environment that has it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ami_testkit.beginning import ami as ami
    from ami_testkit.errors import KitError as KitError
    from ami_testkit.messages import Message as Message
    from ami_testkit.options import Options as Options
    from ami_testkit.system import System as System

__all__ = ["KitError", "Message", "Options", "System", "ami"]

_WHERE = {"KitError": "errors", "Message": "messages", "Options": "options", "System": "system", "ami": "beginning"}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
