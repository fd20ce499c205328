from typing import List, Optional

from ..entity.factory import Schema
from .base import Entity

class ProjectSchema(Entity):
    def get_statuses(self, schema: Schema, type_id: Optional[str] = ...) -> List[Entity]: ...
    def get_types(self, schema: Schema) -> List[Entity]: ...
