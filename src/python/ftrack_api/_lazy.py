"""Modules, loggers and values that are created on first use: most programs need few of them."""


def modules(package, *names):
    """`__getattr__` and `__dir__` of a package that imports its modules on first use."""

    def find(name):
        if name not in names:
            raise AttributeError("module {0!r} has no attribute {1!r}".format(package, name))
        __import__(package + "." + name)
        return __import__("sys").modules[package + "." + name]

    def listed():
        found = vars(__import__("sys").modules[package])
        return sorted({*found, *names})

    return find, listed


class Logger(object):
    """An attribute with the logger of that name; by default that of the class."""

    def __init__(self, name=None):
        self._name = name

    def __get__(self, instance, owner=None):
        import logging

        return logging.getLogger(self._name or owner.__module__ + "." + owner.__name__)


class Once(object):
    """An attribute that is computed from its object on first use."""

    def __init__(self, make):
        self._make = make

    def __set_name__(self, owner, name):
        self._name = name

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        return instance.__dict__.setdefault(self._name, self._make(instance))
