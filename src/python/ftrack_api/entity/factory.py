"""Classes for the entity types of a schema."""

from .. import _lazy, attribute, symbol
from . import asset_version, base, component, job, location, note, project_schema, user

_BASES = {
    "AssetVersion": asset_version.AssetVersion,
    "Job": job.Job,
    "Location": location.Location,
    "Note": note.Note,
    "ProjectSchema": project_schema.ProjectSchema,
    "User": user.User,
}


class Schema(dict):
    """A schema of the server, with what the SDK says of the type: `kind`."""

    kind = None


def _kind_of(schema):
    kind = getattr(schema, "kind", None)
    if kind is None:
        raise ValueError("give the factory the schema that the event construct-entity-type has")
    return kind


def _in_order(bases, extra, kept):
    """Bases of one's own first: they override what entities of the type have."""
    own = [one for one in kept if one is not base.Entity]
    rest = [one for one in kept if one is base.Entity]
    return own + [one for one in extra if not any(issubclass(have, one) for have in own)] + rest


class Factory(object):
    """Makes classes from what the SDK says of a type, or from a schema of the server."""

    logger = _lazy.Logger(__name__)

    def create(self, schema, bases=None):
        """A class for *schema*, with *bases*."""
        kind = _kind_of(schema)
        bases = list(bases or [base.Entity])
        attributes = attribute.Attributes(self._create_attribute(kind["name"], one) for one in kind["attributes"])
        namespace = {
            "__module__": bases[0].__module__ if bases else __name__,
            "entity_type": kind["name"],
            "attributes": attributes,
            "primary_key_attributes": list(kind["primary_key"]),
            "default_projections": list(kind["default_projections"]),
        }
        return base.DynamicEntityTypeMetaclass(str(kind["name"]), tuple(bases), namespace)

    def _create_attribute(self, class_name, one):
        options = {"mutable": one["mutable"]}
        kind = one["kind"]
        if kind == "reference":
            return self.create_reference_attribute(class_name, one["name"], reference=one["entity_type"], **options)
        if kind == "collection":
            return self.create_collection_attribute(class_name, one["name"], **options)
        if kind == "mapped":
            return self.create_mapped_collection_attribute(class_name, one["name"], reference=one["entity_type"], **options)
        default = one.get("default", symbol.NOT_SET)
        return self.create_scalar_attribute(
            class_name, one["name"], computed=one["computed"], default=default, data_type=kind, **options
        )

    def create_scalar_attribute(self, class_name, name, mutable, computed, default, data_type):
        return attribute.ScalarAttribute(
            name, data_type=data_type, default_value=default, mutable=mutable, computed=computed
        )

    def create_reference_attribute(self, class_name, name, mutable, reference):
        return attribute.ReferenceAttribute(name, entity_type=reference, mutable=mutable)

    def create_collection_attribute(self, class_name, name, mutable):
        return attribute.CollectionAttribute(name, mutable=mutable)

    def create_mapped_collection_attribute(self, class_name, name, mutable, reference):
        return attribute.KeyValueMappedCollectionAttribute(name, entity_type=reference, mutable=mutable)


class StandardFactory(Factory):
    """Gives entities of some types the methods that belong to them."""

    def create(self, schema, bases=None):
        bases = list(bases or [base.Entity])
        kind = _kind_of(schema)
        names = {one["name"] for one in kind["attributes"]}
        extra = []
        if kind["name"] in _BASES:
            extra.append(_BASES[kind["name"]])
        elif kind["name"].endswith("Component") and "component_locations" in names:
            extra.append(component.Component)
        if "notes" in names:
            extra.append(note.CreateNoteMixin)
        if "thumbnail_id" in names:
            extra.append(component.CreateThumbnailMixin)
        # Python wants the more special class first.
        kept = [one for one in bases if not any(issubclass(other, one) for other in extra)]
        return Factory.create(self, schema, bases=_in_order(bases, extra, kept))

    def create_mapped_collection_attribute(self, class_name, name, mutable, reference):
        if name == "custom_attributes":
            return attribute.CustomAttributeCollectionAttribute(name, entity_type=reference, mutable=mutable)
        return Factory.create_mapped_collection_attribute(self, class_name, name, mutable, reference)
