//! The hub's thread, and what it costs.

use std::thread;
use std::time::Duration;

use ftrack_api::{Event, EventHub};
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};
use serde_json::json;

use crate::server::Server;
use crate::support::eventually;
use crate::{LONG, SHORT, config, config_for, hub, listen};

/// The processor time of this process's hub threads, in ticks of a hundredth of a second.
fn hub_threads() -> Vec<u64> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let stats =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok());
    let ours = stats.filter(|stat| stat.contains("(ftrack-hub)"));
    ours.map(|stat| processor_time(&stat)).collect()
}

/// Runs the named test alone in a process of its own, where no other hub has a thread.
fn alone(name: &str, test: impl Fn()) {
    if std::env::var_os("HUB_TEST_ALONE").is_some() {
        return test();
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env("HUB_TEST_ALONE", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn there_is_one_from_connect_to_the_last_handle() {
    alone(
        "threads::there_is_one_from_connect_to_the_last_handle",
        || {
            let server = Server::start();
            let hub = EventHub::new(config(&server));
            hub.subscribe("topic=t", |_| Ok(Some(json!(1)))).unwrap();
            assert_eq!(hub.publish_synchronous(Event::new("t")), [1]);
            assert_eq!(hub_threads().len(), 0);
            hub.connect().unwrap();
            let clone = hub.clone();
            drop(hub);
            assert_eq!(hub_threads().len(), 1);
            clone.reconnect().unwrap();
            clone.connect().unwrap();
            assert_eq!(hub_threads().len(), 1);
            drop(clone);
            eventually("the thread ends", || hub_threads().is_empty());
        },
    );
}

/// The processor time of this thread, in the same ticks.
fn own_time() -> u64 {
    processor_time(&std::fs::read_to_string("/proc/thread-self/stat").unwrap())
}

fn processor_time(stat: &str) -> u64 {
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// How often each hub thread of this process has gone to sleep.
fn sleeps() -> Vec<u64> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let statuses =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("status")).ok());
    let ours = statuses.filter(|status| status.contains("ftrack-hub"));
    let count = |status: String| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse().unwrap()
    };
    ours.map(count).collect()
}

/// A debugger, a shell or a machine that sleeps holds the process up until the time is over;
/// what has come by then is there.
#[test]
fn a_process_that_stood_still_looks_at_what_has_come() {
    const NAME: &str = "threads::a_process_that_stood_still_looks_at_what_has_come";
    if let Ok(url) = std::env::var("HUB_TEST_URL") {
        let hub = EventHub::new(config_for(&url));
        hub.connect().unwrap();
        listen(&hub, "topic=t");
        thread::spawn(|| {
            thread::sleep(SHORT);
            kill_process(getpid(), Signal::STOP).unwrap();
        });
        assert!(hub.next(Duration::from_secs(5)).unwrap().is_some());
        return;
    }
    let server = Server::start();
    let mut still = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env("HUB_TEST_URL", server.url())
        .spawn()
        .unwrap();
    let process = Pid::from_child(&still);
    waitpid(Some(process), WaitOptions::UNTRACED).unwrap();
    let speaking = hub(&server);
    speaking.publish(Event::new("t")).unwrap();
    speaking.flush(LONG).unwrap();
    thread::sleep(Duration::from_secs(6));
    kill_process(process, Signal::CONT).unwrap();
    assert!(still.wait().unwrap().success());
}

#[test]
fn an_idle_hub_needs_no_processor() {
    alone("threads::an_idle_hub_needs_no_processor", || {
        let server = Server::start();
        let idle = hub(&server);
        listen(&idle, "topic=t");
        let (before, asleep) = ((hub_threads()[0], own_time()), sleeps()[0]);
        idle.wait(Duration::from_secs(3)).unwrap();
        // It would take three hundred, or wake up every few milliseconds.
        let took = (hub_threads()[0] - before.0, own_time() - before.1);
        assert!(took.0 < 10 && took.1 < 10, "{took:?}");
        assert!(sleeps()[0] - asleep < 10);
    });
}
