//! A stream in Redis or Valkey: a stream key for the entries, and beside it keys for each group.
//!
//! All keys of a stream are in one slot of a cluster: `NAME`, and `{NAME}:…`. Each change is one Lua
//! script, so that a process may die at any moment.

mod cause;
mod reply;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use redis::{Cmd, Connection, RedisError, RedisResult, Script, ScriptInvocation, ServerErrorKind};
use serde_json::json;

use crate::cache::{Connections, Pool, is_interrupted};
use crate::error::{Error, ErrorKind, Result};
use crate::lock::Mutex;
use crate::relay::engine::{
    Appended, Bounds, Create, Dead, Engine, Figures, GroupFigures, LOOK_AHEAD, MARKER_AGE,
    MAX_DEAD, MAX_OPEN, NewEntry, Start, Turn, Turned, Unread, Verdict,
};
use cause::cause;
use reply::{dead, turned, unread};

/// The time limit for connecting and for each reply.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long Redis remembers what a call has done.
const KEPT_REPLY: Duration = Duration::from_secs(20);

/// How often the scripts check that the user may do all that they do: twenty checks take 5 µs at best.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The entries of one call of `append`.
const MAX_APPENDED: usize = 500;

/// What a group has besides the lists of its waiting entries and its markers.
const GROUP_KEYS: [&str; 7] = [
    "state", "ready", "flight", "delayed", "tries", "bodies", "dead",
];

/// A call of a script, told from others by its number. If its reply is lost, as with a connection, it is repeated, and
/// replied to with what it has done, which the script has left under the key.
struct Call {
    key: String,
    number: u64,
}

/// A script, and when the rights of the user were last checked for it.
struct Checked {
    script: Script,
    at: Mutex<Option<Instant>>,
}

impl Checked {
    fn new(script: &str) -> Self {
        Self {
            script: Script::new(script),
            at: Mutex::new(None),
        }
    }
}

pub(crate) struct RedisEngine {
    connections: Connections,
    calls: Pool<Call>,
    name: String,
    append: Checked,
    turn: Checked,
    revive: Script,
    remove_group: Script,
}

impl RedisEngine {
    pub(crate) fn new(url: &str, name: &str) -> Result<Self> {
        Ok(Self {
            connections: Connections::new(url, REPLY_TIMEOUT)?,
            calls: Pool::new(),
            name: name.to_owned(),
            append: Checked::new(include_str!("append.lua")),
            turn: Checked::new(include_str!("turn.lua")),
            revive: Script::new(include_str!("revive.lua")),
            remove_group: Script::new(include_str!("remove_group.lua")),
        })
    }

    fn key(&self, end: &str) -> String {
        format!("{{{}}}:{end}", self.name)
    }

    fn group_key(&self, group: &str, end: &str) -> String {
        format!("{{{}}}:group:{group}:{end}", self.name)
    }

