"""Jobs."""

from .base import Entity


class Job(Entity):
    """A job: something that takes a while, shown to its user."""
