//! Transfers that were killed, cancelled or repeated go on where they broke off.

use std::path::Path;
use std::process::{Command, Stdio};

use ftrack_api::Session;

use super::*;

const CHILD: &str = "FTRACK_TRANSFER_CHILD";

/// What a child process publishes until it is killed.
fn publish(task: &str) -> ! {
    let lines: Vec<&str> = task.lines().collect();
    let [url, key, user, source, target, connections, folder] = lines[..] else {
        panic!("{task}");
    };
    let folder = Path::new(folder);
    let session = Session::builder()
        .server_url(url)
        .api_key(key)
        .api_user(user)
        .schema_cache(SchemaCache::Dir(folder.join("cache")))
        .open()
        .unwrap();
    let location = target_named(&session, target, &folder.join("disk"));
    fs::write(folder.join("started"), b"").unwrap();
    let options = TransferOptions::new().connections(connections.parse().unwrap());
    let made = session.create_component_with(source, data! {}, &location, options);
    fs::write(folder.join("ended"), made.unwrap().id()).unwrap();
    std::process::exit(0)
}

fn target_named(session: &Session, target: &str, store: &Path) -> Location {
    match target {
        "server" => session.location("ftrack.server").unwrap(),
        _ => {
            let binding = Binding::new().accessor(DiskAccessor::new(store).unwrap());
            stage::bound(
                session,
                "test.disk",
                binding.structure(IdStructure::default()),
            )
        }
    }
}