    /// Calls a script. The call may be repeated.
    fn invoke<T>(
        &self,
        doing: &str,
        checked: &Checked,
        keys: &[String],
        arguments: impl Fn(&mut ScriptInvocation<'_>),
        mut send: impl FnMut(&ScriptInvocation<'_>, &mut Connection) -> RedisResult<T>,
    ) -> Result<T> {
        let is_due = checked
            .at
            .lock()
            .is_none_or(|at| at.elapsed() >= CHECK_INTERVAL);
        let mut call = self.calls.take().unwrap_or_else(|| Call {
            key: self.key(&format!("call:{:032x}", fastrand::u128(..))),
            number: 0,
        });
        call.number += 1;
        let mut is_repeated = false;
        let done = self.with(doing, |connection| {
            let mut invocation = checked.script.key(&self.name);
            for key in keys {
                invocation.key(key);
            }
            invocation
                .key(&call.key)
                .arg(call.number)
                .arg(u8::from(std::mem::replace(&mut is_repeated, true)))
                .arg(u8::from(is_due))
                .arg(millis(KEPT_REPLY));
            arguments(&mut invocation);
            send(&invocation, connection)
        })?;
        // One that failed may still be under way, and its key is not used again.
        self.calls.give(call);
        if is_due {
            *checked.at.lock() = Some(Instant::now());
        }
        Ok(done)
    }

    /// Reads the first entries after one, and waits for them unless the timeout is zero.
    fn read(&self, after: &str, count: usize, timeout: Duration) -> Cmd {
        let mut call = redis::cmd("XREAD");
        call.arg("COUNT").arg(count);
        if !timeout.is_zero() {
            call.arg("BLOCK").arg(millis(timeout).max(1));
        }
        call.arg("STREAMS").arg(&self.name).arg(after);
        call
    }

    /// Calls a script once there is an entry after this one, or the time is over: in one round trip, because the server
    /// goes on with what it was sent behind a call that waits. Returns whether there is such an entry.
    fn wait_and_invoke(
        &self,
        after: &str,
        timeout: Duration,
        call: &ScriptInvocation<'_>,
        connection: &mut Connection,
    ) -> RedisResult<(bool, redis::Value)> {
        let mut both = redis::pipe();
        both.add_command(self.read(after, 1, timeout))
            .invoke_script(call)
            .ignore_errors();
        let replies = patiently(connection, timeout, |connection| both.query(connection))?;
        let (waited, called): (RedisResult<redis::Value>, RedisResult<redis::Value>) = replies;
        let is_woken = waited? != redis::Value::Nil;
        let called = match called {
            Err(error) if error.kind() == ServerErrorKind::NoScript.into() => {
                call.invoke(connection)
            }
            called => called,
        };
        Ok((is_woken, called?))
    }

    /// Does `work` with a connection, twice if need be, which has the same effect as once.
    fn with<T>(
        &self,
        doing: &str,
        work: impl FnMut(&mut Connection) -> RedisResult<T>,
    ) -> Result<T> {
        let done = self.connections.with(work);
        done.map_err(|error| self.error(doing, &error))
    }

    fn error(&self, doing: &str, error: &RedisError) -> Error {
        let (kind, hint) = cause(error);
        Error::new(
            kind,
            format!("{doing} the stream {:?}: {error}; {hint}", self.name),
        )
    }
}

impl Engine for RedisEngine {
    fn append(
        &self,
        entries: &[NewEntry],
        relay: &str,
        record: Option<&str>,
        known: Option<u64>,
        bounds: Bounds,
    ) -> Result<Appended> {
        let mut total: Option<Appended> = None;
        let mut chunks: Vec<&[NewEntry]> = entries.chunks(MAX_APPENDED).collect();
        if chunks.is_empty() {
            chunks.push(&[]);
        }
        for (index, entries) in chunks.iter().enumerate() {
            let is_last = index + 1 == chunks.len();
            let number =
                |bound: Option<u64>| bound.map_or_else(String::new, |bound| bound.to_string());
            let keys = ["ids", "number", "relays"].map(|end| self.key(end));
            let arguments = |call: &mut ScriptInvocation<'_>| {
                call.arg(relay)
                    .arg(record.filter(|_| is_last).unwrap_or_default())
                    .arg(number(bounds.max_length))
                    .arg(number(bounds.max_age.map(millis)))
                    .arg(number(known));
                for entry in *entries {
                    call.arg(&entry.id)
                        .arg(entry.at)
                        .arg(entry.kind.as_str())
                        .arg(&entry.body);
                }
            };
            type Reply = (u64, u64, i64, Vec<(String, String)>, u64, bool);
            let (added, repeated, now, relays, number, has_lost): Reply = self.invoke(
                "appending to",
                &self.append,
                &keys,
                arguments,
                |call, connection| call.invoke(connection),
            )?;
            let one = Appended {
                added,
                repeated,
                now,
                relays: relays.into_iter().collect(),
                number,
                has_lost,
            };
            if one.has_lost {
                return Ok(one);
            }
            total = Some(match total {
                Some(before) => Appended {
                    added: before.added + one.added,
                    repeated: before.repeated + one.repeated,
                    relays: before.relays,
                    ..one
                },
                None => one,
            });
        }
        Ok(total.unwrap_or_default())
    }

    fn knows(&self, id: &str) -> Result<bool> {
        let mut call = redis::cmd("ZSCORE");
        call.arg(self.key("ids")).arg(id);
        let score: Option<f64> = self.with("looking at", |connection| call.query(connection))?;
        Ok(score.is_some())
    }

    fn turn(&self, group: &str, turn: &Turn<'_>) -> Result<Option<Turned>> {
        let finish = turn.finish.as_ref().map(|(token, verdict)| {
            let (verdict, delay, why, attempts) = match verdict {
                Verdict::Ack => ("ack", Duration::ZERO, "", 0),
                Verdict::Retry(delay, why, attempts) => ("retry", *delay, why.as_str(), *attempts),
                Verdict::Reject(why) => ("reject", Duration::ZERO, why.as_str(), 0),
                Verdict::Extend(delay) => ("extend", *delay, "", 0),
            };
            json!({"member": token.member, "attempt": token.attempt, "verdict": verdict,
                "delay": millis(delay), "why": why, "attempts": attempts})
        });
        let options = json!({
            "worker": turn.worker,
            "finish": finish,
            "route": turn.route,
            "take": turn.take,
            "lease": millis(turn.lease),
            "attempts": turn.attempts,
            "ordered": turn.ordered,
            "create": (turn.create != Create::No).then_some(group),
            "newest": turn.create == Create::At(Start::Newest),
            "vanished": turn.create == Create::Again,
            "look_ahead": LOOK_AHEAD,
            "max_open": MAX_OPEN,
            "max_dead": MAX_DEAD,
        });
        let mut keys = vec![self.key("number"), self.key("groups")];
        keys.extend(GROUP_KEYS.map(|end| self.group_key(group, end)));
        let (lists, options) = (self.group_key(group, "key:"), set_options(options));
        let arguments = |call: &mut ScriptInvocation<'_>| {
            call.arg(&lists).arg(&options);
        };
        let mut wait = turn.wait.as_ref();
        // If it is repeated, it has waited before.
        let send = |call: &ScriptInvocation<'_>, connection: &mut Connection| match wait.take() {
            Some((after, timeout)) => self.wait_and_invoke(after, *timeout, call, connection),
            None => Ok((false, call.invoke(connection)?)),
        };
        let (is_woken, reply) =
            self.invoke("taking events from", &self.turn, &keys, arguments, send)?;
        turned(is_woken, reply).ok_or_else(|| {
            let message = format!(
                "taking events from the stream {:?}: Redis sent an unexpected reply",
                self.name
            );
            Error::new(ErrorKind::BadResponse, message)
        })
    }

    fn wait(&self, after: &str, count: usize, timeout: Duration) -> Result<Vec<Unread>> {
        let call = self.read(after, count, timeout);
        let reply = self
            .connections
            .with(|connection| patiently(connection, timeout, |connection| call.query(connection)));
        let reply = match reply {
            // Again and again, as by a profiler: the caller waits on.
            Err(error) if is_interrupted(&error) => redis::Value::Nil,
            reply => reply.map_err(|error| self.error("waiting for", &error))?,
        };
        // One stream: [[name, entries]], or nothing.
        let entries = match reply {
            redis::Value::Array(streams) => match streams.into_iter().next() {
                Some(redis::Value::Array(mut stream)) => stream.pop(),
                _ => None,
            },
            _ => None,
        };
        Ok(entries.map(unread).unwrap_or_default())
    }

    fn dead_letters(&self, group: &str, after: &str, count: usize) -> Result<Vec<Dead>> {
        let from = match after {
            "" => "-".to_owned(),
            id => format!("({id}"),
        };
        let mut call = redis::cmd("XRANGE");
        call.arg(self.group_key(group, "dead"))
            .arg(from)
            .arg("+")
            .arg("COUNT")
            .arg(count);
        let reply: redis::Value = self.with("reading dead letters of", |connection| {
            call.query(connection)
        })?;
        Ok(unread(reply).into_iter().map(dead).collect())
    }

    fn return_dead(&self, group: &str, id: &str) -> Result<bool> {
        let mut call = self.revive.prepare_invoke();
        for end in ["state", "ready", "bodies", "dead"] {
            call.key(self.group_key(group, end));
        }
        call.arg(self.group_key(group, "key:")).arg(id);
        self.with("returning a dead letter of", |connection| {
            call.invoke(connection)
        })
    }

    fn remove_dead(&self, group: &str, id: &str) -> Result<bool> {
        let mut call = redis::cmd("XDEL");
        call.arg(self.group_key(group, "dead")).arg(id);
        self.with("removing a dead letter of", |connection| {
            call.query(connection)
        })
    }

    fn remove_relay(&self, name: &str) -> Result<bool> {
        let mut call = redis::cmd("HDEL");
        call.arg(self.key("relays")).arg(name);
        self.with("removing a relay of", |connection| call.query(connection))
    }

    fn remove_group(&self, group: &str) -> Result<bool> {
        let mut call = self.remove_group.key(self.key("groups"));
        for end in GROUP_KEYS {
            call.key(self.group_key(group, end));
        }
        call.arg(group).arg(self.group_key(group, "key:"));
        self.with("removing a group of", |connection| call.invoke(connection))
    }

    fn mark(&self, group: &str, id: &str, value: &str) -> Result<Option<String>> {
        let mut call = redis::cmd("SET");
        call.arg(self.group_key(group, &format!("once:{id}")))
            .arg(value);
        call.arg("NX").arg("GET").arg("PX").arg(millis(MARKER_AGE));
        self.with("marking an event of", |connection| call.query(connection))
    }

    fn set_mark(&self, group: &str, id: &str, value: Option<&str>) -> Result<()> {
        let key = self.group_key(group, &format!("once:{id}"));
        let mut call = redis::cmd(if value.is_some() { "SET" } else { "DEL" });
        call.arg(key);
        if let Some(value) = value {
            call.arg(value).arg("PX").arg(millis(MARKER_AGE));
        }
        self.with("marking an event of", |connection| call.exec(connection))
    }

    fn figures(&self) -> Result<Figures> {
        let mut calls = redis::pipe();
        calls.cmd("XLEN").arg(&self.name);
        calls.cmd("GET").arg(self.key("number"));
        calls.cmd("HGETALL").arg(self.key("relays"));
        calls.cmd("HGETALL").arg(self.key("groups"));
        type Records = BTreeMap<String, String>;
        type Reply = (u64, Option<u64>, Records, Records);
        let (length, number, relays, groups): Reply =
            self.with("looking at", |connection| calls.query(connection))?;
        Ok(Figures {
            length,
            number: number.unwrap_or(0),
            relays,
            groups: groups.into_keys().collect(),
        })
    }

    fn group(&self, group: &str) -> Result<Option<GroupFigures>> {
        let key = |end| self.group_key(group, end);
        let mut calls = redis::pipe();
        calls.cmd("HGETALL").arg(key("state"));
        calls.cmd("ZCARD").arg(key("flight"));
        calls.cmd("ZCARD").arg(key("delayed"));
        calls.cmd("XLEN").arg(key("dead"));
        type Reply = (BTreeMap<String, String>, u64, u64, u64);
        let (state, in_flight, delayed, dead_letters): Reply =
            self.with("looking at", |connection| calls.query(connection))?;
        if state.is_empty() {
            return Ok(None);
        }
        let counts = state.into_iter();
        let counts = counts.filter_map(|(name, value)| Some((name, value.parse().ok()?)));
        Ok(Some(GroupFigures {
            counts: counts.collect(),
            in_flight,
            delayed,
            dead_letters,
        }))
    }

    fn describe(&self) -> String {
        let info = self.connections.info();
        format!("stream {:?} in Redis at {}", self.name, info.addr())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .min(1 << 52)
}

/// Does what waits on the server, up to this long.
fn patiently<T>(
    connection: &mut Connection,
    timeout: Duration,
    work: impl FnOnce(&mut Connection) -> RedisResult<T>,
) -> RedisResult<T> {
    connection.set_read_timeout(Some(timeout + REPLY_TIMEOUT))?;
    let done = work(connection);
    connection.set_read_timeout(Some(REPLY_TIMEOUT))?;
    done
}

/// Those that are neither null, which Lua takes for a value, nor false, which costs time.
fn set_options(mut options: serde_json::Value) -> String {
    if let Some(options) = options.as_object_mut() {
        options.retain(|_, value| !value.is_null() && value != false);
    }
    options.to_string()
}
