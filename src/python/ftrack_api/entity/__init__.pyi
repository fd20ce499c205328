from . import (
    asset_version as asset_version,
    base as base,
    component as component,
    factory as factory,
    job as job,
    location as location,
    note as note,
    project_schema as project_schema,
    user as user,
)
