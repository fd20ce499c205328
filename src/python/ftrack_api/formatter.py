"""Entities as text, for people."""

import sys

from . import _core, symbol

#: Choices of what `format` shows.
FILTER = {
    "ignore_unset": lambda entity, name, value: value is not symbol.NOT_SET,
}


def _mark(code):
    def paint(text):
        return "\033[{0}m{1}\033[0m".format(code, text) if sys.stdout.isatty() else str(text)

    return paint


def format(entity, formatters=None, attribute_filter=None, recursive=False, indent=0, indent_first_line=True, _seen=None):
    """The entity and its attributes, one on each line.

    *formatters* can have functions for `header`, `label` and `value`. *attribute_filter* is called with the entity,
    a name and a value, and says whether to show it. Nothing is loaded if it is `FILTER["ignore_unset"]`. With
    *recursive* what the entity refers to is shown as well.
    """
    paint = {"header": _mark("36"), "label": _mark("1"), "value": str}
    paint.update(formatters or {})
    seen = _seen if _seen is not None else set()
    margin = " " * indent
    lines = [(margin if indent_first_line else "") + paint["header"](type(entity).__name__)]
    if entity in seen:
        lines[0] += " ({0})".format(", ".join(entity._key()))
        return lines[0]
    seen.add(entity)
    if attribute_filter is FILTER["ignore_unset"]:
        pairs = entity._peek_dict().items()
    else:
        pairs = entity.items()
    for name, value in sorted(pairs):
        if attribute_filter is not None and not attribute_filter(entity, name, value):
            continue
        label = paint["label"](name)
        start = margin + " " + label + ": "
        depth = indent + len(name) + 3
        lines.append(start + _value(value, paint, formatters, attribute_filter, recursive, depth, seen))
    return "\n".join(lines)


def _value(value, paint, formatters, attribute_filter, recursive, depth, seen):
    if isinstance(value, _core.Entity):
        if recursive:
            return format(value, formatters, attribute_filter, recursive, depth, False, seen)
        return paint["value"]("{0}({1})".format(value.entity_type, ", ".join(value._key())))
    if isinstance(value, _core.Collection):
        parts = [_value(one, paint, formatters, attribute_filter, recursive, depth, seen) for one in value]
        return ("\n" + " " * depth).join(parts) if parts else "[]"
    return paint["value"](value)
