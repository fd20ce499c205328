//! The floors: the least that could be done with the same responses, by `ureq` and `serde_json`.

use std::hint::black_box;

use anyhow::{Result, bail, ensure};
use md5::{Digest as _, Md5};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::Api;
use crate::attributes::{PATHS, USERS_PATHS};
use crate::contender::{Link, PAGE, Report, Task, Work, schema_file, updating};

/// Everything as trees that are kept.
pub(crate) fn value(scenario: &str, count: usize) -> Result<()> {
    let mut report = Report::default();
    let api = Api::new()?;
    let opened = report.time("open", || open(&api))?;
    match scenario {
        "start" => {}
        "work" => trees(&api, count, &mut report)?,
        "users" => users(&api, count, &mut report)?,
        _ => bail!("there is no scenario {scenario:?}"),
    }
    drop(opened);
    report.print()
}

/// Request, read, check, parse.
fn open(api: &Api) -> Result<(Value, Value)> {
    let greeting = api.call(&json!([{"action": "query_server_information"}]))?;
    let bytes = std::fs::read(schema_file()?)?;
    let hash = format!("{:032x}", u128::from_be_bytes(Md5::digest(&bytes).into()));
    ensure!(
        greeting[0]["schema_hash"] == hash.as_str(),
        "another schema is cached"
    );
    Ok((greeting, serde_json::from_slice(&bytes)?))
}

/// All pages, kept.
fn query(api: &Api, paths: &[&str], count: usize, report: &mut Report) -> Result<Vec<Value>> {
    let pages = report.time("query", || {
        (0..count)
            .step_by(PAGE)
            .map(|offset| Ok(serde_json::from_slice(&api.page(paths, offset, None)?)?))
            .collect::<Result<Vec<Value>>>()
    })?;
    report.note_peak();
    let tasks = tasks(&pages);
    ensure!(tasks.len() == count, "{} tasks came", tasks.len());
    let numbers = |task: &&Value| Some(task["bid"].as_f64()? + task["sort"].as_f64()?);
    report.seen = Some(tasks.iter().filter_map(numbers).sum());
    Ok(pages)
}

fn tasks(pages: &[Value]) -> Vec<&Value> {
    let lists = pages.iter().filter_map(|page| page[0]["data"].as_array());
    lists.flatten().collect()
}

/// What users read; the texts of links lie ready where parsing them is measured.
fn users(api: &Api, count: usize, report: &mut Report) -> Result<()> {
    let paths = [&PATHS[..], &USERS_PATHS].concat();
    let pages = query(api, &paths, count, report)?;
    let tasks = tasks(&pages);
    let links: Vec<String> = tasks.iter().map(|task| task["link"].to_string()).collect();
    report.time("link", || {
        for link in &links {
            black_box(serde_json::from_str::<Vec<Link>>(link)?);
        }
        Ok(())
    })
}

fn trees(api: &Api, count: usize, report: &mut Report) -> Result<()> {
    let work = Work::from_env()?;
    let changes = work.ids.len();
    let pages = query(api, &PATHS, count, report)?;
    let tasks = tasks(&pages);
    report.time("update", || {
        let update = |task: &&Value| updating(&task["id"]);
        api.call(&tasks[..changes].iter().map(update).collect())
    })?;
    report.time("create", || api.call(&work.creations()))?;
    Ok(())
}

/// The form of a response that needs no work to become structs: every reference in full.
const IN_FULL: Option<&str> = Some("strict:1;denormalize:1");

/// Every page as structs that are dropped after it, as typed rows are.
pub(crate) fn structs(count: usize) -> Result<()> {
    #[derive(Deserialize)]
    struct Reply {
        data: Vec<Task<Date>>,
    }
    #[derive(Deserialize)]
    #[allow(dead_code, reason = "it is read to be there")]
    struct Date {
        value: String,
    }

    let mut report = Report::default();
    let api = Api::new()?;
    report.time("open", || open(&api))?;
    let sum = report.time("rows", || {
        let mut sum = 0.0;
        for offset in (0..count).step_by(PAGE) {
            let [reply]: [Reply; 1] = serde_json::from_slice(&api.page(&PATHS, offset, IN_FULL)?)?;
            for task in reply.data {
                let task = black_box(task);
                sum += task.bid + task.sort;
            }
        }
        Ok(sum)
    })?;
    report.note_peak();
    report.seen = Some(sum);
    report.print()
}

/// The bytes, read to the end and forgotten.
pub(crate) fn bytes(count: usize) -> Result<()> {
    let mut report = Report::default();
    let api = Api::new()?;
    report.time("open", || open(&api))?;
    report.time("query", || {
        for offset in (0..count).step_by(PAGE) {
            black_box(api.page(&PATHS, offset, None)?);
        }
        Ok(())
    })?;
    report.note_peak();
    report.print()
}
