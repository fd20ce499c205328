//! A small real job from beginning to end, on a server of its own.
//!
//! Run it with `cargo run -p ftrack-examples --bin tour`. With `FTRACK_SERVER` set it runs against that server,
//! as the user and with the key that the environment names, and creates a shot there.
#![allow(clippy::print_stdout, reason = "it shows what it does")]

use std::time::Instant;

use anyhow::{Context, Result};
use ftrack_api::{Entity, Session, data, expr, session::Statistics};
use ftrack_emulator::Emulator;

fn main() -> Result<()> {
    let server = match std::env::var_os("FTRACK_SERVER") {
        Some(_) => None,
        None => Some(Emulator::start().context("the emulator does not start")?),
    };
    let mut step = Step::default();

    let session = open(server.as_ref())?;
    println!(
        "Connected to {} as {}.",
        session.server_url(),
        session.api_user()
    );
    println!(
        "The server has version {}.",
        session.server_information().version().unwrap_or("?")
    );
    step.done("open", &session);

    let project = session
        .query("select full_name from Project where status is active order by name")?
        .first()?
        .context("the server has no active project")?;
    println!("\nProject: {}", project.get::<String>("full_name")?);
    step.done("find a project", &session);

    list_shots(&session, &project)?;
    step.done("list shots with status and assignees", &session);

    let (shot, tasks) = create_shot(&session, &project)?;
    session.commit()?;
    println!("\nCreated {} with {} tasks.", path_of(&shot)?, tasks.len());
    step.done("create a shot with tasks", &session);

    for task in &tasks {
        task.set("description", "Made by the tour; feel free to delete.")?;
    }
    tasks[0].set("bid", 3 * 8 * 3600)?;
    println!("\nWhat the next commit sends:\n{}", session.plan());
    session.commit()?;
    step.done("change them", &session);

    let second = open(server.as_ref())?;
    println!("\nWhat a second session sees:");
    let found = second.query(expr!(
        "select name, bid, description from Task where parent is {}",
        &shot
    ))?;
    for task in &found {
        let task = task?;
        let (name, bid) = (task.get::<String>("name")?, task.get::<f64>("bid")?);
        println!(
            "  {name:<12} {:>4} h  {}",
            bid / 3600.0,
            task.get::<String>("description")?
        );
    }
    step.from = Statistics::default();
    step.done("read them back in a second session", &second);
    Ok(())
}

/// The session's three settings come from the emulator, or all of them from the environment.
fn open(server: Option<&Emulator>) -> Result<Session> {
    Ok(match server {
        None => Session::from_env()?,
        Some(server) => Session::builder()
            .server_url(server.url())
            .api_user(server.api_user())
            .api_key(server.api_key())
            .open()?,
    })
}

fn list_shots(session: &Session, project: &Entity) -> Result<()> {
    let shots = session.query(expr!(
        "select name, status.name, status.color from Shot where project is {} order by name limit 8",
        project
    ))?;
    for shot in &shots {
        let shot = shot?;
        // Assignees are not in the query: they are loaded on first access, for all shots at once.
        let mut people: Vec<String> = Vec::new();
        for child in shot.get::<Vec<Entity>>("children")? {
            for assignment in child.get::<Vec<Entity>>("assignments")? {
                people.push(assignment.get("resource.first_name")?);
            }
        }
        people.sort();
        people.dedup();
        let status: Option<String> = shot.get("status.name")?;
        println!(
            "  {:<14} {:<14} {}",
            shot.get::<String>("name")?,
            status.as_deref().unwrap_or("-"),
            people.join(", "),
        );
    }
    Ok(())
}

fn create_shot(session: &Session, project: &Entity) -> Result<(Entity, Vec<Entity>)> {
    // A name of its own, so that the tour can be taken more than once on one server.
    let name = format!(
        "tour_{}",
        &ftrack_api::uuid::Uuid::new_v4().simple().to_string()[..8]
    );
    let shot = session.create("Shot", data! { "name": name, "parent": project })?;
    let tasks = ["animation", "lighting", "compositing"]
        .map(|name| session.create("Task", data! { "name": name, "parent": &shot }));
    let tasks = tasks.into_iter().collect::<Result<_, _>>()?;
    Ok((shot, tasks))
}

fn path_of(entity: &Entity) -> Result<String> {
    let link: ftrack_api::serde_json::Value = entity.get("link")?;
    let names = link.as_array().into_iter().flatten();
    let names: Vec<_> = names
        .filter_map(|element| element["name"].as_str())
        .collect();
    Ok(names.join(" / "))
}

/// Prints what each step took.
struct Step {
    from: Statistics,
    started: Instant,
}

impl Default for Step {
    fn default() -> Self {
        Self {
            from: Statistics::default(),
            started: Instant::now(),
        }
    }
}

impl Step {
    fn done(&mut self, what: &str, session: &Session) {
        let now = session.statistics();
        println!(
            "[{what}: {} requests, {:.1} ms]",
            now.requests - self.from.requests,
            self.started.elapsed().as_secs_f64() * 1000.0,
        );
        (self.from, self.started) = (now, Instant::now());
    }
}
