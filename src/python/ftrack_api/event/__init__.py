"""Events, and the hub that sends and receives them."""

from .. import _lazy

__getattr__, __dir__ = _lazy.modules(__name__, "base", "expression", "hub", "subscriber", "subscription")
