//! Commits over connections that break at random: each is applied exactly once, or reported and
//! still recorded. The server's rows are the proof.
//!
//! `FTRACK_FAULTY_COMMITS` says how many (200 unless set), `FTRACK_SEED` which ones.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(clippy::print_stderr, reason = "the seed of a failure has to be seen")]

mod support;

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use ftrack_api::config::SchemaCache;
use ftrack_api::operation::Operation;
use ftrack_api::query::field;
use ftrack_api::{Entity, EntityKey, Error, ErrorKind, Session, data};
use ftrack_emulator::Emulator;
use support::proxy::{Break, Harm, Proxy, Way};
use support::{builder, emulator, patiently};

/// The timeout of requests. It is short because every stall costs as much; if a busy machine takes
/// longer, that is one more fault.
const TIMEOUT: Duration = Duration::from_millis(250);
/// How often a commit is tried before its remaining faults are removed.
const ATTEMPTS: usize = 6;

struct Run {
    server: Emulator,
    proxy: Proxy,
    session: Session,
    /// A session without faults.
    witness: Session,
    project: Entity,
    /// Notes that are added to and removed from the collection of a folder.
    noted: Entity,
    notes: Vec<Entity>,
    random: fastrand::Rng,
    /// What the server must hold: the description of each folder by name, and the notes that are
    /// in the collection.
    expected: BTreeMap<String, String>,
    /// The folders that are on the server.
    folders: Vec<(String, Entity)>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    commits: usize,
    faults_planned: usize,
    faults_that_happened: usize,
    errors: BTreeMap<String, usize>,
    at_once: usize,
    after_errors: usize,
    rolled_back: usize,
    applied_though_rolled_back: usize,
}

