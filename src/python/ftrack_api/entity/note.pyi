from typing import Any

from .base import Entity

class Note(Entity):
    def create_reply(self, content: Any, author: Entity) -> Entity: ...

class CreateNoteMixin:
    def create_note(self, content: Any, author: Entity, recipients: Any = ..., category: Any = ..., labels: Any = ...) -> Entity: ...
