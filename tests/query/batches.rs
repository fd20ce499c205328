//! Several pages of a result in one request.

use std::io::Cursor;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ftrack_api::transport::{Request, Response, Transport};
use ftrack_api::{Entity, ErrorKind, Result, Session};
use ftrack_emulator::Emulator;
use serde_json::{Value as Json, json};

use crate::support::{builder, post, requests, steady::steadily};

/// What happens to requests for several pages.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Mode {
    Passed,
    /// The server rejects requests with more than one action.
    Refused,
    /// The page at this offset comes without a list.
    Broken(u64),
    Slow,
}

/// Forwards requests and notes the actions of each.
#[derive(Clone)]
pub(crate) struct Watched {
    mode: Mode,
    requests: Arc<Mutex<Vec<Vec<Json>>>>,
}

impl Watched {
    pub(crate) fn new(mode: Mode) -> Self {
        Self {
            mode,
            requests: Arc::default(),
        }
    }

    pub(crate) fn session(&self, server: &Emulator) -> Session {
        let session = builder(server).transport(self.clone()).open().unwrap();
        self.requests();
        session
    }

    /// The requests since the last call.
    pub(crate) fn requests(&self) -> Vec<Vec<Json>> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }

    /// How many pages each of them asked for.
    fn pages(&self) -> Vec<usize> {
        self.requests().iter().map(Vec::len).collect()
    }

    /// The text of the only query.
    pub(crate) fn query(&self) -> String {
        let requests = self.requests();
        assert_eq!(requests.iter().flatten().count(), 1, "{requests:?}");
        requests[0][0]["expression"].as_str().unwrap().to_owned()
    }
}

impl Transport for Watched {
    fn send(&self, request: &Request<'_>) -> Result<Response> {
        let actions: Vec<Json> = serde_json::from_slice(request.body).unwrap();
        self.requests.lock().unwrap().push(actions.clone());
        let texts: Vec<&str> = actions
            .iter()
            .filter_map(|action| action["expression"].as_str())
            .collect();
        let headers = request.headers.iter();
        let headers = headers.map(|(name, value)| (name.as_str(), value.as_str()));
        let url = request.url.origin().ascii_serialization();
        let (_, mut body) = post(&url, headers, request.body);
        let is_query = texts.len() == actions.len();
        match self.mode {
            Mode::Refused if is_query && actions.len() > 1 => {
                let refusal = json!({"exception": "ServerError", "content": "one action only"});
                body = serde_json::to_vec(&refusal).unwrap();
            }
            Mode::Broken(offset) if is_query => {
                let broken = format!(" offset {offset} ");
                let mut replies: Vec<Json> = serde_json::from_slice(&body).unwrap();
                for (reply, text) in replies.iter_mut().zip(&texts) {
                    if text.contains(&broken) {
                        reply["data"] = Json::Null;
                    }
                }
                body = serde_json::to_vec(&replies).unwrap();
            }
            Mode::Slow if actions.len() == 4 => std::thread::sleep(Duration::from_millis(1100)),
            _ => {}
        }
        Ok(Response {
            status: 200,
            headers: Vec::new(),
            body: Box::new(Cursor::new(body)),
        })
    }
}

fn studio() -> Emulator {
    Emulator::builder().tasks(300).start().unwrap()
}

fn found(session: &Session, query: &str) -> Vec<Entity> {
    session.query(query).unwrap().page_size(10).all().unwrap()
}

#[derive(serde::Deserialize)]
struct Row {
    id: String,
}

#[test]
fn requests_ask_for_twice_as_many_pages_each_time() {
    steadily(|| {
        let server = studio();
        let watched = Watched::new(Mode::Passed);
        let session = watched.session(&server);
        let tasks = found(&session, "select name from Task order by id limit 275");
        assert_eq!(tasks.len(), 275);
        let sent = watched.requests();
        let last = sent.last().unwrap().last().unwrap()["expression"].as_str();
        assert!(last.unwrap().ends_with("offset 270 limit 5"), "{last:?}");
        let pages: Vec<usize> = sent.iter().map(Vec::len).collect();
        assert_eq!(pages, [1, 2, 4, 8, 8, 5]);
        let query = session
            .query("select id from Task order by id limit 275")
            .unwrap();
        let query = query.page_size(10);
        let rows: Vec<Row> = query.rows().collect::<Result<_>>().unwrap();
        assert_eq!(watched.pages(), [1, 2, 4, 8, 8, 5]);
        assert!(
            rows.iter()
                .zip(&tasks)
                .all(|(row, task)| row.id == task.id())
        );
        // Each page once, and in the order of the result.
        let singly = query.clone().pages_per_request(1);
        assert_eq!(singly.all().unwrap(), tasks);
        assert_eq!(watched.pages(), [1; 28]);
        assert_eq!(query.clone().pages_per_request(3).all().unwrap(), tasks);
        assert_eq!(watched.pages()[..4], [1, 2, 3, 3]);
        query.first().unwrap();
        query.nth(100).unwrap();
        query.slice(..2).all().unwrap();
        assert_eq!(watched.pages(), [1; 3]);
        let stable = session
            .query("select id from Task")
            .unwrap()
            .page_size(50)
            .stable(true);
        let all = stable.all().unwrap().len();
        assert_eq!(watched.pages(), vec![1; all.div_ceil(50)]);
        // Who stops early has fetched less than twice what was begun.
        let begun = query.pages().take(4).count();
        assert!(watched.pages().iter().sum::<usize>() < 2 * begun);
    });
}

