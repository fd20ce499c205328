//! What all commands that change something have in common: the plan, the question, the commit.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use console::style;
use ftrack_api::operation::{OperationKind, Plan, PlannedChange, PlannedValue};
use ftrack_api::query::{field, select};
use ftrack_api::schema::EntityType;
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
    apply_named(app, session, consent, HashMap::new())
}

/// The same, with what to call entities that have no name, by their ids.
pub(crate) fn apply_named(
    app: &App,
    session: &Session,
    consent: Consent,
    called: HashMap<String, String>,
) -> Result<bool> {
    let plan = session.plan();
    if plan.is_empty() {
        terminal::say("nothing to change");
        return Ok(false);
    }
    let most = match consent.dry_run {
        true => usize::MAX,
        false => SHOWN_CHANGES,
    };
    let mut names = Names::look_up(session, &plan, most);
    names.called = called;
    let shown = show(&plan, &names, most);
    if consent.dry_run {
        session.rollback();
        app.print(shown.trim_end())?;
        return Ok(false);
    }
    terminal::say_plan(&shown);
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

/// What entities are called whose names a plan does not know, by their ids.
#[derive(Default)]
pub(crate) struct Names {
    found: HashMap<String, String>,
    /// What the command calls entities that have none.
    called: HashMap<String, String>,
}

impl Names {
    /// Looks up the names that the first changes need, in one request. Where that fails, people see ids.
    fn look_up(session: &Session, plan: &Plan, most: usize) -> Self {
        let schema = session.schema();
        let ours = plan.changes.iter().map(|change| &change.entity);
        let mut names: HashMap<String, String> =
            ours.map(|key| (key.id(), in_short(plan, key))).collect();
        let mut unknown: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for change in plan.changes.iter().take(most) {
            let Ok(entity_type) = schema.entity_type(change.entity.entity_type()) else {
                continue;
            };
            for (name, value) in &change.values {
                for (target, id) in references(plan, entity_type, name, value) {
                    unknown.entry(target).or_default().insert(id);
                }
            }
        }
        let mut attributes = Vec::new();
        let mut statements = Vec::new();
        for (target, ids) in unknown {
            let has = |name: &str| {
                let found = schema.entity_type(&target);
                found.is_ok_and(|found| found.attribute(name).is_ok())
            };
            let ids = ids.into_iter().filter(|id| !names.contains_key(id));
            let ids: Vec<String> = ids.collect();
            let name = ["name", "username"].into_iter().find(|name| has(name));
            if let (Some(name), false) = (name, ids.is_empty()) {
                attributes.push(name);
                let statement = select(target).fields([name]);
                statements.push(statement.filter(field("id").is_in(ids)));
            }
        }
        let found = match statements.as_slice() {
            [] => Vec::new(),
            _ => session.query_many(statements).unwrap_or_default(),
        };
        for (entities, attribute) in found.into_iter().zip(attributes) {
            for entity in entities {
                if let Ok(name) = entity.get::<String>(attribute) {
                    names.insert(entity.id(), format!("{} {name:?}", entity.entity_type()));
                }
            }
        }
        Self {
            found: names,
            called: HashMap::new(),
        }
    }

    fn name(&self, plan: &Plan, key: &EntityKey) -> String {
        let known = self.found.get(&key.id()).cloned();
        known.unwrap_or_else(|| in_short(plan, key))
    }
}

/// The types and ids that a value refers to, of which the plan does not know the names.
fn references(
    plan: &Plan,
    entity_type: &EntityType,
    name: &str,
    value: &PlannedValue,
) -> Vec<(String, String)> {
    let PlannedValue::Set { before, after, .. } = value else {
        return Vec::new();
    };
    let target = name.strip_suffix("_id").and_then(|name| match name {
        // A resource is a user or a group, and has no name itself.
        "resource" | "user" => Some("User"),
        name => entity_type.attribute(name).ok()?.target(),
    });
    let values = before.iter().chain([after]);
    let keys = values.filter_map(|value| match value {
        Value::Text(id) => Some((target?.to_owned(), id.clone())),
        Value::Reference(key) if plan.describe(key) == key.to_string() => {
            Some((key.entity_type().to_owned(), key.id()))
        }
        _ => None,
    });
    keys.collect()
}

/// The first changes of a plan; of the rest nothing is said.
pub(crate) fn show_first(plan: &Plan, names: &Names, most: usize) -> String {
    let mut text = String::new();
    for change in plan.changes.iter().take(most) {
        show_change(&mut text, plan, names, change);
    }
    text
}

/// The plan for people: a line for each entity, and one for each of its values.
pub(crate) fn show(plan: &Plan, names: &Names, most: usize) -> String {
    let mut text = show_first(plan, names, most);
    let rest = plan.changes.len().saturating_sub(most);
    if rest > 0 {
        let _ = writeln!(text, "… and {rest} more; --dry-run shows all of them");
    }
    text
}

fn show_change(text: &mut String, plan: &Plan, names: &Names, change: &PlannedChange) {
    let verb = match change.kind {
        OperationKind::Create => style("create").green(),
        OperationKind::Update => style("update").yellow(),
        OperationKind::Delete => style("delete").red(),
        _ => style("change").yellow(),
    };
    let entity = plan.describe(&change.entity);
    let entity = names.called.get(&change.entity.id()).unwrap_or(&entity);
    // The id of something new says nothing yet.
    let entity = match change.kind {
        OperationKind::Create => without_id(entity),
        _ => entity,
    };
    // Writing to memory cannot fail.
    let _ = writeln!(text, "{verb} {}", terminal::printable(entity));
    for (name, value) in &change.values {
        // It stands in the first line.
        if name == "id" && change.kind == OperationKind::Create {
            continue;
        }
        let shown = match value {
            PlannedValue::Set { before, after, .. } => {
                let after = in_words(plan, names, after);
                match (before, change.kind) {
                    (Some(before), _) => format!("{} -> {after}", in_words(plan, names, before)),
                    (None, OperationKind::Update) => format!("(not loaded) -> {after}"),
                    (None, _) => after,
                }
            }
            PlannedValue::Extend { added, removed, .. } => {
                let added = added
                    .iter()
                    .map(|one| format!("+ {}", names.name(plan, one)));
                let removed = removed
                    .iter()
                    .map(|one| format!("- {}", names.name(plan, one)));
                added.chain(removed).collect::<Vec<_>>().join(" ")
            }
            _ => String::new(),
        };
        let _ = writeln!(text, "  {name}: {}", terminal::printable(&shown));
    }
}

fn in_words(plan: &Plan, names: &Names, value: &Value) -> String {
    match value {
        Value::Text(text) => match names.found.get(text) {
            Some(name) => name.clone(),
            None => format!("{text:?}"),
        },
        Value::Reference(key) => names.name(plan, key),
        other => other.to_string(),
    }
}

/// `Status "Approved"`: the id is left out where there is a name, and of what is new.
fn in_short(plan: &Plan, key: &EntityKey) -> String {
    let text = plan.describe(key);
    let is_new = plan
        .changes
        .iter()
        .any(|change| change.kind == OperationKind::Create && change.entity == *key);
    match without_id(&text) {
        short if short.contains('"') => short.to_owned(),
        short if is_new => format!("the new {short}"),
        _ => text,
    }
}

/// `Task "comp" (6f3a…)` becomes `Task "comp"`, and `Note(6f3a…)` becomes `Note`.
fn without_id(text: &str) -> &str {
    let start = text.ends_with(')').then(|| text.rfind('(')).flatten();
    start.map_or(text, |start| text[..start].trim_end())
}
