"""Sessions."""

import atexit
import os
import threading
import weakref
from collections.abc import Mapping, MutableMapping

from . import _core, _lazy, operation, query, symbol

#: Sessions that are closed when the program ends.
_open_sessions = weakref.WeakSet()


@atexit.register
def _close_sessions():
    for session in list(_open_sessions):
        session.close()


class Session(_core.Session):
    """A connection to a server, with everything that was loaded and changed in it."""

    logger = _lazy.Once(lambda session: _logger_of(type(session)))
    cache = _lazy.Once(lambda session: _memory_of(session))

    def __init__(
        self,
        server_url=None,
        api_key=None,
        api_user=None,
        auto_populate=True,
        plugin_paths=None,
        cache=None,
        cache_key_maker=None,
        auto_connect_event_hub=False,
        schema_cache_path=None,
        plugin_arguments=None,
        timeout=60,
        cookies=None,
        headers=None,
        strict_api=False,
    ):
        """Connect.

        *server_url*, *api_key* and *api_user* come from `FTRACK_SERVER`, `FTRACK_API_KEY` and `FTRACK_API_USER` if
        they are not given. *plugin_paths* are searched for plugins, else those of `FTRACK_EVENT_PLUGIN_PATH`;
        *plugin_arguments* are given to their `register`. *cache* keeps entities in the form of texts: an object like
        `ftrack_api.cache.Cache`, or a function of the session that makes one.
        """
        super(Session, self).__init__()
        self._api_key = api_key
        self._types = None
        self._schemas = None
        self._bindings = {}
        self._switches = {}
        self._sending = threading.local()
        # What belongs to the event hub, once somebody has asked for that; and the hub while somebody holds it.
        self._hub_state = None
        self._hub_object = None
        self.merge_lock = threading.RLock()
        self.request_timeout = timeout
        self._schema_cache_path = schema_cache_path or os.environ.get("FTRACK_API_SCHEMA_CACHE_PATH")
        self._operations_view = operation.Operations(weakref.proxy(self))
        # A cache that is made of the session needs one that is open.
        late = cache if callable(cache) and not hasattr(cache, "get") else None
        # What the SDK calls is held here, where the garbage collector sees it.
        self._held = (_CacheRelay(None if late else cache), cache_key_maker)
        relay = self._held[0]
        self._open(
            dict(
                server_url=server_url,
                api_key=api_key,
                api_user=api_user,
                auto_populate=auto_populate,
                cache=None if cache is None else relay,
                cache_key_maker=cache_key_maker,
                schema_cache_path=_schema_cache(schema_cache_path),
                timeout=timeout,
                cookies=cookies,
                headers=headers,
                strict_api=strict_api,
                call=type(self).call is not Session.call,
            )
        )
        _open_sessions.add(self)
        self.cache_key_maker = cache_key_maker
        if late:
            relay.cache = late(self)
        if relay.cache is not None:
            self.cache = relay.cache
        if auto_connect_event_hub:
            self.event_hub.init_connection()
        if plugin_paths is None:
            plugin_paths = os.environ.get("FTRACK_EVENT_PLUGIN_PATH", "").split(os.pathsep)
        self._discover_plugins(plugin_paths, plugin_arguments)
        self._announce("configure-location")
        self._announce("ready")

    def _discover_plugins(self, plugin_paths, plugin_arguments=None):
        if any(path.strip() for path in plugin_paths):
            from . import plugin

            plugin.discover(plugin_paths, [self], plugin_arguments)

    def _announce(self, name):
        if self._hub_state is None:
            return  # Nobody has subscribed.
        from .event import base as _event_base

        topic = "ftrack.api.session." + name
        self.event_hub.publish(_event_base.Event(topic=topic, data=dict(session=self)), synchronous=True)

    def __enter__(self):
        return self

    def __exit__(self, exception_type, exception_value, traceback):
        self.close()

    def __repr__(self):
        return "<{0} {1} of {2}>".format(type(self).__name__, self.server_url, self.api_user)

    # --- what it is ---

    @property
    def auto_populate(self):
        """Whether attributes that are not loaded are loaded when they are read. Set it for this thread."""
        return self._populates

    @auto_populate.setter
    def auto_populate(self, value):
        self._switch("populate", value)

    @property
    def record_operations(self):
        """Whether changes are recorded. Set it for this thread."""
        return self._records

    @record_operations.setter
    def record_operations(self, value):
        self._switch("record", value)

    def _switch(self, what, value):
        key = (what, threading.get_ident())
        before = self._switches.pop(key, None)
        if before is not None:
            self._leave(before)
        self._switches[key] = self._enter(what, bool(value))

    @property
    def server_information(self):
        """The server's information about itself."""
        return self._server_information()

    @property
    def api_key(self):
        """The API key, for your own requests. `repr` does not show it."""
        return self._api_key or os.environ.get("FTRACK_API_KEY") or os.environ.get("FTRACK_APIKEY")

    @property
    def event_hub(self):
        """The event hub."""
        hub = self._hub_object and self._hub_object()
        if hub is None:
            from .event.hub import EventHub

            hub = EventHub._of_session(self, self._hub_state)
            self._hub_state = hub.__dict__
            self._hub_object = weakref.ref(hub)
        return hub

    @property
    def types(self):
        """The classes of entities, by the names of their types."""
        if self._types is None:
            self._types = _Types(self)
        return self._types

    @property
    def schemas(self):
        """The schemas, as the server sends them; requested on first use."""
        if self._schemas is None:
            self._schemas = self._cached_schemas() or self._core_send([{"action": "query_schemas"}])[0]
        return self._schemas

    def _cached_schemas(self):
        """The schemas from the cache that was named, if those in it are the server's."""
        try:
            with open(os.path.join(self._schema_cache_path or "", "ftrack_api_schema_cache.json"), "rb") as file:
                text = file.read()
        except (OSError, TypeError):
            return None
        import hashlib
        import json

        is_current = hashlib.md5(text).hexdigest() == self.server_information.get("schema_hash")
        return json.loads(text.decode("utf-8")) if is_current else None

    def _class_of(self, name):
        return self.types[name]

    def _primary_key(self, name):
        return self.types[name].primary_key_attributes

    def check_server_compatibility(self):
        """The session has checked it when it was opened."""

    def close(self):
        """Close it. What is loaded stays readable."""
        if self.closed:
            return
        if self._hub_state is not None:
            self.event_hub.disconnect(unsubscribe=False)
        self._close()
        _open_sessions.discard(self)

    def reset(self):
        """Discard everything that is loaded, and uncommitted changes."""
        self._reset()

    # --- settings for a while ---

    def auto_populating(self, auto_populate):
        """Set `auto_populate` for a `with` block of this thread."""
        return AutoPopulatingContext(self, auto_populate)

    def operation_recording(self, record_operations):
        """Set `record_operations` for a `with` block of this thread."""
        return OperationRecordingContext(self, record_operations)

    # --- changes ---

    @property
    def created(self):
        """Entities that were created and not yet committed."""
        return self._changed("created")

    @property
    def modified(self):
        return self._changed("modified")

    @property
    def deleted(self):
        return self._changed("deleted")

    @property
    def recorded_operations(self):
        """The uncommitted changes, oldest first."""
        return self._operations_view

    def create(self, entity_type, data=None, reconstructing=False):
        """Create an entity with the attributes of *data*; the next commit sends it to the server."""
        if reconstructing:
            reference = {"__entity_type__": entity_type}
            reference.update(data or {})
            return self._decode([reference])[0]
        if entity_type == "Job" and data and data.get("type", "api_job") != "api_job":
            raise ValueError("type of a new job is api_job, not {0!r}".format(data["type"]))
        return self._create(entity_type, self._known(entity_type, data or {}))

    def _known(self, entity_type, data):
        """*data* without attributes that the type does not have: scripts rely on their being ignored."""
        if entity_type not in self.types:
            return data
        names = self.types[entity_type].attributes
        unknown = [name for name in data if names.get(name) is None]
        for name in unknown:
            import difflib

            near = difflib.get_close_matches(str(name), names.keys(), 1)
            hint = "; did you mean {0!r}?".format(near[0]) if near else ""
            self.logger.warning("%s has no attribute %r: it is ignored%s", entity_type, name, hint)
        return {name: value for name, value in data.items() if name not in unknown} if unknown else data

    def ensure(self, entity_type, data, identifying_keys=None):
        """The entity that *data* identifies, by its *identifying_keys* or all of it; created or updated, and committed."""
        keys = list(data) if identifying_keys is None else list(identifying_keys)
        return self._ensure(entity_type, data, keys)

    def delete(self, entity):
        """Mark an entity for deletion; the next commit deletes it on the server."""
        self._delete(entity)

    def commit(self):
        """Send the recorded changes in one transaction. If that fails, they stay recorded."""
        self._commit()

    def rollback(self):
        """Discard the recorded changes."""
        self._rollback()

    # --- loading ---

    def get(self, entity_type, entity_key):
        """The entity with this key, or `None`. A key with several values is a list in the order of the primary key, or a dict."""
        if isinstance(entity_key, str):
            key = [entity_key]
        elif isinstance(entity_key, Mapping):
            key = [entity_key[name] for name in self._primary_key(entity_type)]
        elif isinstance(entity_key, (list, tuple)):
            key = entity_key
        else:
            key = [entity_key]
        return self._get(entity_type, [str(value) for value in key])

    def query(self, expression, page_size=500):
        """The result of a query; nothing is sent until it is used."""
        return query.QueryResult(self, self._with_projections(str(expression)), page_size=page_size)

    def _with_projections(self, expression):
        """A plugin may have given a class other default projections than the SDK knows."""
        words = expression.split(None, 1)
        if words and words[0] in self.types and self.types._are_asked_for():
            projections = self.types[words[0]].default_projections
            if projections != self._type(words[0])["default_projections"]:
                return "select {0} from {1}".format(", ".join(projections), expression)
        return expression

    def merge(self, value, merged=None):
        """Take over what another session has loaded of an entity, or of all entities in a list or a dict."""
        if isinstance(value, _core.Entity):
            return self._merge(value)
        if isinstance(value, Mapping):
            return {key: self.merge(one) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.merge(one) for one in value]
        return value

    def populate(self, entities, projections):
        """Load attributes, given as paths with commas between, of one or several entities, in as few requests as possible."""
        if not isinstance(projections, str):
            projections = ",".join(str(one) for one in projections)
        self._populate(entities, projections)

    # --- requests of one's own ---

    def call(self, data):
        """Send actions as they are, and return the replies, with the entities in them taken into the session.

        A class that overrides this sees the requests that the session makes by itself too. Their replies are plain.
        """
        pending = getattr(self._sending, "pending", None)
        if pending is not None:
            self._sending.pending = None
            return pending.send(data)
        is_one = isinstance(data, Mapping)
        actions = [data] if is_one else list(data)
        if not actions and not is_one:
            return []
        replies = self._adopt(self._core_send(actions))
        return replies[0] if is_one else replies

    def _core_send(self, actions):
        # The transport would hand it to `call` again.
        self._sending.is_own = True
        try:
            return self._send(actions)
        finally:
            self._sending.is_own = False

    def _call_for(self, actions, pending):
        """What the transport calls for each request of a session whose class overrides `call`."""
        if getattr(self._sending, "is_own", False):
            return pending.send(actions)
        self._sending.pending = pending
        try:
            return self.call(actions)
        finally:
            self._sending.pending = None

    def _adopt(self, value):
        """*value* with entities in place of what stands for them."""
        if isinstance(value, dict):
            if "__entity_type__" in value:
                return self._decode([value])[0]
            return {name: self._adopt(one) for name, one in value.items()}
        if isinstance(value, list):
            if value and all(isinstance(one, dict) and "__entity_type__" in one for one in value):
                return list(self._decode(value))
            return [self._adopt(one) for one in value]
        return value

    def encode(self, data, entity_attribute_strategy="set_only"):
        """*data* as JSON; of entities the attributes that the strategy selects: `all`, `set_only`, `modified_only` or
        `persisted_only`.
        """
        if entity_attribute_strategy not in ("all", "set_only", "modified_only", "persisted_only"):
            raise ValueError(
                'Unsupported entity_attribute_strategy "{0}": choose among all, set_only, modified_only, '
                "persisted_only.".format(entity_attribute_strategy)
            )

        def default(value):
            if isinstance(value, _core.Entity):
                return self._encode(value, entity_attribute_strategy)
            if hasattr(value, "isoformat"):
                return {"__type__": "datetime", "value": value.isoformat()}
            if isinstance(value, MutableMapping):
                return dict(value)
            if hasattr(value, "__iter__"):
                return list(value)
            raise TypeError("{0!r} cannot be encoded".format(value))

        import json

        return json.dumps(data, sort_keys=True, default=default)

    def decode(self, string):
        """What a JSON text stands for, with the entities in it taken into the session."""
        import json

        return self._adopt(_with_moments(json.loads(string)))

    def entity_reference(self, entity):
        """The type and key of an entity, in the form that actions take."""
        return self._reference(entity)

    def reset_remote(self, reset_type, entity=None):
        """Reset something on the server: see `User.reset_api_key`."""
        payload = {"action": "reset_remote", "reset_type": reset_type}
        if entity is not None:
            payload.update({"entity_type": entity.entity_type, "entity_key": entity._id})
        return self.call([payload])[0]["data"]

    # --- components and locations ---

    def pick_location(self, component=None):
        """The accessible location with the lowest priority; with a component, among those where it is."""
        return self._pick_locations(None if component is None else [component])[0]

    def pick_locations(self, components):
        return self._pick_locations(components)

    def create_component(self, path, data=None, location="auto"):
        """A component for a file, or for a sequence such as `/path/file.%04d.exr [1-10]`.

        Its data goes to *location*: one that is picked (`auto`), none (`None`), or the one that is given. With a
        location it is committed.
        """
        return self._create_component(str(path), data or {}, "nowhere" if location is None else location)

    def get_component_availability(self, component, locations=None):
        """The share of the component in each location, in percent, by location id."""
        return self.get_component_availabilities([component], locations)[0]

    def get_component_availabilities(self, components, locations=None):
        found = self._availabilities(components)
        if locations is None:
            return found
        ids = [location._id for location in locations]
        return [{id: shares.get(id, 0.0) for id in ids} for shares in found]

    def encode_media(self, media, version_id=None, keep_original="auto"):
        """Have the server encode media for the web player: a path, which is uploaded, or a component. Returns the job."""
        if not isinstance(media, (str, os.PathLike)) and getattr(media, "entity_type", None) != "FileComponent":
            raise ValueError("Unable to encode media of type {0!r}".format(getattr(media, "entity_type", type(media))))
        version = None if version_id is None else self.get("AssetVersion", version_id)
        keep = None if keep_original == "auto" else bool(keep_original)
        media = os.fspath(media) if isinstance(media, os.PathLike) else media
        return self._encode_media(media, version, keep)

    def get_upload_metadata(self, component_id, file_name, file_size, checksum=None):
        """A signed URL, with headers, for programs that upload the data of a component themselves."""
        file = {"component_id": component_id, "file_name": file_name, "file_size": file_size, "checksum": checksum}
        return self.call([{"action": "get_upload_metadata", **file}])[0]

    def _location_part(self, location, name):
        bound = self._bindings.get(location._id, {})
        if name in bound:
            return bound[name]
        if name == "priority":
            return location._priority()
        core = {"accessor": location._accessor, "structure": location._structure}.get(name, lambda: None)()
        if core is None:
            return symbol.NOT_SET
        if name == "accessor":
            from .accessor.base import _CoreAccessor as wrapper
        else:
            from .structure.base import _Opaque as wrapper
        return self._bindings.setdefault(location._id, {}).setdefault(name, wrapper(core))

    def _bind_location(self, location, parts):
        bound = self._bindings.setdefault(location._id, {})
        for name, value in parts.items():
            if value is None:
                value = symbol.NOT_SET
            if value is symbol.NOT_SET and name in ("accessor", "structure", "resource_identifier_transformer"):
                bound[name] = value
                kept = {key: _for_core(one) for key, one in bound.items() if one is not symbol.NOT_SET}
                self._unbind(location)
                self._bind(location, kept)
                continue
            bound[name] = value
            self._bind(location, {name: _for_core(value)})


