"""Versions of assets."""

from .base import Entity


class AssetVersion(Entity):
    """A version of an asset."""

    def create_component(self, path, data=None, location=None):
        """A component of this version; see `Session.create_component`."""
        data = dict(data or {})
        data.pop("version_id", None)
        data["version"] = self
        return self.session.create_component(path, data=data, location=location)

    def encode_media(self, media, keep_original="auto"):
        """Have the server encode media for this version; see `Session.encode_media`."""
        return self.session.encode_media(media, version_id=self["id"], keep_original=keep_original)