#[test]
fn the_end_of_a_result_may_come_before_the_last_page_of_a_request() {
    steadily(|| {
        let server = studio();
        let watched = Watched::new(Mode::Passed);
        let session = watched.session(&server);
        let count = session.select("Task").count().unwrap() as usize;
        watched.pages();
        assert_eq!(found(&session, "select name from Task").len(), count);
        let pages: usize = watched.pages().iter().sum();
        assert!(pages < 2 * count.div_ceil(10) + 1, "{pages}");
    });
}

#[test]
fn slow_requests_halve_the_next_one() {
    steadily(|| {
        let server = studio();
        let watched = Watched::new(Mode::Slow);
        let session = watched.session(&server);
        found(&session, "select name from Task limit 150");
        assert_eq!(watched.pages(), [1, 2, 4, 2, 4, 2]);
    });
}

#[test]
fn servers_that_refuse_several_actions_get_single_pages() {
    steadily(|| {
        let server = studio();
        let watched = Watched::new(Mode::Refused);
        let session = watched.session(&server);
        let tasks = found(&session, "select name from Task order by id limit 40");
        assert_eq!(tasks.len(), 40);
        assert_eq!(watched.pages(), [1, 2, 1, 1, 1]);
    });
}

/// The rows before an error, and whether the iteration ends with it.
fn until_error<T>(mut rows: impl Iterator<Item = Result<T>>) -> usize {
    let mut count = 0;
    let error = loop {
        match rows.next().expect("an error before the end") {
            Ok(_) => count += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::BadResponse, "{error}");
    assert!(rows.next().is_none());
    count
}

#[test]
fn an_error_in_a_page_loses_no_page_before_it() {
    let server = studio();
    // Requests begin with the pages at 0, 10 and 30.
    for offset in [0, 10, 30, 50] {
        let watched = Watched::new(Mode::Broken(offset));
        let session = watched.session(&server);
        let query = session
            .query("select id from Task order by id limit 100")
            .unwrap();
        let query = query.page_size(10);
        assert_eq!(until_error(query.iter()) as u64, offset);
        assert_eq!(until_error(query.rows::<Row>()) as u64, offset);
    }
}

#[test]
fn a_count_is_not_limited_by_the_server() {
    let server = studio();
    let watched = Watched::new(Mode::Passed);
    let session = watched.session(&server);
    // Some servers apply an offset and a limit to the row of a count.
    let query = session.query("select name from Task order by name offset 2 limit 3");
    assert_eq!(query.unwrap().count().unwrap(), 3);
    assert_eq!(watched.query(), "select count(id) from Task");
}

#[test]
fn what_is_changed_between_two_pages_stays() {
    let server = studio();
    let session = builder(&server).open().unwrap();
    let query = session
        .query("select name, bid from Task order by id limit 70")
        .unwrap();
    let query = query.page_size(10);
    let tasks = query.all().unwrap();
    for (number, task) in query.iter().enumerate() {
        let task = task.unwrap();
        if number == 10 {
            // Its page lies ready, with the value of before.
            tasks[25].set("bid", 77).unwrap();
            session.commit().unwrap();
        }
        if number == 25 {
            assert_eq!(task.get::<f64>("bid").unwrap(), 77.0);
        }
    }
}

#[test]
fn peers_are_those_of_a_page() {
    let server = studio();
    let session = builder(&server).open().unwrap();
    let query = session
        .query("select name from Task order by id limit 30")
        .unwrap();
    let tasks = query.page_size(10).all().unwrap();
    let sent = requests(&session, || {
        for task in &tasks {
            task.get::<Option<f64>>("bid").unwrap();
        }
    });
    assert_eq!(sent, 3);
}
