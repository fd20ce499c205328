//! The schema on disk, and sessions without a server.

use std::sync::Arc;

use ftrack_api::cache::{Cache, MemoryCache};
use ftrack_api::{ErrorKind, config::SchemaCache, data};

use crate::support::{builder, emulator};

const FILE: &str = "ftrack_api_schema_cache.json";

#[test]
fn a_warm_schema_costs_one_request() {
    let server = emulator();
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        builder(&server)
            .schema_cache(SchemaCache::Dir(folder.path().into()))
            .open()
    };
    open().unwrap();
    assert!(folder.path().join(FILE).is_file());
    assert_eq!(open().unwrap().statistics().requests, 1);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// Runs a second time with another temporary folder, because the default place lies there.
#[test]
fn servers_do_not_overwrite_one_another_in_the_default_place() {
    if std::env::var("OTHER_TEMPORARY_FOLDER").is_err() {
        let folder = tempfile::tempdir().unwrap();
        let name = "schema::servers_do_not_overwrite_one_another_in_the_default_place";
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        for variable in ["TMPDIR", "TMP", "TEMP", "OTHER_TEMPORARY_FOLDER"] {
            again.env(variable, folder.path());
        }
        let again = again.env_remove("FTRACK_API_SCHEMA_CACHE_PATH");
        let ran = again.args(["--exact", name]).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success() && said.contains("1 passed"), "{said}");
        let default = std::fs::read_dir(folder.path()).unwrap().flatten();
        let default = default.map(|entry| entry.path());
        let default = default.filter(|path| path.to_string_lossy().contains("ftrack-api"));
        let servers = default.flat_map(|path| std::fs::read_dir(path).unwrap().flatten());
        let files = servers.filter(|server| server.path().join(FILE).is_file());
        assert_eq!(files.count(), 2);
        return;
    }
    let servers = [emulator(), emulator()];
    for offline in [false, true] {
        for server in &servers {
            let builder = builder(server).schema_cache(SchemaCache::Auto);
            builder.offline(offline).open().unwrap();
        }
    }
}

/// Python indents its file and keeps the server's order.
#[test]
fn the_file_of_the_python_client_is_read() {
    let server = emulator();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FILE);
    let open = || builder(&server).schema_cache(SchemaCache::Dir(folder.path().into()));
    open().open().unwrap();
    let schemas: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let text = serde_json::to_string_pretty(&schemas).unwrap();
    std::fs::write(&file, &text).unwrap();
    assert_eq!(open().open().unwrap().statistics().requests, 1);
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        text,
        "what is good stays as it is"
    );
    open().offline(true).open().unwrap();
}

/// Runs a second time as a user for whom the folder cannot be written, because root can write
/// anywhere.
#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_written_is_read() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    let server = emulator();
    let check = |folder: &std::path::Path, url: &str, key: &str, user: &str| {
        assert!(
            std::fs::write(folder.join("x"), "").is_err(),
            "it can be written"
        );
        let open = |path: &std::path::Path| {
            let session = ftrack_api::Session::builder()
                .server_url(url)
                .api_key(crate::support::secret(key))
                .api_user(user);
            session
                .schema_cache(SchemaCache::Dir(path.into()))
                .open()
                .unwrap()
        };
        assert_eq!(open(folder).statistics().requests, 1);
        let stale = open(&folder.join("stale"));
        assert_eq!(stale.schema().entity_types().len(), 136);
    };
    if let Ok(folder) = std::env::var("READ_ONLY_FOLDER") {
        let variable = |name| std::env::var(name).unwrap();
        check(
            folder.as_ref(),
            &variable("URL"),
            &variable("KEY"),
            &variable("API_USER"),
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    builder(&server)
        .schema_cache(SchemaCache::Dir(path.into()))
        .open()
        .unwrap();
    std::fs::create_dir(path.join("stale")).unwrap();
    std::fs::write(path.join("stale").join(FILE), "[]").unwrap();
    for folder in [path.join("stale"), path.to_owned()] {
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o555)).unwrap();
    }
    if std::fs::write(path.join("x"), "").is_err() {
        check(path, server.url(), server.api_key(), server.api_user());
    } else {
        // The test program may lie where others cannot look.
        let mut program = tempfile::Builder::new();
        let program = program.permissions(PermissionsExt::from_mode(0o755));
        let program = program.tempdir().unwrap();
        let copy = program.path().join("test");
        std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
        let ran = Command::new(&copy)
            .args(["--exact", "schema::a_folder_that_cannot_be_written_is_read"])
            .env("READ_ONLY_FOLDER", path)
            .env("URL", server.url())
            .env("KEY", server.api_key())
            .env("API_USER", server.api_user())
            .current_dir("/")
            .uid(65534)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success() && said.contains("1 passed"), "{said}");
    }
    let writable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(path, writable.clone()).unwrap();
    std::fs::set_permissions(path.join("stale"), writable).unwrap();
}

#[test]
fn an_offline_session_reads_caches_and_builds_operations() {
    let server = emulator();
    let folder = tempfile::tempdir().unwrap();
    let cache: Arc<MemoryCache> = Arc::default();
    let builder = || {
        let schema = SchemaCache::Dir(folder.path().into());
        builder(&server).schema_cache(schema).cache(cache.clone())
    };
    let refused = builder().offline(true).open().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Configuration);
    assert!(
        refused.to_string().contains("open a session online first"),
        "{refused}"
    );
    let online = builder().open().unwrap();
    let task = online
        .query("select name, status.name from Task")
        .unwrap()
        .first()
        .unwrap()
        .unwrap();

    let session = builder()
        .offline(true)
        .auto_connect_event_hub(true)
        .open()
        .unwrap();
    let same = session.get("Task", task.id()).unwrap().unwrap();
    assert_eq!(
        same.get::<String>("status.name").unwrap(),
        task.get::<String>("status.name").unwrap()
    );
    let missing = same.value("bid").unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Connection);
    assert!(missing.to_string().contains("offline"), "{missing}");
    same.set("bid", 3).unwrap();
    session
        .create("Task", data! { "name": "new", "parent_id": "x" })
        .unwrap();
    for _ in 0..2 {
        assert_eq!(session.commit().unwrap_err().kind(), ErrorKind::Connection);
        assert_eq!(session.recorded_operations().len(), 2);
    }
    assert_eq!(session.statistics().requests, 0);
    assert!(
        !cache
            .values()
            .unwrap()
            .iter()
            .any(|text| text.contains("\"new\""))
    );

    std::fs::write(folder.path().join(FILE), "[{\"id\": 5}]").unwrap();
    let refused = builder().offline(true).open().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Configuration, "{refused}");
}
