//! A plugin that is a program, on every platform: it does to each event what its first argument
//! says.
#![allow(clippy::print_stdout, reason = "a program")]

use std::time::Duration;

fn main() {
    let how = std::env::args().nth(1);
    for (number, _) in std::io::stdin().lines().enumerate() {
        match how.as_deref() {
            Some("count") => println!("{{\"answer\": {number}}}"),
            Some("exit") => std::process::exit(3),
            Some("babble") => println!("hello"),
            _ => std::thread::sleep(Duration::from_secs(100)),
        }
    }
}
