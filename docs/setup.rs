//! Stands before the examples of the chapters when they run as tests, one name a line.
let server = ftrack_emulator::Emulator::start()?;
let url = server.url();
let (key, user) = (server.api_key(), server.api_user());
let builder = ftrack_api::Session::builder().server_url(url).api_key(key).api_user(user);
let session = ftrack_api::Session::builder().server_url(url).api_key(key).api_user(user).open()?;
let hub = session.event_hub();
let folder = tempfile::tempdir()?;
let path = folder.path().join("plate.mov"); std::fs::write(&path, "not really a movie")?;
let pattern = folder.path().join("f.%04d.exr [1-3]"); for frame in 1..=3 { std::fs::write(folder.path().join(format!("f.{frame:04}.exr")), "pixels")?; }
let mount = tempfile::tempdir()?;
