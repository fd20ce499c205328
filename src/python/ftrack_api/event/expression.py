"""Filters of events, such as `topic=ftrack.update and source.user.username=ada`."""

from .. import _core


class Expression(object):
    """A filter, which is its text."""

    def match(self, candidate):
        """Whether the event *candidate* matches."""
        return _core.Filter(self._text()).matches(dict(candidate))

    def _text(self):
        return ""

    def __str__(self):
        return "<{0} {1}>".format(type(self).__name__, self._text())


class Parsed(Expression):
    """A parsed expression, as `Parser.parse` returns it."""

    def __init__(self, text):
        self._core = _core.Filter(text)
        self._source = text

    def match(self, candidate):
        return self._core.matches(dict(candidate))

    def match_subscriber(self, metadata):
        """Whether it matches the metadata of a subscriber, as the target of an event does."""
        return self._core.matches_subscriber(dict(metadata))

    def _text(self):
        return self._source


class All(Expression):
    """Matches if all of its expressions match."""

    def __init__(self, expressions=None):
        self._expressions = list(expressions or [])

    def match(self, candidate):
        return all(one.match(candidate) for one in self._expressions)

    def _text(self):
        return " and ".join("({0})".format(one._text()) for one in self._expressions)


class Any(Expression):
    """Matches if at least one of its expressions matches."""

    def __init__(self, expressions=None):
        self._expressions = list(expressions or [])

    def match(self, candidate):
        return any(one.match(candidate) for one in self._expressions)

    def _text(self):
        return " or ".join("({0})".format(one._text()) for one in self._expressions)


class Not(Expression):
    """Matches if its expression does not."""

    def __init__(self, expression):
        self._expression = expression

    def match(self, candidate):
        return not self._expression.match(candidate)

    def _text(self):
        return "not ({0})".format(self._expression._text())


class Condition(Expression):
    """Compares one field: *operator* is `=`, `!=`, `<`, `<=`, `>` or `>=`."""

    def __init__(self, key, operator, value):
        self._key = key
        self._operator = operator
        self._value = value

    def _text(self):
        value = str(self._value).replace("\\", "\\\\").replace('"', '\\"')
        return '{0}{1}"{2}"'.format(self._key, self._operator, value)


class Parser(object):
    """Reads filters."""

    def parse(self, expression):
        """The filter that a text stands for; `ParseError` with the place if it stands for none."""
        return Parsed(expression)