/// Kills a process that publishes `source`, after `moment`, and repeats the call here. Also returns
/// whether that process had ended by itself.
fn kill_and_repeat(
    stage: &Stage,
    source: &Path,
    target: &str,
    moment: Duration,
) -> (Location, Entity, bool) {
    let (folder, before) = (stage.folder.path(), stage.registered());
    for name in ["started", "ended"] {
        let _ = fs::remove_file(folder.join(name));
    }
    let server = &stage.server;
    let connections = match moment.as_millis().is_multiple_of(2) {
        true => "1",
        false => "4",
    };
    let task = [
        server.url(),
        server.api_key(),
        server.api_user(),
        source.to_str().unwrap(),
        target,
        connections,
        folder.to_str().unwrap(),
    ];
    let test = "interrupted::a_transfer_that_is_killed_is_resumed";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, task.join("\n"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the child starts", || folder.join("started").exists());
    thread::sleep(moment);
    let _ = child.kill();
    child.wait().unwrap();
    let ended = folder.join("ended").exists();
    let location = target_named(&stage.session, target, &stage.store());
    let noted = acknowledged(stage) as u64;
    let mut made = None;
    let asked = requests(&stage.session, || {
        made = Some(stage.create(source, &location, TransferOptions::new()));
    });
    // Unless the killed process has got as far as joining the parts, or its commit.
    if (1..20).contains(&noted) && stage.registered() == before + 1 {
        // Does the component exist, the other parts, their end, the commit.
        assert!(asked <= 1 + (20 - noted) + 2, "{asked} after {noted} parts");
    }
    (location, made.unwrap().unwrap(), ended)
}

/// Random moments; the process does its work in about a second. `TRANSFER_KILLS=30` is the
/// number that releases are tested with.
#[test]
fn a_transfer_that_is_killed_is_resumed() {
    if let Ok(task) = std::env::var(CHILD) {
        publish(&task);
    }
    let kills = std::env::var("TRANSFER_KILLS").map_or(2, |text| text.parse().unwrap());
    let stage = Stage::late(15);
    let movie = stage.file("movie.mov", 20 * 16 * MIB - 5);
    let frames = stage.frames(200, 3000);
    let store = stage.store();
    let mut sequences = 0;
    for kill in 0..kills {
        let moment = Duration::from_millis(10 + (kill * 7919) % 900);
        let before = stage.registered();
        let (location, made, ended) = kill_and_repeat(&stage, &movie, "server", moment);
        assert!(read(&location, &made) == fs::read(&movie).unwrap());
        // What the killed process may have registered is complete as well.
        let new = stage.registered() - before;
        assert!(new == 1 || new == 2, "{new}");
        assert!(new == 2 || !ended);
        for target in ["server", "disk"] {
            let before = stage.registered();
            assert_eq!(part_files(&store), 0);
            let (location, made, _) = kill_and_repeat(&stage, &frames, target, moment);
            stage.check_frames(&location, &made, 200);
            let new = stage.registered() - before;
            assert!(new == 201 || new == 402, "{new} at {moment:?}");
            if target == "disk" {
                // No file is left over, complete or not.
                sequences += new / 201;
                let left = (files(&store) as u64, part_files(&store));
                assert_eq!(left, (sequences * 200, 0), "{moment:?}");
            }
        }
        assert_eq!(stage.journals(), 0, "{moment:?}");
    }
}

/// How many parts interrupted uploads have noted as acknowledged.
fn acknowledged(stage: &Stage) -> usize {
    let folder = stage.folder.path().join("cache/ftrack_api_transfers");
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let texts = entries.map(|entry| fs::read_to_string(entry.path()).unwrap());
    texts.map(|text| text.matches("e_tag").count()).sum()
}

/// Those that were acknowledged before a transfer broke off are noted.
#[test]
fn acknowledged_parts_are_not_sent_again() {
    let _alone = COUNTING.lock();
    let (stage, gate) = Stage::gated();
    let path = stage.file("movie.mov", 15 * 8 * MIB);
    let server = stage.at_server();
    for connections in [1, 3] {
        let options = cancelled(&gate, connections);
        let error = stage.create(&path, &server, options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        let noted = acknowledged(&stage);
        assert!((1..15).contains(&noted), "{noted}");
        let sent = Arc::new(AtomicUsize::new(0));
        let counted = sent.clone();
        let options = TransferOptions::new().on_progress(move |progress| {
            counted.store(usize::try_from(progress.bytes()).unwrap(), Ordering::SeqCst);
        });
        let mut made = None;
        let asked = requests(&stage.session, || {
            made = Some(stage.create(&path, &server, options).unwrap());
        });
        // Does the component exist, the other parts, their end, the commit.
        assert_eq!(asked, 1 + (15 - noted as u64) + 1 + 1);
        assert_eq!(sent.load(Ordering::SeqCst), 15 * 8 * MIB);
        assert!(read(&server, &made.unwrap()) == fs::read(&path).unwrap());
        assert_eq!(stage.journals(), 0);
    }
    // A source that has changed is sent again.
    let error = stage
        .create(&path, &server, cancelled(&gate, 1))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let mut changed = bytes(15 * 8 * MIB);
    changed[0] ^= 1;
    fs::write(&path, &changed).unwrap();
    let made = stage.create(&path, &server, TransferOptions::new());
    assert!(read(&server, &made.unwrap()) == changed);
}

#[test]
fn two_processes_that_write_one_file_do_not_mix() {
    let stage = Stage::new();
    let path = stage.file("plate.mov", 50 * MIB);
    let target = stage.store();
    let outcomes: Vec<bool> = thread::scope(|threads| {
        let run = || {
            // Accessors of two sessions know nothing of each other, as those of two processes.
            let disk = DiskAccessor::new(&target).unwrap();
            let file = fs::File::open(&path).unwrap();
            let mut content = Content::new(file).with_path(&path);
            disk.write("plate.mov", &mut content).is_ok()
        };
        let running: Vec<_> = (0..6).map(|_| threads.spawn(run)).collect();
        running.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|ok| **ok).count(), 1);
    assert!(fs::read(target.join("plate.mov")).unwrap() == bytes(50 * MIB));
    assert_eq!((files(&target), part_files(&target)), (1, 0));
}

#[test]
fn a_part_file_is_continued_only_if_it_is_of_the_same_source() {
    let stage = Stage::new();
    let path = stage.file("plate.mov", 40 * MIB);
    let made = stage.unsent(&path);
    let location = stage.disk(stage.disk_accessor());
    // Cancelled after a stride: its part file stays.
    let plan = location.plan_transfer(&made, stage.origin(), true).unwrap();
    let plan = plan.on_progress(|progress| {
        if progress.bytes() > 0 {
            progress.cancel();
        }
    });
    assert_eq!(plan.run().unwrap_err().kind(), ErrorKind::Cancelled);
    let store = stage.store();
    assert_eq!((files(&store), part_files(&store)), (1, 1));
    let mut left = fs::read_dir(&store).unwrap();
    let part = left.next().unwrap().unwrap().path();
    // Other bytes in it are noticed.
    for spoilt in [false, true] {
        if spoilt {
            location.remove_component(&made).unwrap();
            fs::write(&part, vec![7; MIB]).unwrap();
        }
        location.add_component(&made, &stage.origin()).unwrap();
        assert!(read(&location, &made) == bytes(40 * MIB));
        assert_eq!((files(&store), part_files(&store)), (1, 0));
    }
}

/// A server that is slow may still commit what an interrupted call has sent, after the same call
/// was repeated and has found nothing.
#[test]
fn a_commit_that_comes_late_is_not_undone() {
    /// Registers each component in another session before it names it.
    struct Late {
        other: Session,
        location: String,
        left: AtomicUsize,
    }

    impl Structure for Late {
        fn get_resource_identifier(
            &self,
            component: &Entity,
            context: &StructureContext,
        ) -> anyhow::Result<String> {
            let identifier = EntityIdStructure.get_resource_identifier(component, context)?;
            let one_less = |left: usize| left.checked_sub(1);
            let (set, get) = (Ordering::SeqCst, Ordering::SeqCst);
            if self.left.fetch_update(set, get, one_less).is_ok() {
                let data = data! { "id": component.id(), "name": "late" };
                self.other.create(component.entity_type(), data)?;
                let data = data! {
                    "component_id": component.id(),
                    "location_id": self.location.as_str(),
                    "resource_identifier": identifier.as_str(),
                };
                self.other.create("ComponentLocation", data)?;
                self.other.commit()?;
            }
            Ok(identifier)
        }
    }

    let stage = Stage::new();
    let pattern = stage.frames(5, 1000);
    let token = CancelToken::new();
    let (cancel, written) = (token.clone(), AtomicUsize::new(0));
    let disk = Watched::new(stage.disk_accessor()).before(move || {
        if written.fetch_add(1, Ordering::SeqCst) == 3 {
            cancel.cancel();
        }
    });
    let location = stage.disk(disk);
    let create = || stage.create(&pattern, &location, TransferOptions::new());
    let error = token.run(create).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    let before = stage.registered();
    let late = Late {
        other: open(&stage.server),
        location: location.id(),
        left: AtomicUsize::new(6),
    };
    let accessor = stage.disk_accessor();
    location.bind(Binding::new().accessor(accessor).structure(late));
    let made = create().unwrap();
    assert_eq!(stage.registered(), before + 12);
    for member in made.get::<Vec<Entity>>("members").unwrap() {
        assert_eq!(read(&location, &member).len(), 1000);
    }
    // What the interrupted call had stored is still there.
    let query = "FileComponent where name is late";
    let committed = stage.session.query(query).unwrap().all().unwrap();
    let has_data = |one: &&Entity| location.open(one).is_ok();
    assert_eq!(
        (committed.len(), committed.iter().filter(has_data).count()),
        (5, 3)
    );
    assert_eq!(stage.journals(), 0);
}
