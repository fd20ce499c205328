// Stands before the examples in the source: a server, and a session on it.
{
    let server = ftrack_emulator::Emulator::start()?;
    let session = ftrack_api::Session::builder()
        .server_url(server.url())
        .api_key(server.api_key())
        .api_user(server.api_user())
        .open()?;
    (server, session)
}
