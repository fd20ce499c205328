"""Points in time.

They are `arrow` values where `arrow` is installed, as with the official client. Where it is not,
they are `datetime` values in UTC with the methods of `arrow` that scripts use most.
"""

import datetime

_UTC = datetime.timezone.utc
_FORMATS = (
    ("YYYY", "%Y"), ("YY", "%y"), ("MMMM", "%B"), ("MMM", "%b"), ("MM", "%m"), ("DD", "%d"), ("dddd", "%A"),
    ("ddd", "%a"), ("HH", "%H"), ("hh", "%I"), ("mm", "%M"), ("ss", "%S"), ("A", "%p"), ("ZZ", "%z"), ("Z", "%z"),
)
_UNITS = ("years", "months", "weeks", "days", "hours", "minutes", "seconds")


class Arrow(datetime.datetime):
    """A point in time with the methods of `arrow` that scripts use most."""

    @classmethod
    def _of(cls, value):
        value = value if value.tzinfo else value.replace(tzinfo=_UTC)
        return cls(value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond,
                   value.tzinfo)

    @property
    def datetime(self):
        return datetime.datetime(self.year, self.month, self.day, self.hour, self.minute, self.second,
                                 self.microsecond, self.tzinfo)

    @property
    def naive(self):
        return self.datetime.replace(tzinfo=None)

    @property
    def int_timestamp(self):
        return int(self.timestamp())

    @property
    def float_timestamp(self):
        return self.timestamp()

    def format(self, fmt="YYYY-MM-DD HH:mm:ssZZ"):
        """Format it as `arrow` does, with `YYYY`, `MM`, `DD`, `HH`, `mm`, `ss` and so on."""
        text, rest = "", fmt
        while rest:
            for token, directive in _FORMATS:
                if rest.startswith(token):
                    part = self.strftime(directive)
                    if token == "ZZ" and len(part) == 5:
                        part = part[:3] + ":" + part[3:]
                    text, rest = text + part, rest[len(token):]
                    break
            else:
                text, rest = text + rest[0], rest[1:]
        return text

    def to(self, tz):
        """The same moment in another time zone: `local`, `utc`, the name of a zone, or a `tzinfo`."""
        if isinstance(tz, str):
            if tz == "local":
                tz = None
            elif tz.lower() == "utc":
                tz = _UTC
            else:
                import zoneinfo

                tz = zoneinfo.ZoneInfo(tz)
        return self._of(self.datetime.astimezone(tz))

    def shift(self, **units):
        """A moment that is later by these years, months, weeks, days, hours, minutes and seconds; negative ones are earlier."""
        unknown = set(units) - set(_UNITS)
        if unknown:
            raise ValueError("cannot shift by {0}; choose among {1}".format(", ".join(unknown), ", ".join(_UNITS)))
        months = self.month - 1 + units.pop("months", 0) + 12 * units.pop("years", 0)
        year, month = self.year + months // 12, months % 12 + 1
        following = datetime.date(year + month // 12, month % 12 + 1, 1)
        last = (following - datetime.timedelta(days=1)).day
        moved = self.datetime.replace(year=year, month=month, day=min(self.day, last))
        return self._of(moved + datetime.timedelta(**units))

    def floor(self, frame):
        """The beginning of the `year`, `month`, `day`, `hour`, `minute` or `second`."""
        frames = ("year", "month", "day", "hour", "minute", "second")
        kept = frames.index(frame)
        first = {"month": 1, "day": 1, "hour": 0, "minute": 0, "second": 0}
        lower = {name: first[name] for name in frames[kept + 1:]}
        return self._of(self.datetime.replace(microsecond=0, **lower))

    def humanize(self, other=None):
        """How long ago, in words: `2 hours ago`, `in 3 days`."""
        seconds = (self.datetime - (other or utcnow())).total_seconds()
        size = abs(seconds)
        for name, length in (("year", 31536000), ("month", 2629800), ("day", 86400), ("hour", 3600), ("minute", 60)):
            if size >= length:
                count = int(size // length)
                text = "{0} {1}{2}".format(count, name, "" if count == 1 else "s")
                return "in " + text if seconds > 0 else text + " ago"
        return "just now"

    def for_json(self):
        return self.isoformat()

    def __str__(self):
        return self.isoformat()

    def __reduce__(self):
        return (_restore, (self.datetime,))


def _restore(value):
    return Arrow._of(value)


def get(value=None, tzinfo=_UTC):
    """A point in time from an ISO text, a timestamp or a `datetime`; now if nothing is given."""
    if value is None:
        return utcnow()
    if isinstance(value, datetime.datetime):
        return Arrow._of(value)
    if isinstance(value, datetime.date):
        return Arrow(value.year, value.month, value.day, tzinfo=tzinfo)
    if isinstance(value, (int, float)):
        return Arrow._of(datetime.datetime.fromtimestamp(value, tzinfo))
    text = value.strip()
    if text.endswith(("Z", "z")):
        text = text[:-1] + "+00:00"
    if len(text) == 7:
        text += "-01"
    parsed = datetime.datetime.fromisoformat(text)
    return Arrow._of(parsed if parsed.tzinfo else parsed.replace(tzinfo=tzinfo))


def utcnow():
    return Arrow._of(datetime.datetime.now(_UTC))


def now(tz=None):
    return Arrow._of(datetime.datetime.now(tz or _UTC).astimezone(tz))


_make = None


def make(year, month, day, hour, minute, second):
    """A point in time in UTC."""
    global _make
    if _make is None:
        try:
            import arrow  # type: ignore

            kind, utc = arrow.Arrow, arrow.get(0).tzinfo
        except Exception:  # A broken arrow of the host is as good as none.
            kind, utc = Arrow, _UTC
        _make = lambda y, mo, d, h, mi, s: kind(y, mo, d, h, mi, s, 0, utc)  # noqa: E731
    return _make(year, month, day, hour, minute, second)
