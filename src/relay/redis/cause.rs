//! What an error of Redis means, and the way out.

use redis::RedisError;

use crate::cache::is_broken;
use crate::error::ErrorKind;

/// The commands that the user in a URL needs.
const COMMANDS: &str = "EVALSHA, SCRIPT LOAD, TIME, GET, SET, DEL, XADD, XTRIM, XRANGE, XREVRANGE, XREAD, XLEN, XDEL, ZADD, \
    ZREM, ZSCORE, ZCARD, ZRANGE, ZRANGEBYSCORE, ZREMRANGEBYRANK, ZREMRANGEBYSCORE, HGET, HMGET, HSET, \
    HGETALL, HDEL, HINCRBY, RPUSH, LPUSH, LPOP and LINDEX";

pub(super) fn cause(error: &RedisError) -> (ErrorKind, String) {
    let text = error.to_string();
    let says = |part: &str| error.code() == Some(part) || text.contains(part);
    if says("NOAUTH")
        || says("unauthenticated")
        || says("WRONGPASS")
        || says("AuthenticationFailed")
    {
        (
            ErrorKind::Authentication,
            "set user and password in the URL".to_owned(),
        )
    } else if says("NOPERM") || says("ermission") || says("can't run this command") {
        let hint = format!("its user needs {COMMANDS}, on keys with the name of the stream");
        (ErrorKind::Permission, hint)
    } else if says("OOM") || says("maxmemory") {
        let hint = "Redis is full: raise its `maxmemory`, or lower the bounds of the stream";
        (ErrorKind::Unavailable, hint.to_owned())
    } else if says("WRONGTYPE") || says("wrong kind of value") {
        let hint = "a key of that name is something else: give the stream another name";
        (ErrorKind::Configuration, hint.to_owned())
    } else if says("Unknown Redis command") || says("nknown command") {
        let hint = "Redis 7, Valkey 7 or newer is needed";
        (ErrorKind::Unsupported, hint.to_owned())
    } else if error.is_timeout() {
        (ErrorKind::Timeout, "try again later".to_owned())
    } else if is_broken(error) {
        (ErrorKind::Connection, "try again later".to_owned())
    } else {
        let busy = [
            "LOADING",
            "BUSY",
            "READONLY",
            "MISCONF",
            "MASTERDOWN",
            "TRYAGAIN",
            "NOREPLICAS",
        ];
        match busy.iter().any(|code| says(code)) || says("busy") || says("loading") {
            true => (ErrorKind::Unavailable, "try again later".to_owned()),
            false => (ErrorKind::Server, "look into the log of Redis".to_owned()),
        }
    }
}
