from . import (
    base as base,
    entity_id as entity_id,
    id as id,
    origin as origin,
    standard as standard,
)
