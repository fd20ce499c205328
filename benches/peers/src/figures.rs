//! The figures: medians of what was measured.

use std::collections::HashMap;

use anyhow::{Result, ensure};

use crate::contender::Time;
use crate::jobs::{Job, Outcome, Who};

/// All outcomes, by task.
#[derive(Default)]
pub(crate) struct Figures(HashMap<Job, Vec<Outcome>>);

impl Figures {
    pub(crate) fn add(&mut self, job: Job, outcome: Outcome) {
        self.0.entry(job).or_default().push(outcome);
    }

    /// Whether all contenders that looked at the tasks have seen the same.
    pub(crate) fn check(&self) -> Result<()> {
        let mut sums: HashMap<usize, f64> = HashMap::new();
        for (job, outcomes) in &self.0 {
            for sum in outcomes.iter().filter_map(|outcome| outcome.report.seen) {
                let first = *sums.entry(job.count).or_insert(sum);
                let is_same = (sum - first).abs() < 1.0;
                ensure!(is_same, "{job:?} has seen {sum}, another {first}");
            }
        }
        Ok(())
    }

    /// What a step costs.
    pub(crate) fn step(
        &self,
        who: Who,
        scenario: &'static str,
        count: usize,
        step: &str,
    ) -> Option<Time> {
        let time = |outcome: &Outcome| outcome.report.times.get(step).copied();
        self.median_time(
            Job {
                who,
                scenario,
                count,
            },
            time,
        )
    }

    /// How many requests a process sends.
    pub(crate) fn requests(&self, who: Who, scenario: &'static str, count: usize) -> Option<f64> {
        let outcomes = self.0.get(&Job {
            who,
            scenario,
            count,
        })?;
        let requests = outcomes
            .iter()
            .filter_map(|outcome| outcome.report.requests);
        median(requests.map(|count| count as f64))
    }

    /// What a process costs from its start to its end.
    pub(crate) fn process(&self, who: Who, scenario: &'static str, count: usize) -> Option<Time> {
        self.median_time(
            Job {
                who,
                scenario,
                count,
            },
            |outcome| Some(outcome.process),
        )
    }

    /// The most memory of a process, in bytes.
    pub(crate) fn peak(&self, who: Who, scenario: &'static str, count: usize) -> Option<f64> {
        let outcomes = self.0.get(&Job {
            who,
            scenario,
            count,
        })?;
        median(outcomes.iter().map(|outcome| outcome.peak as f64))
    }

    fn median_time(&self, job: Job, time: impl Fn(&Outcome) -> Option<Time>) -> Option<Time> {
        let times: Vec<Time> = self.0.get(&job)?.iter().filter_map(time).collect();
        Some(Time {
            cpu: median(times.iter().map(|time| time.cpu))?,
            wall: median(times.iter().map(|time| time.wall))?,
        })
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
