//! Relays, workers, connections and Redis itself are killed at random, as by `kill -9`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ftrack_api::hub::HubConfig;
use ftrack_api::relay::{Gap, Once, Relay, Stream, Worker};
use ftrack_api::{EventHub, Session, data, expr};
use ftrack_emulator::Emulator;
use serde_json::json;

use crate::redis::Server;
use crate::support;

const KEYS: usize = 40;
/// One of this many events has changes on the server.
const WRITTEN: usize = 50;
/// Longer than a worker of a busy machine is held up.
const LEASE: Duration = Duration::from_secs(30);

/// What a process needs, in its environment.
const ROLE: &str = "RELAY_TEST_ROLE";

struct Studio {
    server: Emulator,
    stream: String,
    folder: PathBuf,
    task: String,
}

impl Studio {
    fn start(&self, role: &str, name: &str) -> Process {
        let child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "killing::nothing_is_lost_or_out_of_order_when_processes_are_killed",
            ])
            .args(["--nocapture"])
            .env(ROLE, role)
            .env("RELAY_TEST_NAME", name)
            .env("RELAY_TEST_STREAM", &self.stream)
            .env("RELAY_TEST_FOLDER", &self.folder)
            .env("RELAY_TEST_TASK", &self.task)
            .env("FTRACK_SERVER", self.server.url())
            .env("FTRACK_API_KEY", self.server.api_key())
            .env("FTRACK_API_USER", self.server.api_user())
            .stdout(Stdio::null())
            .spawn();
        Process(child.unwrap())
    }
}

fn stream_at(place: &str) -> Stream {
    match place.starts_with("redis:") {
        true => Stream::redis(place),
        false => Stream::local(place),
    }
}

/// A child process: it works until it is killed.
fn play(role: &str) -> ! {
    let variable = |name: &str| std::env::var(name).unwrap();
    let (name, folder) = (
        variable("RELAY_TEST_NAME"),
        PathBuf::from(variable("RELAY_TEST_FOLDER")),
    );
    let stream = stream_at(&variable("RELAY_TEST_STREAM"));
    let error = if role == "relay" {
        let config = HubConfig::new(
            variable("FTRACK_SERVER"),
            variable("FTRACK_API_USER"),
            variable("FTRACK_API_KEY"),
        );
        let mut relay = Relay::new(&EventHub::new(config), &stream, &name)
            .subscribe("topic=studio.*")
            .journal(folder.join(&name));
        relay.run().unwrap_err()
    } else {
        let session = Session::from_env().unwrap();
        let task = variable("RELAY_TEST_TASK");
        let mut handled = OpenOptions::new()
            .append(true)
            .create(true)
            .open(folder.join("handled"))
            .unwrap();
        let worker = Worker::new(&stream, "g", &name)
            .lease(LEASE)
            .attempts(1000)
            .ordered_by(|event| Some(event.data()["key"].to_string()));
        let run = worker.run(|delivery| {
            let line = match delivery.event() {
                Some(event) => {
                    let number = event.data()["number"].as_u64().unwrap_or_default();
                    if number % WRITTEN as u64 == 0 {
                        let outcome = delivery.once(&session, |batch| {
                            let content = format!("event {number}");
                            batch.create(
                                "Note",
                                data! { "content": content, "parent_id": task.as_str(), "parent_type": "task" },
                            )?;
                            Ok(())
                        })?;
                        assert_ne!(outcome, Once::InDoubt);
                    }
                    format!("{} {number}\n", event.data()["key"])
                }
                None => format!("gap {}\n", serde_json::to_string(delivery.gap().unwrap()).unwrap()),
            };
            // In one call: several processes append.
            handled.write_all(line.as_bytes())?;
            Ok(())
        });
        run.unwrap_err()
    };
    panic!("{role} {name}: {error}");
}

/// What was handled, in order: numbers by key, and gaps.
fn handled(folder: &Path) -> (BTreeMap<String, Vec<usize>>, Vec<Gap>) {
    let text = std::fs::read_to_string(folder.join("handled")).unwrap_or_default();
    let (mut numbers, mut gaps) = (BTreeMap::<String, Vec<usize>>::new(), Vec::new());
    for line in text.lines() {
        let (key, rest) = line.split_once(' ').unwrap();
        match key {
            "gap" => gaps.push(serde_json::from_str(rest).unwrap()),
            _ => numbers
                .entry(key.to_owned())
                .or_default()
                .push(rest.parse().unwrap()),
        }
    }
    (numbers, gaps)
}

/// Two relays and six workers. `RELAY_TEST_EVENTS=20000` makes it longer than a few seconds, `RELAY_TEST_SEED`
/// repeats its choices, though not their times. `RELAY_TEST_CUTS` is how often all connections to the event server
/// are lost at once.
#[test]
fn nothing_is_lost_or_out_of_order_when_processes_are_killed() {
    if let Ok(role) = std::env::var(ROLE) {
        play(&role);
    }
    kill_at_random(Some(Server::durable()), 4000);
}

#[test]
fn nothing_is_lost_or_out_of_order_on_a_local_file() {
    kill_at_random(None, 2000);
}

