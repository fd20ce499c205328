//! A plugin that is a program, on every platform: it does to each event what its first argument
//! says.
#![allow(clippy::print_stdout, reason = "a program")]

use std::time::Duration;

fn main() {
    let how = std::env::args().nth(1);
    // The session may close while a reply is unread: input ends with an error then.
    let events = std::io::stdin().lines().map_while(Result::ok);
    for (count, event) in events.enumerate() {
        let event: serde_json::Value = serde_json::from_str(&event).expect("events are JSON");
        let number = &event["number"];
        match how.as_deref() {
            Some("count") => println!("{{\"number\": {number}, \"reply\": {count}}}"),
            Some("twice") => {
                for _ in 0..2 {
                    println!("{{\"number\": {number}, \"reply\": {count}}}");
                }
            }
            Some("anonymous") => println!("{{\"reply\": {count}}}"),
            Some("ahead") => println!("{{\"number\": 7000, \"reply\": {count}}}"),
            Some("exit") => std::process::exit(3),
            Some("babble") => println!("hello"),
            _ => std::thread::sleep(Duration::from_secs(100)),
        }
    }
}
