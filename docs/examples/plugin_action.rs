//! A plugin in a dynamic library: it offers an action that sums up what is bid.
//!
//! `cargo build --example plugin_action` makes `target/debug/examples/libplugin_action.so` (or
//! `.dylib`, or `plugin_action.dll`); put it into a folder of `FTRACK_EVENT_PLUGIN_PATH`.

use anyhow::Result;
use ftrack_api::Session;
use ftrack_api::action::{Action, ActionItem, Launch, Outcome, Selection};
use ftrack_api::plugin::{Arguments, Plugin, Registrar};

struct BidsPlugin;

impl Plugin for BidsPlugin {
    fn name(&self) -> &str {
        "example.bids"
    }

    fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }

    fn register(&self, registrar: &mut Registrar, _: &Arguments) -> Result<()> {
        registrar.action(SumOfBids)
    }
}

/// Offered for selected tasks.
struct SumOfBids;

impl Action for SumOfBids {
    fn item(&self) -> ActionItem {
        ActionItem::new("example.sum-of-bids", "Sum of bids").description("How long it will take")
    }

    fn discover(&self, session: &Session, selection: &Selection) -> Result<bool> {
        let entities = selection.entities(session)?;
        let are_tasks = entities.iter().all(|entity| entity.entity_type() == "Task");
        Ok(!entities.is_empty() && are_tasks)
    }

    fn launch(&self, session: &Session, launch: &Launch) -> Result<Outcome> {
        let tasks = launch.entities(session)?;
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