impl Run {
    fn new(seed: u64) -> Self {
        let server = emulator();
        let proxy = Proxy::before(server.url());
        // A schema takes longer than a request may, on a busy machine.
        let folder = tempfile::tempdir().unwrap();
        let cached = || builder(&server).schema_cache(SchemaCache::Dir(folder.path().into()));
        let witness = cached().open().unwrap();
        let behind = || cached().server_url(proxy.url()).timeout(TIMEOUT);
        let session = patiently(|| behind().open());
        let project = project(&session);
        let (noted, notes) = patiently(|| make_notes(&session, &project));
        Self {
            server,
            proxy,
            session,
            witness,
            project,
            noted,
            notes,
            random: fastrand::Rng::with_seed(seed),
            expected: BTreeMap::new(),
            folders: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Plans up to four faults at random points of both directions.
    fn plan_faults(&mut self) {
        let count = self.random.usize(0..=4);
        for _ in 0..count {
            let way = match self.random.bool() {
                true => Way::ToServer,
                false => Way::ToClient,
            };
            let after = match self.random.u8(0..4) {
                0 => 0,
                1 => self.random.usize(0..200),
                _ => self.random.usize(0..3000),
            };
            let harm = match self.random.u8(0..16) {
                0 => Harm::Stall,
                1 | 2 => Harm::Delay(Duration::from_millis(self.random.u64(1..30))),
                3..=6 => Harm::Reset,
                7..=9 => Harm::HalfClose,
                _ => Harm::Cut,
            };
            self.proxy.push(Break::new(way, after, harm));
        }
        self.counts.faults_planned += count;
    }

    /// Records a few changes, and returns what the server holds once they are applied.
    fn record(&mut self, number: usize) -> Next {
        let mut next = Next {
            expected: self.expected.clone(),
            folders: self.folders.clone(),
        };
        for part in 0..self.random.usize(1..=4) {
            let kind = if next.folders.is_empty() {
                self.random.u8(0..2)
            } else {
                self.random.u8(0..4)
            };
            match kind {
                0 => self.record_creation(number, part, &mut next),
                1 => self.record_extension(&mut next),
                2 => self.record_update(number, part, &mut next),
                _ => self.record_deletion(&mut next),
            }
        }
        next
    }

    fn record_creation(&mut self, number: usize, part: usize, next: &mut Next) {
        let name = format!("faulty {number} {part}");
        let text = format!("made by {number}");
        let data = data! {"name": &name, "description": &text, "parent": &self.project};
        let folder = self.session.create("Folder", data).unwrap();
        next.expected.insert(name.clone(), text);
        next.folders.push((name, folder));
    }

    fn record_update(&mut self, number: usize, part: usize, next: &mut Next) {
        let index = self.random.usize(0..next.folders.len());
        let (name, folder) = &next.folders[index];
        let text = format!("changed by {number} {part}");
        folder.set("description", text.as_str()).unwrap();
        next.expected.insert(name.clone(), text);
    }

    fn record_extension(&mut self, next: &mut Next) {
        let index = self.random.usize(0..self.notes.len());
        let notes = self.noted.collection("notes").unwrap();
        let name = format!("note {index}");
        if next.expected.remove(&name).is_some() {
            notes.remove(&self.notes[index]).unwrap();
        } else {
            notes.push(&self.notes[index]).unwrap();
            next.expected.insert(name, "joined".into());
        }
    }

    fn record_deletion(&mut self, next: &mut Next) {
        let index = self.random.usize(0..next.folders.len());
        let (name, folder) = next.folders.swap_remove(index);
        self.session.delete(&folder).unwrap();
        next.expected.remove(&name);
    }

    /// One batch: committed, if necessary again and again, or rolled back.
    fn round(&mut self, number: usize) {
        let next = self.record(number);
        let recorded = self.session.recorded_operations();
        self.plan_faults();
        let mut outcome = self.attempt(&recorded);
        let was_refused = outcome.is_err();
        if let Err(error) = &outcome
            && self.random.u8(0..8) == 0
        {
            self.give_up(next, error.kind());
            return;
        }
        for _ in 0..ATTEMPTS {
            if outcome.is_ok() {
                break;
            }
            outcome = self.attempt(&recorded);
        }
        self.clear_faults();
        if outcome.is_err() {
            patiently(|| self.attempt(&recorded));
        }
        self.counts.at_once += usize::from(!was_refused);
        self.counts.after_errors += usize::from(was_refused);
        (self.expected, self.folders) = (next.expected, next.folders);
        self.compare();
    }

    /// Commits once: afterwards either nothing is recorded, or everything still is.
    fn attempt(&mut self, recorded: &[Operation]) -> Result<(), Error> {
        let outcome = self.session.commit();
        let left = self.session.recorded_operations();
        match &outcome {
            Ok(()) => assert!(left.is_empty(), "committed, but still recorded: {left:?}"),
            Err(error) => {
                assert_eq!(left.len(), recorded.len(), "lost after {error}");
                self.note(error);
            }
        }
        outcome
    }

    /// Every error must come from the connection, or from the server about half a request.
    fn note(&mut self, error: &Error) {
        let kind = error.kind();
        let is_broken = [
            ErrorKind::Connection,
            ErrorKind::Timeout,
            ErrorKind::BadResponse,
        ];
        let is_half = error
            .server()
            .is_some_and(|server| server.content.contains("broke off"));
        assert!(is_broken.contains(&kind) || is_half, "{error:?}");
        *self.counts.errors.entry(format!("{kind:?}")).or_default() += 1;
    }

    /// Rolls back after an error: the server has the whole batch or nothing of it.
    fn give_up(&mut self, next: Next, why: ErrorKind) {
        self.session.rollback();
        self.clear_faults();
        assert!(self.session.recorded_operations().is_empty());
        let rows = self.rows_when_done(&next.expected, why);
        let is_applied = rows == next.expected && rows != self.expected;
        assert!(
            is_applied || rows == self.expected,
            "half a batch was applied"
        );
        self.counts.rolled_back += 1;
        if is_applied {
            self.counts.applied_though_rolled_back += 1;
            (self.expected, self.folders) = (next.expected, next.folders);
        }
        // The session may differ from the server in either direction: fetch everything again.
        self.session.reset();
        self.project = project(&self.session);
        let known = |key: EntityKey| patiently(|| self.session.get(key.entity_type(), key.clone()));
        self.noted = known(self.noted.key()).unwrap();
        let notes = self.notes.iter().map(|note| known(note.key()).unwrap());
        self.notes = notes.collect();
        for (name, folder) in &mut self.folders {
            let found = patiently(|| self.session.get("Folder", folder.key()));
            *folder = found.unwrap_or_else(|| panic!("{name} is missing"));
        }
    }

    fn clear_faults(&mut self) {
        let left = self.proxy.clear().len();
        self.counts.faults_that_happened += self.counts.faults_planned - left;
        self.counts.faults_planned = 0;
        // Stalled connections would be faults of the next round.
        self.proxy.hang_up();
    }

    /// The description of every folder of this run by name. A name that occurs twice means an entity
    /// that was created twice.
    fn rows(&self) -> BTreeMap<String, String> {
        let query = "select name, description from Folder where name like \"faulty %\"";
        let rows = self.witness.query(query).unwrap();
        let rows: Vec<serde_json::Value> = rows.rows().collect::<Result<_, _>>().unwrap();
        let count = rows.len();
        let text = |row: &serde_json::Value, name: &str| row[name].as_str().unwrap().to_owned();
        let rows = rows
            .iter()
            .map(|row| (text(row, "name"), text(row, "description")));
        let mut rows: BTreeMap<_, _> = rows.collect();
        assert_eq!(rows.len(), count, "a folder was created twice");
        let joined = self.witness.select("Note").fields(["content"]);
        let joined = joined.filter(field("parent_id").eq(self.noted.key().id()));
        for row in joined.rows::<serde_json::Value>() {
            rows.insert(text(&row.unwrap(), "content"), "joined".into());
        }
        rows
    }

    /// What the server has once it has done what it was sent: who got no response does not know when that is.
    fn rows_when_done(
        &self,
        next: &BTreeMap<String, String>,
        why: ErrorKind,
    ) -> BTreeMap<String, String> {
        let patience = match why {
            ErrorKind::Timeout | ErrorKind::Connection => Duration::from_secs(3),
            _ => Duration::from_millis(20),
        };
        let end = Instant::now() + patience;
        loop {
            let rows = self.rows();
            if rows == *next || Instant::now() > end {
                return rows;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn compare(&self) {
        let rows = self.rows();
        assert_eq!(rows, self.expected, "the server has something else");
    }

    /// Keeps the number of folders small, so that comparing stays quick.
    fn tidy(&mut self) {
        for (_, folder) in self.folders.drain(..) {
            self.session.delete(&folder).unwrap();
        }
        patiently(|| self.session.commit());
        self.expected.retain(|name, _| name.starts_with("note"));
        self.compare();
    }
}

struct Next {
    expected: BTreeMap<String, String>,
    folders: Vec<(String, Entity)>,
}

fn make_notes(session: &Session, project: &Entity) -> Result<(Entity, Vec<Entity>), Error> {
    session.rollback();
    let noted = session.create("Folder", data! {"name": "noted", "parent": project})?;
    let author = session.query("User")?.first()?.unwrap();
    let make = |index: usize| {
        let data = data! {"content": format!("note {index}"), "author": &author};
        session.create("Note", data)
    };
    let notes = (0..6).map(make).collect::<Result<_, _>>()?;
    session.commit()?;
    Ok((noted, notes))
}

fn project(session: &Session) -> Entity {
    let query = || session.query("Project where name is test")?.one();
    patiently(query)
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

#[test]
fn every_commit_is_applied_once_or_still_recorded() {
    let count = number("FTRACK_FAULTY_COMMITS", 200);
    let seed = number("FTRACK_SEED", fastrand::u64(..));
    eprintln!("FTRACK_FAULTY_COMMITS={count} FTRACK_SEED={seed}");
    let started = Instant::now();
    let mut run = Run::new(seed);
    for number in 0..usize::try_from(count).unwrap() {
        run.round(number);
        run.counts.commits += 1;
        if run.folders.len() > 40 {
            run.tidy();
        }
    }
    let requests = run.server.requests();
    eprintln!(
        "{:#?}\n{requests} requests in {:?}",
        run.counts,
        started.elapsed()
    );
    let counts = &run.counts;
    assert!(
        counts.faults_that_happened > run.counts.commits / 2,
        "too few faults"
    );
    assert!(counts.after_errors > 0 && counts.at_once > 0);
}