/// On Redis, which is killed too, or on a local file.
fn kill_at_random(mut redis: Option<Server>, events: u64) {
    let setting = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().unwrap())
    };
    let events = usize::try_from(setting("RELAY_TEST_EVENTS", events)).unwrap();
    let cuts = setting("RELAY_TEST_CUTS", 2) as usize;
    let seed = setting("RELAY_TEST_SEED", fastrand::u64(..1 << 32));
    println!("RELAY_TEST_SEED={seed} RELAY_TEST_EVENTS={events} RELAY_TEST_CUTS={cuts}");
    let mut random = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let server = support::emulator();
    let session = support::open(&server);
    let task = session
        .query("Task")
        .unwrap()
        .first()
        .unwrap()
        .unwrap()
        .key()
        .id();
    let file = folder.path().join("events.db").display().to_string();
    let place = redis.as_ref().map_or(file, Server::url);
    let studio = Studio {
        stream: place.clone(),
        folder: folder.path().to_owned(),
        task,
        server,
    };
    let stream = stream_at(&studio.stream);
    let mut relays = ["relay-1", "relay-2"].map(|name| studio.start("relay", name));
    let mut workers: Vec<Process> = (0..6)
        .map(|n| studio.start("worker", &format!("worker-{n}")))
        .collect();
    // The hub's own subscription and the relay's.
    let subscriptions = || studio.server.events().subscriptions();
    support::eventually("both relays are connected", || {
        let relays = stream.status().unwrap().relays;
        subscriptions() >= 4
            && relays
                .iter()
                .filter(|relay| relay.connected_at.is_some())
                .count()
                == 2
    });

    let started = Instant::now();
    let (mut sent, mut killed) = (Vec::new(), BTreeMap::<&str, usize>::new());
    let mut cut = 0;
    let mut next_kill = Instant::now();
    let mut paused: Option<(crate::redis::Paused, Instant)> = None;
    while sent.len() < events {
        for _ in 0..20 {
            let number = sent.len();
            let key = format!("key-{}", number % KEYS);
            let id = format!("{seed}-{number}");
            let event = json!({ "topic": "studio.test", "id": id, "data": { "key": key, "number": number } });
            sent.push(jiff::Timestamp::now());
            studio.server.events().publish(event).unwrap();
        }
        thread::sleep(Duration::from_millis(10));
        if cut < cuts && sent.len() > events * (cut + 1) / (cuts + 1) {
            cut += 1;
            studio.server.events().drop_connections();
            *killed.entry("connections").or_default() += 1;
        }
        if paused
            .as_ref()
            .is_some_and(|(_, until)| Instant::now() > *until)
        {
            redis = paused.take().map(|(paused, _)| paused.resume());
        }
        if Instant::now() < next_kill {
            continue;
        }
        next_kill = Instant::now() + Duration::from_millis(random.u64(200..800));
        let victim = match random.u32(..10) {
            0 | 1 if subscriptions() >= 4 => {
                let index = random.usize(..2);
                kill(&mut relays[index]);
                relays[index] = studio.start("relay", &format!("relay-{}", index + 1));
                "relay"
            }
            2 if redis.is_some() => {
                let until = Instant::now() + Duration::from_millis(random.u64(100..1500));
                paused = redis.take().map(|redis| (redis.pause(), until));
                "Redis"
            }
            _ => {
                let index = random.usize(..workers.len());
                kill(&mut workers[index]);
                workers[index] = studio.start("worker", &format!("worker-{index}"));
                "worker"
            }
        };
        *killed.entry(victim).or_default() += 1;
    }
    let _redis = redis.or_else(|| paused.map(|(paused, _)| paused.resume()));
    let published = started.elapsed();
    support::eventually("everything is handled", || {
        let is_done = stream
            .group("g")
            .ok()
            .flatten()
            .is_some_and(|group| group.lag == 0);
        let relays = stream
            .status()
            .map(|status| status.relays)
            .unwrap_or_default();
        is_done && subscriptions() >= 4 && relays.iter().all(|relay| relay.waiting == 0)
    });
    // Relays wait for each other before they report a gap.
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let (numbers, gaps) = handled(&studio.folder);
        let found: BTreeSet<usize> = numbers.into_values().flatten().collect();
        let is_lost = |number: &usize| !found.contains(number) && !is_in_gap(sent[*number], &gaps);
        let lost: Vec<usize> = (0..events).filter(is_lost).collect();
        if lost.is_empty() {
            break;
        }
        let first = sent[lost[0]];
        assert!(
            Instant::now() < end,
            "missing, and in no gap: {lost:?}, from {first} on; gaps: {gaps:?}"
        );
        thread::sleep(Duration::from_millis(200));
    }
    let took = started.elapsed();
    for child in workers.iter_mut().chain(&mut relays) {
        kill(child);
    }

    let (numbers, gaps) = handled(&studio.folder);
    let found: BTreeSet<usize> = numbers.values().flatten().copied().collect();
    let repeated = numbers.values().map(Vec::len).sum::<usize>() - found.len();
    println!(
        "{place}: {events} events published in {published:.1?}, all handled after {took:.1?}; killed: {killed:?}; handled \
         again: {repeated}; in a gap: {}; gaps: {}",
        events - found.len(),
        gaps.len()
    );
    for (key, numbers) in &numbers {
        let before = numbers.windows(2).find(|pair| pair[0] > pair[1]);
        assert_eq!(before, None, "{key}");
    }
    let status = stream.group("g").unwrap().unwrap();
    assert_eq!((status.dead, status.dead_letters), (0, 0));
    let written: Vec<usize> = found
        .iter()
        .copied()
        .filter(|number| number % WRITTEN == 0)
        .collect();
    for number in written {
        let notes = session
            .query(expr!("Note where content is {}", format!("event {number}")))
            .unwrap();
        assert_eq!(notes.all().unwrap().len(), 1, "event {number}");
    }
}

fn is_in_gap(sent: jiff::Timestamp, gaps: &[Gap]) -> bool {
    gaps.iter()
        .any(|gap| gap.from.is_none_or(|from| from <= sent) && sent <= gap.to)
}

/// Is killed when it is dropped, even if the test fails.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn kill(process: &mut Process) {
    process.0.kill().unwrap();
    process.0.wait().unwrap();
}
