//! What is attempted while something goes wrong, and how to see what the server made of it.

use std::io::Read;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ftrack_api::{
    Entity, Event, EventHub, Query, Result, Session, config::Network, data, session::QueryPages,
};
use ftrack_emulator::Emulator;
use ftrack_emulator::faults::Fault as Failure;

use crate::faults::Fault;
use crate::relay;
use crate::support::proxy::{Break, Harm, Proxy, Way};
use crate::support::{builder, open, patiently};

/// How long the server may take where it responds: no machine is so slow.
const MAX_WAIT: Duration = Duration::from_secs(120);

pub(crate) struct Operation {
    pub(crate) name: &'static str,
    prepare: fn(&mut Stage<'_>),
    pub(crate) run: fn(&mut Stage<'_>) -> Result<()>,
    /// Says what the server holds; reading operations change nothing.
    pub(crate) held: Option<fn(&mut Stage<'_>) -> &'static str>,
    /// Whether it is recorded and can be committed again.
    pub(crate) is_commit: bool,
    /// How many servers share its faults: what takes long needs more than one.
    pub(crate) servers: usize,
}

const fn reading(
    name: &'static str,
    prepare: fn(&mut Stage<'_>),
    run: fn(&mut Stage<'_>) -> Result<()>,
) -> Operation {
    Operation {
        name,
        prepare,
        run,
        held: None,
        is_commit: false,
        servers: 1,
    }
}

const fn commit(
    name: &'static str,
    prepare: fn(&mut Stage<'_>),
    held: fn(&mut Stage<'_>) -> &'static str,
) -> Operation {
    Operation {
        name,
        prepare,
        run: |stage| stage.session().commit(),
        held: Some(held),
        is_commit: true,
        servers: 1,
    }
}

pub(crate) const OPERATIONS: &[Operation] = &[
    reading(
        "open",
        |stage| stage.session = None,
        |stage| {
            stage.session = Some(stage.builder().open()?);
            Ok(())
        },
    ),
    reading("query", |_| {}, |stage| stage.states().all().map(drop)),
    reading(
        "page 2",
        |stage| {
            let mut pages = stage.states().page_size(2).pages();
            assert_eq!(pages.next().unwrap().unwrap().len(), 2);
            stage.pages = Some(pages);
        },
        |stage| {
            let page = stage.pages.as_mut().unwrap().next().unwrap()?;
            assert_eq!(page.len(), 2, "the page after the first");
            Ok(())
        },
    ),
    commit(
        "create",
        |stage| stage.create(1),
        |stage| match stage.made().len() {
            0 => "nothing",
            1 => "once",
            _ => "more than once",
        },
    ),
    commit(
        "update",
        |stage| {
            stage.create(1);
            patiently(|| stage.session().commit());
            stage.entities[0].set("short", "new").unwrap();
        },
        |stage| match stage.made().as_slice() {
            [one] if one.get::<String>("short").unwrap() == "new" => "once",
            _ => "nothing",
        },
    ),
    commit(
        "delete",
        |stage| {
            stage.create(1);
            patiently(|| stage.session().commit());
            let state = stage.entities[0].clone();
            stage.session().delete(&state).unwrap();
        },
        |stage| match stage.made().len() {
            0 => "once",
            _ => "nothing",
        },
    ),
    Operation {
        servers: 2,
        ..commit(
            "commit of 1,000",
            |stage| stage.create(1000),
            |stage| match stage.made().len() {
                0 => "nothing",
                1000 => "once",
                _ => "something else",
            },
        )
    },
    Operation {
        held: Some(|stage| stage.uploaded()),
        servers: 3,
        ..reading(
            "upload part",
            |stage| {
                stage.prepare_upload();
            },
            |stage| stage.upload(),
        )
    },
    Operation {
        name: "event publish",
        prepare: |stage| stage.connect_hubs(),
        run: |stage| {
            let hub = stage.session().event_hub();
            hub.publish(Event::new("reliability.test")).map(drop)
        },
        held: Some(|stage| stage.heard()),
        is_commit: false,
        servers: 1,
    },
];

/// A session behind a proxy, ready for an operation.
pub(crate) struct Stage<'a> {
    server: &'a Emulator,
    pub(crate) proxy: Arc<Proxy>,
    /// Sees the server without faults.
    witness: Session,
    pub(crate) session: Option<Session>,
    entities: Vec<Entity>,
    pages: Option<QueryPages>,
    listener: Option<EventHub>,
    /// What is uploaded, in parts, and the folder with its file.
    upload: Option<(Entity, tempfile::TempDir)>,
    /// What this stage's entities are called.
    name: String,
    patience: Duration,
}

/// Large enough to go in parts of 8 MiB.
const LARGE: usize = 17 << 20;
/// So much of it has gone when the fault of a part's request is due.
const AMID_BYTES: usize = 2 << 20;

impl<'a> Stage<'a> {
    /// `useless_wait` is how long the session waits where the fault makes it wait for nothing.
    pub(crate) fn new(
        server: &'a Emulator,
        operation: &Operation,
        fault: &Fault,
        useless_wait: Duration,
    ) -> Self {
        let proxy = Arc::new(Proxy::before(server.url()));
        let mut stage = Self {
            server,
            proxy,
            witness: open(server),
            session: None,
            entities: Vec::new(),
            pages: None,
            listener: None,
            upload: None,
            name: format!("state {}", server.requests()),
            patience: match fault.is_waited_out {
                true => useless_wait,
                false => MAX_WAIT,
            },
        };
        stage.session = Some(patiently(|| stage.builder().open()));
        (operation.prepare)(&mut stage);
        stage
    }

    fn builder(&self) -> ftrack_api::SessionBuilder {
        let made = builder(self.server).server_url(self.proxy.url());
        made.timeout(self.patience)
    }

    fn session(&self) -> &Session {
        self.session.as_ref().unwrap()
    }

    /// How many requests the session has sent so far.
    pub(crate) fn requests(&self) -> u64 {
        let session = self.session.as_ref();
        session.map_or(0, |session| session.statistics().requests)
    }

    fn states(&self) -> Query {
        self.session()
            .query("select name from State order by id")
            .unwrap()
    }

    fn create(&mut self, count: usize) {
        for _ in 0..count {
            let data = data! {"name": &self.name, "short": "old"};
            let made = self.session().create("State", data).unwrap();
            self.entities.push(made);
        }
    }

    /// This stage's entities on the server.
    fn made(&self) -> Vec<Entity> {
        self.witness.reset();
        let query = self.witness.select("State").fields(["name", "short"]);
        let query = query.filter(ftrack_api::query::field("name").eq(self.name.as_str()));
        query.all().unwrap()
    }

    /// Lets a request fail at the server: the next of the API, and the next of the event server
    /// for which its connection has to be lost.
    pub(crate) fn fail(&self, failure: Failure) {
        if self.upload.is_some() {
            self.server.faults().push(failure.at("/component/upload/"));
        } else if self.listener.is_some() {
            self.server.faults().push(failure.at("/socket.io/"));
            self.proxy.hang_up();
        } else {
            self.server.faults().push(failure);
        }
    }

    /// Nothing goes wrong any more.
    pub(crate) fn heal(&self) {
        self.proxy.clear();
        self.proxy.hang_up();
        self.proxy.restart();
        self.server.faults().clear();
    }

    pub(crate) fn held(
        &mut self,
        held: fn(&mut Self) -> &'static str,
        reaches_server: bool,
    ) -> &'static str {
        let end = Instant::now() + MAX_WAIT;
        loop {
            let found = held(self);
            if !reaches_server
                || self.upload.is_some()
                || found != "nothing"
                || Instant::now() > end
            {
                return found;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Adds what goes wrong in the operation: with an upload, in the request for its first part.
    pub(crate) fn push(&self, one: Break) {
        if self.upload.is_none() {
            self.proxy.push(one);
            return;
        }
        match one.way {
            Way::ToServer => {
                let after = one.after + AMID_BYTES;
                self.proxy.push(Break { after, ..one });
            }
            // The next response is that to the part, once so much of it has been sent.
            Way::ToClient => {
                self.proxy.push(Break::new(
                    Way::ToServer,
                    AMID_BYTES,
                    Harm::Delay(Duration::ZERO),
                ));
                self.proxy.push(one);
            }
        }
    }

    /// The server signs addresses of its own, so that only an HTTP proxy stands between a session
    /// and the storage: the one that breaks connections goes before such a proxy.
    fn prepare_upload(&mut self) {
        let (tunnels, _) = relay::proxy();
        self.proxy = Arc::new(Proxy::to(tunnels));
        let network = Network::new()
            .proxy(format!(
                "http://{}@{}",
                relay::CREDENTIALS,
                self.proxy.address()
            ))
            .idle_timeout(self.patience);
        let session = builder(self.server).network(network).open().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.bin");
        std::fs::write(&path, vec![7; LARGE]).unwrap();
        let data = data! {"name": "large", "file_type": ".bin", "size": LARGE as i64};
        let component = session.create("FileComponent", data).unwrap();
        let origin = session.location("ftrack.origin").unwrap();
        origin
            .register_component(&component, path.to_str().unwrap())
            .unwrap();
        // Looked up before anything goes wrong.
        session.location("ftrack.server").unwrap();
        self.session = Some(session);
        self.upload = Some((component, folder));
    }

    fn upload(&self) -> Result<()> {
        let origin = self.session().location("ftrack.origin")?;
        let server = self.session().location("ftrack.server")?;
        server.add_component(&self.upload.as_ref().unwrap().0, &origin)
    }

    fn uploaded(&self) -> &'static str {
        let server = self.witness.location("ftrack.server").unwrap();
        let key = self.upload.as_ref().unwrap().0.key();
        let component = self.witness.get("FileComponent", key).unwrap();
        let data = component.map(|component| server.open(&component));
        match data {
            Some(Ok(mut data)) => match data.read(&mut [0]) {
                Ok(1) => "once",
                _ => "something else",
            },
            _ => "nothing",
        }
    }

    fn connect_hubs(&mut self) {
        let listener = self.witness.event_hub().clone();
        listener.connect().unwrap();
        let options = ftrack_api::hub::SubscribeOptions::new().acknowledged(MAX_WAIT);
        let subscribed = listener.subscribe_with("topic=reliability.test", options, |_| Ok(None));
        subscribed.unwrap();
        self.session().event_hub().connect().unwrap();
        self.listener = Some(listener);
    }

    /// Waits for the event, and a little longer for a second one.
    fn heard(&mut self) -> &'static str {
        let listener = self.listener.as_ref().unwrap();
        let first = listener.next(MAX_WAIT).unwrap();
        let second = listener.next(Duration::from_millis(50)).unwrap();
        match (first, second) {
            (None, _) => "nothing",
            (Some(_), None) => "once",
            (Some(_), Some(_)) => "more than once",
        }
    }
}
