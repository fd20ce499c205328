//! TCP connections that the call which uses them can be told to break off.

use std::sync::Arc;

use ureq::unversioned::transport::{ConnectionDetails, Connector, TcpConnector, Transport};

use super::call::Call;

/// Opens TCP connections.
#[derive(Debug, Default)]
pub(super) struct Sockets(TcpConnector);

impl<In: Transport> Connector<In> for Sockets {
    type Out = <TcpConnector as Connector<In>>::Out;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(call) = Call::current() else {
            return self.0.connect(details, chained);
        };
        let register = details.register_shutdown.clone();
        let watched = ConnectionDetails {
            uri: details.uri,
            addrs: details.addrs.clone(),
            config: details.config,
            request_level: details.request_level,
            resolver: details.resolver,
            now: details.now,
            timeout: details.timeout,
            current_time: details.current_time.clone(),
            run_connector: details.run_connector.clone(),
            register_shutdown: Arc::new(move |socket| {
                call.attach(&socket)?;
                register(socket)
            }),
        };
        self.0.connect(&watched, chained)
    }
}
