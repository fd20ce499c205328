//! The session's event hub.

use crate::config::Config;
use crate::error::Result;
use crate::event::{Event, Update};
use crate::handle::Session;
use crate::hub::{EventHub, HubConfig};
use crate::transport::Dialer;

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
pub(crate) fn hub_for(config: &Config, dialer: Dialer) -> EventHub {
    EventHub::new(HubConfig::of_session(config, dialer))
}
