//! The table of a file cache and the statements on it.

use rusqlite::{Connection, OptionalExtension, params};

/// How many values one transaction writes, so that other processes can write in between.
pub(super) const MAX_BATCH: usize = 500;

/// How many batches one trim deletes at most, because other processes wait meanwhile.
const MAX_TRIMMED_BATCHES: usize = 4;

/// Each value has a checksum: a database notices neither a flipped bit in a value, nor pages of
/// different times after a loss of power.
pub(super) const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS entry (
        number INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        value TEXT NOT NULL,
        check_sum INTEGER NOT NULL,
        written INTEGER NOT NULL
    );";

/// The valid value under `key` that was written at `oldest` or later, in seconds since 1970.
pub(super) fn read(
    connection: &Connection,
    key: &str,
    oldest: i64,
) -> rusqlite::Result<Option<String>> {
    let mut select =
        connection.prepare_cached("SELECT value, check_sum, written FROM entry WHERE key = ?1")?;
    let found = select.query_row([key], |row| {
        // Damaged values may have any type.
        let value = row.get_ref(0)?.as_bytes().unwrap_or_default().to_vec();
        let (sum, written) = (row.get(1).unwrap_or(-1), row.get(2).unwrap_or(-1));
        let is_valid = written >= oldest && checksum(key, &value, written) == sum;
        Ok(is_valid.then_some(value))
    });
    let value = found.optional()?.flatten();
    Ok(value.and_then(|value| String::from_utf8(value).ok()))
}

pub(super) fn keys(connection: &Connection, oldest: i64) -> rusqlite::Result<Vec<String>> {
    let mut select = connection.prepare_cached("SELECT key FROM entry WHERE written >= ?1")?;
    let keys = select.query_map([oldest], |row| {
        Ok(row.get_ref(0)?.as_str().ok().map(str::to_owned))
    })?;
    keys.filter_map(rusqlite::Result::transpose).collect()
}

/// Returns the size of the value.
pub(super) fn insert(
    connection: &Connection,
    key: &str,
    value: &str,
    now: i64,
) -> rusqlite::Result<usize> {
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO entry (key, value, check_sum, written) VALUES (?1, ?2, ?3, ?4)",
    )?;
    insert.execute(params![
        key,
        value,
        checksum(key, value.as_bytes(), now),
        now
    ])?;
    Ok(value.len())
}

/// Returns how many of the keys had a value.
pub(super) fn remove(connection: &Connection, keys: &[String]) -> rusqlite::Result<usize> {
    let mut delete = connection.prepare_cached("DELETE FROM entry WHERE key = ?1")?;
    keys.iter()
        .try_fold(0, |count, key| Ok(count + delete.execute([key])?))
}

pub(super) fn remove_all(connection: &Connection) -> rusqlite::Result<usize> {
    connection.execute("DELETE FROM entry", [])
}

/// Evicts the oldest values if the file is too large. Returns how many were evicted, and whether
/// the file is small enough now.
pub(super) fn trim(connection: &Connection, max_bytes: u64) -> rusqlite::Result<(usize, bool)> {
    let mut used = used_bytes(connection)?;
    if used <= max_bytes {
        return Ok((0, true));
    }
    // A little more than necessary, so that the next write need not trim again.
    let enough = max_bytes / 8 * 7;
    let mut evicted = 0;
    for _ in 0..MAX_TRIMMED_BATCHES {
        let removed = remove_oldest(connection)?;
        evicted += removed;
        used = used_bytes(connection)?.min(used);
        if used <= enough || removed == 0 {
            return Ok((evicted, true));
        }
    }
    // The next write goes on.
    Ok((evicted, false))
}

/// The bytes of the pages in use.
pub(super) fn used_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let pages = pragma("page_count")? - pragma("freelist_count")?;
    let bytes = pages * pragma("page_size")?;
    Ok(u64::try_from(bytes).unwrap_or(0))
}

fn remove_oldest(connection: &Connection) -> rusqlite::Result<usize> {
    connection.execute(
        "DELETE FROM entry WHERE number IN (SELECT number FROM entry ORDER BY number LIMIT ?1)",
        [MAX_BATCH as i64],
    )
}

fn checksum(key: &str, value: &[u8], written: i64) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key.as_bytes());
    hasher.update(value);
    hasher.update(&written.to_le_bytes());
    i64::from(hasher.finalize())
}
