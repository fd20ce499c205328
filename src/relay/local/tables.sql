-- The tables of a local stream. Times are milliseconds since 1970.
CREATE TABLE entry (
    stream TEXT NOT NULL,
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    event TEXT,
    stored INTEGER NOT NULL,
    fields TEXT NOT NULL,
    UNIQUE (stream, event)
);
CREATE INDEX entry_stored ON entry (stream, stored);
CREATE TABLE stream (
    name TEXT PRIMARY KEY,
    appended INTEGER NOT NULL,
    kept INTEGER NOT NULL
);
CREATE TABLE relay (
    stream TEXT NOT NULL,
    name TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (stream, name)
);
CREATE TABLE worker_group (
    stream TEXT NOT NULL,
    name TEXT NOT NULL,
    cursor INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    open INTEGER NOT NULL DEFAULT 0,
    handled INTEGER NOT NULL DEFAULT 0,
    retried INTEGER NOT NULL DEFAULT 0,
    expired INTEGER NOT NULL DEFAULT 0,
    dead INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (stream, name)
);
-- What a group has taken in. Of each key only the first is at the head, and handed out when it is due.
CREATE TABLE item (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stream TEXT NOT NULL,
    worker_group TEXT NOT NULL,
    entry INTEGER,
    key TEXT,
    fields TEXT,
    head INTEGER NOT NULL,
    due INTEGER NOT NULL DEFAULT 0,
    in_flight INTEGER NOT NULL DEFAULT 0,
    attempt INTEGER NOT NULL DEFAULT 0,
    worker TEXT NOT NULL DEFAULT ''
);
CREATE INDEX item_due ON item (stream, worker_group, head, due, id);
CREATE INDEX item_key ON item (stream, worker_group, key, id);
CREATE TABLE dead (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stream TEXT NOT NULL,
    worker_group TEXT NOT NULL,
    entry TEXT NOT NULL,
    key TEXT,
    at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    worker TEXT NOT NULL,
    error TEXT NOT NULL,
    fields TEXT NOT NULL
);
CREATE INDEX dead_group ON dead (stream, worker_group, id);
CREATE TABLE marker (
    stream TEXT NOT NULL,
    worker_group TEXT NOT NULL,
    event TEXT NOT NULL,
    value TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (stream, worker_group, event)
);
CREATE INDEX marker_at ON marker (at);
