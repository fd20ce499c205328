//! A plugin in a dynamic library: it offers an action that sums up what is bid.
//!
//! `cargo build --example plugin_action` makes `target/debug/examples/libplugin_action.so` (or
//! `.dylib`, or `plugin_action.dll`); put it into a folder of `FTRACK_EVENT_PLUGIN_PATH`.

use anyhow::{Context, Result};
use ftrack_api::event::{Action, ActionItem, Launch, Outcome, Selected};
use ftrack_api::plugin::{Arguments, Plugin, Registrar};
use ftrack_api::{Entity, WeakSession};

struct BidsPlugin;

impl Plugin for BidsPlugin {
    fn name(&self) -> &str {
        "example.bids"
    }

    fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }

    fn register(&self, registrar: &mut Registrar, _: &Arguments) -> Result<()> {
        let session = registrar.session();
        registrar.action(SumOfBids { session })
    }
}

/// Shown for selected tasks.
struct SumOfBids {
    session: WeakSession,
}

impl Action for SumOfBids {
    fn item(&self) -> ActionItem {
        ActionItem::new("example.sum-of-bids", "Sum of bids").description("How long it will take")
    }

    fn discover(&self, selection: &[Selected]) -> Result<bool> {
        let is_task = |selected: &Selected| selected.legacy_type == "task";
        Ok(!selection.is_empty() && selection.iter().all(is_task))
    }

    fn launch(&self, launch: &Launch) -> Result<Outcome> {
        let session = self.session.upgrade().context("the session is closed")?;
        let keys = launch.selection.iter();
        let tasks: Vec<Entity> = keys
            .filter_map(|selected| session.get("Task", &selected.id).transpose())
            .collect::<Result<_, _>>()?;
        session.populate(&tasks, "bid")?;
        let mut seconds = 0.0;
        for task in &tasks {
            seconds += task.get::<Option<f64>>("bid")?.unwrap_or_default();
        }
        let days = seconds / (8.0 * 3600.0);
        let count = tasks.len();
        Ok(Outcome::success(format!("{count} tasks, {days} days")))
    }
}

ftrack_api::export_plugin!(BidsPlugin);
