"""Events."""

import uuid
from collections.abc import MutableMapping


class Event(MutableMapping):
    """A message: a mapping of `id`, `topic`, `data`, `source`, `target`, `sent` and `in_reply_to_event`."""

    def __init__(self, topic, id=None, data=None, sent=None, source=None, target="", in_reply_to_event=None):
        self._data = dict(
            id=id or uuid.uuid4().hex,
            data=data if data is not None else {},
            topic=topic,
            sent=sent,
            source=source if source is not None else {},
            target=target,
            in_reply_to_event=in_reply_to_event,
        )
        self._stopped = False

    def stop(self):
        """Withhold the event from the remaining subscribers."""
        self._stopped = True

    def is_stopped(self):
        return self._stopped

    def __getitem__(self, key):
        return self._data[key]

    def __setitem__(self, key, value):
        self._data[key] = value

    def __delitem__(self, key):
        del self._data[key]

    def __iter__(self):
        return iter(self._data)

    def __len__(self):
        return len(self._data)

    def __str__(self):
        return "<{0} {1}>".format(type(self).__name__, self._data)

    __repr__ = __str__
