from . import (
    base as base,
    expression as expression,
    hub as hub,
    subscriber as subscriber,
    subscription as subscription,
)
