//! Date-times and dates as the server writes them.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;

/// Reads the `value` of `{"__type__": "datetime"}`: naive, or with an offset, which is applied to
/// give UTC. Fractions of a second are cut off: servers echo them and do not store them.
pub(crate) fn datetime_from_wire(text: &str) -> Option<DateTime> {
    if let Some(plain) = plain_datetime(text.as_bytes()) {
        return Some(plain);
    }
    let datetime = match text.parse::<Timestamp>() {
        Ok(instant) => Offset::UTC.to_datetime(instant),
        Err(_) => text.parse::<DateTime>().ok()?,
    };
    datetime.with().subsec_nanosecond(0).build().ok()
}

/// Reads the `value` of `{"__type__": "date"}`.
pub(crate) fn date_from_wire(text: &str) -> Option<Date> {
    text.parse().ok()
}

/// `2026-01-02T03:04:05`, the form of nearly every date-time, without the general parser.
fn plain_datetime(text: &[u8]) -> Option<DateTime> {
    let &[
        y1,
        y2,
        y3,
        y4,
        b'-',
        mo1,
        mo2,
        b'-',
        d1,
        d2,
        b'T',
        h1,
        h2,
        b':',
        m1,
        m2,
        b':',
        s1,
        s2,
    ] = text
    else {
        return None;
    };
    let year = pair(y1, y2)? as i16 * 100 + i16::from(pair(y3, y4)?);
    DateTime::new(
        year,
        pair(mo1, mo2)?,
        pair(d1, d2)?,
        pair(h1, h2)?,
        pair(m1, m2)?,
        pair(s1, s2)?,
        0,
    )
    .ok()
}

fn pair(tens: u8, ones: u8) -> Option<i8> {
    if tens.is_ascii_digit() && ones.is_ascii_digit() {
        i8::try_from((tens - b'0') * 10 + (ones - b'0')).ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_that_servers_and_clients_write() {
        for (wire, expected) in [
            ("2022-10-10T10:12:09", Some("2022-10-10T10:12:09")),
            ("2022-10-10T10:12:09.654321", Some("2022-10-10T10:12:09")),
            ("2022-10-10T12:12:09+02:00", Some("2022-10-10T10:12:09")),
            ("2022-10-10T10:12:09Z", Some("2022-10-10T10:12:09")),
            ("2022-13-10T10:12:09", None),
            ("2022-02-30T10:12:09", None),
            ("yesterday", None),
            ("", None),
        ] {
            let found = datetime_from_wire(wire).map(|value| value.to_string());
            assert_eq!(found.as_deref(), expected, "{wire}");
        }
    }

    #[test]
    fn dates() {
        assert!(date_from_wire("2026-01-02").is_some());
        assert!(date_from_wire("2026-02-31").is_none());
    }
}
