//! The session's event hub.

use crate::config::Config;
use crate::error::Result;
use crate::event::{Event, Names, Update};
use crate::handle::Session;
use crate::hub::{EventHub, HubConfig};
use crate::schema::Schema;

impl Session {
    /// The event hub of this session. It is not connected until
    /// [`connect`](EventHub::connect) is called, or the builder was told to
    /// [connect it](crate::SessionBuilder::auto_connect_event_hub); local events need no
    /// connection. Closing the session closes it.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// use std::time::Duration;
    /// use ftrack_api::Event;
    ///
    /// let hub = session.event_hub();
    /// hub.connect()?;
    /// hub.subscribe("topic=studio.greeting", |event| Ok(Some(event.get_data().clone())))?;
    /// hub.publish(Event::new("studio.greeting").data("hello"))?;
    /// hub.wait(Duration::from_millis(50))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn event_hub(&self) -> &EventHub {
        &self.shared.event_hub
    }

    /// What an `ftrack.update` event says has changed, under the names that this session's
    /// schema uses.
    ///
    /// # Errors
    ///
    /// [`BadResponse`](crate::ErrorKind::BadResponse) if it is no such event.
    pub fn update_of(&self, event: &Event) -> Result<Update> {
        event.update(self.schema())
    }

    /// The token that tells this session's changes from others': it goes with every request, and
    /// comes back in the `ftrack.update` events that the request causes.
    pub fn client_token(&self) -> &str {
        &self.shared.api.config().client_token
    }
}

/// A hub with the session's server, credentials, headers and token.
pub(super) fn hub_for(config: &Config) -> Result<EventHub> {
    let url = config.server_url.as_str().trim_end_matches('/');
    let mut hub = HubConfig::new(url, &config.api_user, config.api_key.reveal())?
        .client_token(&config.client_token)
        .connect_timeout(config.timeout);
    for (name, value) in &config.headers {
        hub = hub.header(name, value)?;
    }
    Ok(EventHub::new(hub))
}

/// Events speak of tables and columns; the schema tells them in `alias_for`.
impl Names for Schema {
    fn entity_type(&self, legacy: &str) -> Option<String> {
        let spoken = |name: &str| name.eq_ignore_ascii_case(legacy);
        let types = || self.entity_types().iter();
        let by_table = types().find(|one| one.base().is_none() && one.alias().is_some_and(spoken));
        let found = by_table
            .or_else(|| types().find(|one| one.alias().is_some_and(spoken)))
            .or_else(|| types().find(|one| spoken(one.name())));
        found.map(|one| one.name().to_owned())
    }

    fn attribute(&self, entity_type: &str, legacy: &str) -> Option<String> {
        let attributes = self.find(entity_type)?.attributes().iter();
        let mut named = attributes.filter(|one| one.alias() == Some(legacy));
        // A column may be the alias of a key and of the reference by it: the key is what changed.
        let first = named.next()?;
        let best = named.find(|one| one.target().is_none());
        let best = best.filter(|_| first.target().is_some()).unwrap_or(first);
        Some(best.name().to_owned())
    }
}
