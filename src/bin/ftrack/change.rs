//! What all commands that change something have in common: the plan, the question, the commit.

use std::fmt::Write as _;

use console::style;
use ftrack_api::operation::{OperationKind, Plan, PlannedChange, PlannedValue};
use ftrack_api::{EntityKey, Session, Value};

use crate::app::App;
use crate::failure::{Failure, Result};
use crate::terminal;

/// How many changes a plan shows before it only counts them.
pub(crate) const SHOWN_CHANGES: usize = 20;

/// Whether a change is made, and whether it is asked for first.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Consent {
    /// Make the changes without asking
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Print the plan, and change nothing
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
}

/// Shows what is recorded, asks, and commits it; whether it was committed.
pub(crate) fn apply(app: &App, session: &Session, consent: Consent) -> Result<bool> {
    let plan = session.plan();
    if plan.is_empty() {
        terminal::say("nothing to change");
        return Ok(false);
    }
    if consent.dry_run {
        session.rollback();
        app.print(show(&plan, usize::MAX).trim_end())?;
        return Ok(false);
    }
    terminal::say_plan(&show(&plan, SHOWN_CHANGES));
    let agreed = match consent.yes {
        true => Ok(()),
        false => terminal::confirm("Make these changes?"),
    };
    agreed.inspect_err(|_| session.rollback())?;
    session.commit().map_err(|error| {
        // Nothing is kept for another try: the program ends.
        session.rollback();
        match error.is_in_doubt() {
            true => Failure::from(error)
                .with_remedy("look with `ftrack get` before you repeat the command"),
            false => error.into(),
        }
    })?;
    Ok(true)
}

/// The first changes of a plan; of the rest nothing is said.
pub(crate) fn show_first(plan: &Plan, most: usize) -> String {
    let mut text = String::new();
    for change in plan.changes.iter().take(most) {
        show_change(&mut text, plan, change);
    }
    text
}

/// The plan for people: a line for each entity, and one for each of its values.
pub(crate) fn show(plan: &Plan, most: usize) -> String {
    let mut text = show_first(plan, most);
    let rest = plan.changes.len().saturating_sub(most);
    if rest > 0 {
        let _ = writeln!(text, "… and {rest} more; --dry-run shows all of them");
    }
    text
}

fn show_change(text: &mut String, plan: &Plan, change: &PlannedChange) {
    let verb = match change.kind {
        OperationKind::Create => style("create").green(),
        OperationKind::Update => style("update").yellow(),
        OperationKind::Delete => style("delete").red(),
        _ => style("change").yellow(),
    };
    // Writing to memory cannot fail.
    let _ = writeln!(
        text,
        "{verb} {}",
        terminal::printable(&plan.describe(&change.entity))
    );
    for (name, value) in &change.values {
        // It stands in the first line.
        if name == "id" && change.kind == OperationKind::Create {
            continue;
        }
        let shown = match value {
            PlannedValue::Set { before, after, .. } => {
                let after = in_words(plan, after);
                match (before, change.kind) {
                    (Some(before), _) => format!("{} -> {after}", in_words(plan, before)),
                    (None, OperationKind::Update) => format!("(not loaded) -> {after}"),
                    (None, _) => after,
                }
            }
            PlannedValue::Extend { added, removed, .. } => {
                let added = added.iter().map(|one| format!("+ {}", in_short(plan, one)));
                let removed = removed
                    .iter()
                    .map(|one| format!("- {}", in_short(plan, one)));
                added.chain(removed).collect::<Vec<_>>().join(" ")
            }
            _ => String::new(),
        };
        let _ = writeln!(text, "  {name}: {}", terminal::printable(&shown));
    }
}

fn in_words(plan: &Plan, value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{text:?}"),
        Value::Reference(key) => in_short(plan, key),
        other => other.to_string(),
    }
}

/// `Status "Approved"`: the id is left out where there is a name.
fn in_short(plan: &Plan, key: &EntityKey) -> String {
    let text = plan.describe(key);
    let named = text.strip_suffix(&format!(" ({})", key.id()));
    named.map(str::to_owned).unwrap_or(text)
}