def _for_core(value):
    """The SDK's own object, if *value* is one of ours that nobody has changed."""
    is_ours = type(value).__module__.startswith("ftrack_api.")
    return value._core if is_ours and hasattr(value, "_core") else value


def _schema_cache(path):
    if path is None or isinstance(path, (bool, str)):
        return path
    return os.fspath(path)


def _with_moments(value):
    if isinstance(value, dict):
        if value.get("__type__") == "datetime":
            return _arrow().get(value["value"])
        return {name: _with_moments(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_with_moments(one) for one in value]
    return value


def _logger_of(kind):
    import logging

    return logging.getLogger(__name__ + "." + kind.__name__)


def _memory_of(session):
    from .cache import _Memory

    return _Memory(session)


def _arrow():
    """Points in time: of `arrow`, or, if that is not installed or broken, of what scripts use most of it."""
    try:
        import arrow
    except Exception:
        from . import _moment as arrow
    return arrow


def __getattr__(name):
    if name == "arrow":
        return _arrow()
    if name == "L":
        from .logging import LazyLogMessage

        return LazyLogMessage
    raise AttributeError("module {0!r} has no attribute {1!r}".format(__name__, name))


class _CacheRelay(object):
    """Stands for the cache of a session, which may be made once that is open."""

    def __init__(self, cache):
        self.cache = cache

    def get(self, key):
        if self.cache is None:
            raise KeyError(key)
        return self.cache.get(key)

    def set(self, key, value):
        if self.cache is not None:
            self.cache.set(key, value)

    def remove(self, key):
        if self.cache is None:
            raise KeyError(key)
        self.cache.remove(key)

    def keys(self):
        return [] if self.cache is None else self.cache.keys()


class _Types(Mapping):
    """The classes of entity types, made on first use."""

    def __init__(self, session):
        self._session = weakref.ref(session)
        self._names = dict.fromkeys(session._type_names())
        self._made = {}
        self._lock = threading.RLock()

    def __getitem__(self, name):
        made = self._made.get(name)
        if made is not None:
            return made
        if name not in self._names:
            raise KeyError(name)
        with self._lock:
            if name not in self._made:
                self._made[name] = self._make(name)
            return self._made[name]

    def _make(self, name):
        session = self._session()
        from .entity import factory

        schema = factory.Schema()
        schema.kind = session._type(name)
        if self._are_asked_for():
            from .event import base as _event_base

            hub = session.event_hub
            schemas = session.schemas
            schema.update(next(one for one in schemas if one.get("id") == name))
            asked = _event_base.Event(
                topic="ftrack.api.session.construct-entity-type",
                data=dict(schema=schema, schemas=schemas, session=session),
            )
            replies = [one for one in hub.publish(asked, synchronous=True) if one is not None]
            if replies:
                return replies[-1]
        return factory.StandardFactory().create(schema)

    def _are_asked_for(self):
        """Whether a plugin may make classes."""
        hub = self._session()._hub_state
        texts = [str(one.subscription) for one in hub["_subscribers"]] if hub is not None else []
        return any("construct-entity-type" in text or "*" in text for text in texts)

    def __contains__(self, name):
        return name in self._names or name in self._made

    def __setitem__(self, name, made):
        """Use a custom class from now on."""
        self._names[name] = None
        self._made[name] = made
        self._session()._forget_class(name)

    def __iter__(self):
        return iter(self._names)

    def __len__(self):
        return len(self._names)


class SessionAuthentication(object):
    """Authentication for your own requests with `requests`: adds the headers that the server expects."""

    def __init__(self, api_key, api_user):
        self.api_key = api_key
        self.api_user = api_user

    def __call__(self, request):
        request.headers.update({"ftrack-api-key": self.api_key, "ftrack-user": self.api_user})
        return request


class _Context(object):
    _what = None

    def __init__(self, session, value):
        self._session = session
        self._value = value
        self._numbers = []

    def __enter__(self):
        self._numbers.append(self._session._enter(self._what, bool(self._value)))

    def __exit__(self, exception_type, exception_value, traceback):
        self._session._leave(self._numbers.pop())


class AutoPopulatingContext(_Context):
    """`Session.auto_populating`."""

    _what = "populate"


class OperationRecordingContext(_Context):
    """`Session.operation_recording`."""

    _what = "record"


class OperationPayload(dict):
    """An action, for your own requests."""
