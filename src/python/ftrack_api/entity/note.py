"""Notes."""

from .. import symbol
from .base import Entity


class Note(Entity):
    """A note."""

    def create_reply(self, content, author):
        """A reply to this note."""
        return self._create_reply(content, author)


class CreateNoteMixin(object):
    """For entities that have notes."""

    def create_note(self, content, author, recipients=None, category=None, labels=None):
        """A note about this entity. A category is the only label; servers without labels have one category."""
        labels = list(labels or ())
        if category not in (None, symbol.NOT_SET):
            if labels:
                raise ValueError("Both category and labels cannot be set at the same time.")
            labels = [category]
        return self._create_note(content, author, list(recipients or ()), labels)
