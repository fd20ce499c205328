"""The event hub: sends and receives events."""

import urllib.parse
import uuid
import weakref
from collections import namedtuple

from .. import _core, _lazy, exception
from .base import Event
from .subscriber import Subscriber

SocketIoSession = namedtuple("SocketIoSession", ["id", "heartbeatTimeout", "supportedTransports"])
ServerDetails = namedtuple("ServerDetails", ["scheme", "hostname", "port"])

#: How long `disconnect` and the end of a program wait for events that are on their way out, in seconds.
_FLUSH = 5


class _Receiver(object):
    """What the SDK calls with events for one subscriber, or with the replies to one event."""

    def __init__(self, hub, call):
        self._state = hub.__dict__
        self._call = call

    def _handle(self, given):
        event = Event(**given)
        if event["topic"].startswith("ftrack.api.session."):
            session = self._state["_session"] and self._state["_session"]()
            if session is not None and isinstance(event["data"], dict):
                event["data"].setdefault("session", session)
        try:
            reply = self._call(event)
        except Exception:
            EventHub.logger.exception("Error calling subscriber for event %s.", event)
            reply = None
        except BaseException as raised:
            # Ctrl-C and the like end the wait.
            self._state["_raised"] = raised
            event.stop()
            reply = None
        return reply, event.is_stopped()


