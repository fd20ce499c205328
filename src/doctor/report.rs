//! The result of an examination.

use std::fmt;
use std::time::Duration;

/// How a [`Check`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CheckStatus {
    /// It works.
    Passed,
    /// It works, but something should be fixed.
    Warning,
    /// It does not work.
    Failed,
    /// It did not run: an earlier check failed, or there is nothing to check.
    Skipped,
}

/// One check of an examination.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// Its name, such as `name resolution`.
    pub name: &'static str,
    /// How it ended.
    pub status: CheckStatus,
    /// What was found, without secrets.
    pub finding: String,
    /// What to do about it, unless it passed.
    pub remedy: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// The result of an [examination](super::examine): print it, or read its [`checks`](Self::checks).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub(super) subject: String,
    pub(super) checks: Vec<Check>,
}

impl Report {
    /// All checks, each after those that it depends on.
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

    /// The first check that failed: later failures may follow from it.
    pub fn first_failure(&self) -> Option<&Check> {
        let mut checks = self.checks.iter();
        checks.find(|check| check.status == CheckStatus::Failed)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.subject)?;
        for check in &self.checks {
            writeln!(f, "{check}")?;
        }
        match self.first_failure() {
            None => write!(f, "All checks passed."),
            Some(first) => write!(f, "Start with: {}.", first.name),
        }
    }
}

impl fmt::Display for Check {
    /// One line, and one with the remedy.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = match self.status {
            CheckStatus::Passed => "ok",
            CheckStatus::Warning => "warning",
            CheckStatus::Failed => "FAILED",
            CheckStatus::Skipped => "skipped",
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
            checks: vec![check(
                "configuration",
                CheckStatus::Passed,
                "complete",
                None,
            )],
        };
        assert!(report.is_healthy());
        assert!(report.to_string().ends_with("All checks passed."));
        report
            .checks
            .push(check("clock", CheckStatus::Warning, "late", Some("set it")));
        assert!(report.is_healthy());
        report.checks.push(check(
            "credentials",
            CheckStatus::Failed,
            "no\nnever",
            Some("get one"),
        ));
        report.checks.push(check(
            "events",
            CheckStatus::Skipped,
            "no credentials",
            None,
        ));
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
             Start with: credentials."
        );
    }
}
