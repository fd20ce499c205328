"""Caches, and functions that remember their results.

A session takes any object with the methods of `Cache` as its cache; it keeps texts in it, under keys that are texts.
"""

import collections
import collections.abc
import contextlib
import copy
import functools
import inspect
import pickle
import re
import threading
import weakref


class Cache(object):
    """The base class of caches. `get` and `remove` raise `KeyError` for a missing key."""

    def get(self, key):
        raise NotImplementedError()

    def set(self, key, value):
        raise NotImplementedError()

    def remove(self, key):
        raise NotImplementedError()

    def keys(self):
        raise NotImplementedError()

    def values(self):
        """All values."""
        found = []
        for key in self.keys():
            with contextlib.suppress(KeyError):
                found.append(self.get(key))
        return found

    def clear(self, pattern=None):
        """Remove all values, or those whose key the regular expression *pattern* matches somewhere."""
        for key in list(self.keys()):
            if pattern is None or (isinstance(key, str) and re.search(pattern, key)):
                with contextlib.suppress(KeyError):
                    self.remove(key)


class ProxyCache(Cache):
    """Forwards to another cache."""

    def __init__(self, proxied):
        self.proxied = proxied

    def get(self, key):
        return self.proxied.get(key)

    def set(self, key, value):
        return self.proxied.set(key, value)

    def remove(self, key):
        return self.proxied.remove(key)

    def keys(self):
        return self.proxied.keys()


class LayeredCache(Cache):
    """Several caches, the fastest first; what is found in one is written to those before it."""

    def __init__(self, caches):
        super(LayeredCache, self).__init__()
        self.caches = caches

    def get(self, key):
        for number, cache in enumerate(self.caches):
            try:
                value = cache.get(key)
            except KeyError:
                continue
            for nearer in self.caches[:number]:
                nearer.set(key, value)
            return value
        raise KeyError(key)

    def set(self, key, value):
        for cache in self.caches:
            cache.set(key, value)

    def remove(self, key):
        removed = False
        for cache in self.caches:
            with contextlib.suppress(KeyError):
                cache.remove(key)
                removed = True
        if not removed:
            raise KeyError(key)

    def keys(self):
        return list(collections.OrderedDict.fromkeys(key for cache in self.caches for key in cache.keys()))


class MemoryCache(Cache):
    """A cache in memory."""

    def __init__(self):
        self._cache = {}

    def get(self, key):
        return self._cache[key]

    def set(self, key, value):
        self._cache[key] = value

    def remove(self, key):
        del self._cache[key]

    def keys(self):
        return list(self._cache)


class FileCache(Cache):
    """A cache in a file, by Python's `dbm`, for one process at a time."""

    def __init__(self, path):
        self.path = path
        self._lock = threading.RLock()
        with self._open("c"):
            pass

    @contextlib.contextmanager
    def _open(self, flag="w"):
        import dbm

        with self._lock:
            database = dbm.open(self.path, flag)
            try:
                yield database
            finally:
                database.close()

    def get(self, key):
        with self._open("r") as database:
            return database[key.encode("utf-8")].decode("utf-8")

    def set(self, key, value):
        with self._open() as database:
            database[key.encode("utf-8")] = value if isinstance(value, bytes) else value.encode("utf-8")

    def remove(self, key):
        with self._open() as database:
            del database[key.encode("utf-8")]

    def keys(self):
        with self._open("r") as database:
            return [key.decode("utf-8") for key in database.keys()]


class SerialisedCache(ProxyCache):
    """Stores values in another cache, in the form that *encode* returns."""

    def __init__(self, proxied, encode=None, decode=None):
        super(SerialisedCache, self).__init__(proxied)
        self.encode = encode
        self.decode = decode

    def get(self, key):
        value = super(SerialisedCache, self).get(key)
        return self.decode(value) if self.decode else value

    def set(self, key, value):
        super(SerialisedCache, self).set(key, self.encode(value) if self.encode else value)


class _Memory(Cache):
    """What a session without a cache of its own has in memory, by type and key."""

    def __init__(self, session):
        self._session = weakref.ref(session)

    def keys(self):
        return self._session()._cache_keys()

    def get(self, key):
        if key not in self.keys():
            raise KeyError(key)
        name, _, rest = key.partition("(")
        return self._session().get(name, rest[:-1].split(", "))

    def clear(self, pattern=None):
        """Forget all of it, or what *pattern* finds; values that are still held are loaded again when they are read."""
        keys = None if pattern is None else {key for key in self.keys() if re.search(pattern, key)}
        self._session()._cache_clear(keys)


class KeyMaker(object):
    """Makes keys from values."""

    def __init__(self):
        self.item_separator = ""

    def key(self, *items):
        """The key of *items*."""
        return self.item_separator.join(self._key(item) for item in items)

    def _key(self, obj):
        raise NotImplementedError()


class StringKeyMaker(KeyMaker):
    """Makes readable keys: the values as texts."""

    def _key(self, obj):
        return str(obj)


class ObjectKeyMaker(KeyMaker):
    """Makes exact keys: different values have different keys."""

    def _key(self, obj):
        return repr(self._plain(obj))

    def _plain(self, obj):
        if isinstance(obj, collections.abc.Mapping):
            pairs = [(self._plain(key), self._plain(value)) for key, value in obj.items()]
            return ("mapping", sorted(pairs, key=repr))
        if isinstance(obj, (list, tuple)):
            return [self._plain(item) for item in obj]
        if isinstance(obj, (set, frozenset)):
            return ("set", sorted((self._plain(item) for item in obj), key=repr))
        if inspect.isfunction(obj) or inspect.isclass(obj) or inspect.isbuiltin(obj):
            return ("name", obj.__module__, obj.__qualname__)
        if inspect.ismethod(obj):
            return ("method", obj.__func__.__module__, obj.__func__.__qualname__, self._plain(obj.__self__))
        if isinstance(obj, (str, bytes, int, float, bool, type(None))):
            return obj
        return pickle.dumps(obj)


class Memoiser(object):
    """Calls functions once for each set of arguments."""

    def __init__(self, cache=None, key_maker=None, return_copies=True):
        self.cache = MemoryCache() if cache is None else cache
        self.key_maker = ObjectKeyMaker() if key_maker is None else key_maker
        self.return_copies = return_copies

    def call(self, function, args=None, kw=None):
        """The result of *function* for these arguments, from the cache if it is there."""
        args, kw = args or (), kw or {}
        bound = inspect.signature(function).bind(*args, **kw)
        bound.apply_defaults()
        key = self.key_maker.key(function, dict(bound.arguments))
        try:
            value = self.cache.get(key)
        except KeyError:
            value = function(*args, **kw)
            self.cache.set(key, value)
        return copy.deepcopy(value) if self.return_copies else value


def memoise_decorator(memoiser):
    """A decorator that calls the function through *memoiser*."""

    def decorate(function):
        @functools.wraps(function)
        def call(*args, **kw):
            return memoiser.call(function, args, kw)

        return call

    return decorate


memoiser = Memoiser()
memoise = memoise_decorator(memoiser)