class EventHub(object):
    """Sends and receives events. Callbacks run in the thread that waits."""

    # Who holds the hub of a session holds that. The other way round the session holds the hub's `__dict__` only, so
    # that it goes as soon as nobody holds either.
    __slots__ = ("_holds", "__dict__", "__weakref__")

    logger = _lazy.Logger(__name__ + ".EventHub")

    def __init__(self, server_url, api_user, api_key, headers=None, cookies=None):
        core = _core.Hub.of(
            server_url, api_user, api_key, list(dict(headers or {}).items()), list(dict(cookies or {}).items())
        )
        self._set_up(core, api_user)

    @classmethod
    def _of_session(cls, session, state=None):
        hub = cls.__new__(cls)
        hub._holds = session
        if state is None:
            hub._set_up(session._hub(), session.api_user)
            hub._session = weakref.ref(session)
        else:
            hub.__dict__ = state
        return hub

    def _set_up(self, core, api_user):
        self._core = core
        self._api_user = api_user
        self._session = None
        self._subscribers = []
        self._receivers = {}
        self._replies = {}
        self._raised = None
        parts = urllib.parse.urlparse(core.server_url)
        self.server = ServerDetails(parts.scheme, parts.hostname, parts.port)

    @property
    def id(self):
        return self._core.id

    @property
    def secure(self):
        return self.server.scheme == "https"

    @property
    def connected(self):
        return self._core.connected

    def get_server_url(self):
        return self._core.server_url

    def get_network_location(self):
        return urllib.parse.urlparse(self._core.server_url).netloc

    def init_connection(self):
        """Connect in the background; events that are published meanwhile are sent in order."""
        self._core.connect_in_background()

    def connect(self):
        """Connect, and return when the server has accepted."""
        self._core.connect()

    def disconnect(self, unsubscribe=True, reconnect=False):
        """Disconnect. With *unsubscribe* subscribers are removed."""
        if unsubscribe and not reconnect:
            for subscriber in list(self._subscribers):
                self._forget(subscriber)
        if self._core.connected:
            # Scripts publish and end: what they published is on its way out until the server has it.
            try:
                self._core.flush(_FLUSH)
            except exception.Error as error:
                self.logger.warning("Disconnecting with events that the server may not have: %s", error)
        self._core.disconnect()

    def reconnect(self, attempts=10, delay=5):
        """Replace the connection. Subscribers stay. The SDK has its own number of attempts and pauses."""
        self._core.reconnect()

    def wait(self, duration=None):
        """Call the callbacks of events that arrive, for *duration* seconds or until the hub is disconnected."""
        self._core.wait(duration, self._check)

    def poll(self):
        """Call the callbacks of events that have arrived, without waiting; how many there were."""
        count = self._core.poll()
        self._check()
        return count

    def flush(self, timeout=_FLUSH):
        """Wait until the server has acknowledged all published events."""
        self._core.flush(timeout)

    def _check(self):
        raised, self._raised = self._raised, None
        if raised is not None:
            raise raised

    def get_subscriber_by_identifier(self, identifier):
        """The subscriber with that id, or `None`."""
        for subscriber in self._subscribers:
            if subscriber.metadata.get("id") == identifier:
                return subscriber
        return None

    def subscribe(self, subscription, callback, subscriber=None, priority=100):
        """Call *callback* with each event that matches *subscription*, lower priorities first; the id of the subscriber.

        What it returns is sent to the publisher as a reply, unless it is `None`.
        """
        if not subscription:
            raise _Empty("a subscription needs an expression, such as topic=ftrack.update")
        metadata = dict(subscriber or {})
        metadata.setdefault("id", uuid.uuid4().hex)
        if self.get_subscriber_by_identifier(metadata["id"]) is not None:
            raise exception.NotUniqueError("Subscriber with identifier {0} already exists.".format(metadata["id"]))
        made = Subscriber(subscription, callback, metadata, priority)
        receiver = _Receiver(self, callback)
        self._core.subscribe(subscription, metadata, int(priority), receiver)
        self._receivers[metadata["id"]] = receiver
        self._subscribers.append(made)
        return metadata["id"]

    def unsubscribe(self, subscriber_identifier):
        """Remove the subscriber with that id."""
        subscriber = self.get_subscriber_by_identifier(subscriber_identifier)
        if subscriber is None:
            raise exception.NotFoundError(
                'Cannot unsubscribe missing subscriber with identifier "{0}"'.format(subscriber_identifier)
            )
        self._forget(subscriber)

    def _forget(self, subscriber):
        self._subscribers.remove(subscriber)
        self._receivers.pop(subscriber.metadata["id"], None)
        self._core.unsubscribe(subscriber.metadata["id"])

    def publish(self, event, synchronous=False, on_reply=None, on_error="raise"):
        """Send an event; or, with *synchronous*, only call the subscribers of this hub and return their results."""
        try:
            if synchronous:
                return self._publish_here(event)
            receiver = None
            if on_reply is not None:
                receiver = _Receiver(self, on_reply)
                self._replies[event["id"]] = receiver
                # As many as the SDK passes replies to.
                while len(self._replies) > 4096:
                    self._replies.pop(next(iter(self._replies)))
            self._complete(event)
            self._core.publish(dict(event), receiver)
        except Exception:
            if on_error == "raise":
                raise
            self.logger.exception("Error sending event %s.", event)

    def _complete(self, event):
        source = dict(event["source"] or {})
        source.setdefault("id", self.id)
        source.setdefault("user", {"username": self._api_user})
        event["source"] = source

    def _publish_here(self, event):
        self._complete(event)
        replies = []
        for subscriber in sorted(self._subscribers, key=lambda one: one.priority):
            if event.is_stopped():
                break
            if not subscriber.interested_in(event):
                continue
            try:
                reply = subscriber.callback(event)
            except Exception:
                self.logger.exception("Error calling subscriber %s for event %s.", subscriber, event)
                continue
            if reply is not None:
                replies.append(reply)
        return replies

    def publish_reply(self, source_event, data, source=None):
        """Publish a reply to an event."""
        reply = Event(
            "ftrack.meta.reply",
            data=data,
            source=source,
            target='id="{0}"'.format(source_event["source"]["id"]),
            in_reply_to_event=source_event["id"],
        )
        self.publish(reply)

    def subscription(self, subscription, callback, subscriber=None, priority=100):
        """Subscribe for as long as a `with` block runs."""
        return _SubscriptionContext(self, subscription, callback, subscriber, priority)


class _Empty(exception.ParseError, AttributeError):
    """A subscription without an expression."""


class _SubscriptionContext(object):
    """Subscribed while it is entered."""

    def __init__(self, hub, subscription, callback, subscriber, priority):
        self._hub = hub
        self._arguments = (subscription, callback, subscriber, priority)
        self._id = None

    def __enter__(self):
        self._id = self._hub.subscribe(*self._arguments)

    def __exit__(self, exception_type, exception_value, traceback):
        self._hub.unsubscribe(self._id)
