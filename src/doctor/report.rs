//! What an examination found.

use std::fmt;
use std::time::Duration;

/// How a [`Check`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// As it should be.
    Passed,
    /// It works, but something about it should be looked at.
    Warning,
    /// It does not work.
    Failed,
    /// It could not be looked at, because of what failed before, or there is nothing to look at.
    Skipped,
}

/// One of the things that were looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// What was looked at, such as `name resolution`.
    pub name: &'static str,
    /// How it ended.
    pub status: Outcome,
    /// What was found. It holds no secret.
    pub finding: String,
    /// What to do about it, unless it passed.
    pub remedy: Option<String>,
    /// How long looking took.
    pub took: Duration,
}

/// What an [examination](super::examine) found: print it, or look at its [`checks`](Self::checks).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub(super) subject: String,
    pub(super) checks: Vec<Check>,
}

impl Report {
    /// Everything that was looked at, in order: what a check needs comes before it.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// The check of this name.
    pub fn check(&self, name: &str) -> Option<&Check> {
        self.checks.iter().find(|check| check.name == name)
    }

    /// Whether nothing failed.
    pub fn is_healthy(&self) -> bool {
        self.first_failure().is_none()
    }

    /// The first thing that does not work: later failures may follow from it.
    pub fn first_failure(&self) -> Option<&Check> {
        let mut checks = self.checks.iter();
        checks.find(|check| check.status == Outcome::Failed)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.subject)?;
        for check in &self.checks {
            writeln!(f, "{check}")?;
        }
        match self.first_failure() {
            None => write!(f, "Everything that is needed works."),
            Some(first) => write!(f, "Begin with the {}.", first.name),
        }
    }
}

impl fmt::Display for Check {
    /// One line, and one with the remedy.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = match self.status {
            Outcome::Passed => "ok",
            Outcome::Warning => "warning",
            Outcome::Failed => "FAILED",
            Outcome::Skipped => "skipped",
        };
        let indented = |text: &str| text.replace('\n', "\n                           ");
        write!(
            f,
            "{status:>8}  {:<15}  {}",
            self.name,
            indented(&self.finding)
        )?;
        if let Some(remedy) = &self.remedy {
            write!(f, "\n                           => {}", indented(remedy))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_like_a_report() {
        let check = |name, status, finding: &str, remedy: Option<&str>| Check {
            name,
            status,
            finding: finding.to_owned(),
            remedy: remedy.map(str::to_owned),
            took: Duration::ZERO,
        };
        let mut report = Report {
            subject: "ftrack at http://a, as ada".to_owned(),
            checks: vec![check("configuration", Outcome::Passed, "complete", None)],
        };
        assert!(report.is_healthy());
        assert!(
            report
                .to_string()
                .ends_with("Everything that is needed works.")
        );
        report
            .checks
            .push(check("clock", Outcome::Warning, "late", Some("set it")));
        assert!(report.is_healthy());
        report.checks.push(check(
            "credentials",
            Outcome::Failed,
            "no\nnever",
            Some("get one"),
        ));
        report
            .checks
            .push(check("events", Outcome::Skipped, "no credentials", None));
        assert_eq!(
            report.first_failure().map(|check| check.name),
            Some("credentials")
        );
        assert_eq!(
            report.to_string(),
            "ftrack at http://a, as ada\n      \
             ok  configuration    complete\n \
             warning  clock            late\n                           => set it\n  \
             FAILED  credentials      no\n                           never\n                           => get one\n \
             skipped  events           no credentials\n\
             Begin with the credentials."
        );
    }
}
