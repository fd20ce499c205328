//! The SDK as a contender: written as its users write.

use std::hint::black_box;

use anyhow::{Context as _, Result, bail, ensure};
use ftrack_api::entity::{FromAttribute, Json};
use ftrack_api::{Entity, Session, SmolStr, data};
use jiff::civil::DateTime;

use crate::attributes::{DATES, NUMBERS, PATHS, TEXTS};
use crate::contender::{BID, Link, Report, Task, Work, statement, users_statement};

pub(crate) fn play(scenario: &str, count: usize) -> Result<()> {
    let mut report = Report::default();
    let session = report.time("open", || Ok(Session::from_env()?))?;
    match scenario {
        "start" => {}
        "work" => work(&session, count, &mut report)?,
        "users" => users(&session, count, &mut report)?,
        "rows" => rows(&session, count, &mut report)?,
        _ => bail!("there is no scenario {scenario:?}"),
    }
    report.requests = Some(session.statistics().requests);
    session.close();
    report.print()
}

/// What users read: links, long texts, nulls, pairs, collections.
fn users(session: &Session, count: usize, report: &mut Report) -> Result<()> {
    let statement = users_statement(count);
    let tasks = report.time("query", || Ok(session.query(statement)?.all()?))?;
    report.note_peak();
    ensure!(tasks.len() == count, "{} tasks came", tasks.len());
    report.time("link", || {
        for task in &tasks {
            black_box(task.get::<Json<Vec<Link>>>("link")?);
        }
        Ok(())
    })?;
    let sum = |task: &Entity| Ok(task.get::<f64>("bid")? + task.get::<f64>("sort")?);
    report.seen = Some(tasks.iter().map(sum).sum::<Result<f64>>()?);
    Ok(())
}

fn work(session: &Session, count: usize, report: &mut Report) -> Result<()> {
    let work = Work::from_env()?;
    let changes = work.ids.len();
    let tasks = report.time("query", || Ok(session.query(statement(count))?.all()?))?;
    report.note_peak();
    ensure!(tasks.len() == count, "{} tasks came", tasks.len());
    report.seen = Some(report.time("touch", || touch(&tasks))?);
    report.time("touch singly", || touch_singly::<SmolStr>(&tasks))?;
    report.time("touch singly, String", || touch_singly::<String>(&tasks))?;
    let ids: Vec<String> = tasks.iter().map(Entity::id).collect();
    report.time("get", || {
        for id in &ids {
            black_box(session.get("Task", id)?.context("it is loaded")?);
        }
        Ok(())
    })?;
    report.time("update", || {
        for task in &tasks[..changes] {
            task.set("bid", BID)?;
        }
        Ok(session.commit()?)
    })?;
    report.time("create", || {
        for (number, id) in work.ids.iter().enumerate() {
            let task = data! {
                "id": id.as_str(),
                "name": format!("task_{number}"),
                "description": "made by a benchmark",
                "bid": 3600,
                "parent_id": work.parent_id.as_str(),
                "status_id": work.status_id.as_str(),
                "type_id": work.type_id.as_str(),
            };
            session.create("Task", task)?;
        }
        Ok(session.commit()?)
    })
}

/// One call for each entity.
fn touch(tasks: &[Entity]) -> Result<f64> {
    // What `get` gives for a text without a copy of its own, as Python does.
    type Text = SmolStr;
    type Date = DateTime;
    type Task = (
        Text,
        Text,
        f64,
        f64,
        Date,
        Date,
        Date,
        Text,
        Text,
        Text,
        Text,
        Text,
        Text,
    );
    let mut sum = 0.0;
    for task in tasks {
        let task: Task = black_box(task.get_many(PATHS)?);
        sum += task.2 + task.3;
    }
    Ok(sum)
}

/// One call for each attribute.
fn touch_singly<Text: FromAttribute>(tasks: &[Entity]) -> Result<f64> {
    let mut sum = 0.0;
    for task in tasks {
        for path in TEXTS {
            black_box(task.get::<Text>(path)?);
        }
        for path in NUMBERS {
            sum += task.get::<f64>(path)?;
        }
        for path in DATES {
            black_box(task.get::<DateTime>(path)?);
        }
    }
    Ok(sum)
}

fn rows(session: &Session, count: usize, report: &mut Report) -> Result<()> {
    let sum = report.time("rows", || {
        let mut sum = 0.0;
        let mut found = 0;
        for task in session.query(statement(count))?.rows::<Task<String>>() {
            let task = black_box(task?);
            sum += task.bid + task.sort;
            found += 1;
        }
        ensure!(found == count, "{found} tasks came");
        Ok(sum)
    })?;
    report.note_peak();
    report.seen = Some(sum);
    Ok(())
}
