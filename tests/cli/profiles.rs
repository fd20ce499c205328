//! `profile` and `doctor`: how credentials are kept and found.

use std::io::Write as _;
use std::process::Stdio;

use crate::{Cli, Run, support};

/// Adds a profile with the key from a pipe.
fn add(cli: &Cli, name: &str, key: &str, more: &[&str]) -> Run {
    let arguments = [
        "profile", "add", name, "--server", &cli.url, "--user", &cli.user,
    ];
    let mut command = cli.bare(&[&arguments, more].concat());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may end before it reads.
    let _ = writeln!(child.stdin.take().unwrap(), "{key}");
    Run::of(child.wait_with_output().unwrap())
}

fn bare(cli: &Cli, arguments: &[&str]) -> Run {
    Run::of(cli.bare(arguments).output().unwrap())
}

#[test]
fn a_profile_replaces_the_environment() {
    let cli = Cli::reading();
    let added = add(&cli, "studio", &cli.key, &[]);
    added.check(0, &["saved the profile \"studio\""]);
    assert!(!added.err.contains(&cli.key) && !added.out.contains(&cli.key));
    bare(&cli, &["whoami"]).check(0, &[]);
    bare(&cli, &["whoami", "--profile", "studio"]).check(0, &[]);
    bare(&cli, &["whoami", "--profile", "other"]).check(2, &["no profile \"other\"", "studio"]);
    let list = bare(&cli, &["profile", "list"]);
    assert!(
        list.out.contains('*') && list.out.contains(&cli.url),
        "{}",
        list.out
    );
    assert!(!list.out.contains(&cli.key));

    add(&cli, "second", &cli.key, &[]).check(0, &[]);
    bare(&cli, &["profile", "use", "second"]).check(0, &[]);
    bare(&cli, &["profile", "remove", "second"]).check(0, &[]);
    bare(&cli, &["profile", "remove", "second"]).check(2, &["no profile"]);
    bare(&cli, &["whoami"]).check(0, &[]);
}

#[test]
fn a_wrong_key_is_not_saved() {
    let cli = Cli::reading();
    let wrong = support::secret("a-key-that-is-wrong");
    add(&cli, "studio", wrong, &[]).check(3, &["error:"]);
    add(&cli, "studio", "", &[]).check(2, &["API key is empty"]);
    assert!(!cli.folder().join("profiles.toml").exists());
    add(&cli, "studio", wrong, &["--no-check"]).check(0, &[]);
    bare(&cli, &["whoami"]).check(3, &["error:"]);
}

#[test]
fn without_a_terminal_nothing_can_be_asked() {
    let cli = Cli::reading();
    bare(&cli, &["profile", "add"]).check(2, &["no terminal", "--server"]);
}

#[cfg(unix)]
#[test]
fn a_file_that_others_can_read_is_refused() {
    use std::fs::{Permissions, metadata, set_permissions};
    use std::os::unix::fs::PermissionsExt as _;

    let cli = Cli::reading();
    add(&cli, "studio", &cli.key, &[]).check(0, &[]);
    let path = cli.folder().join("profiles.toml");
    assert_eq!(metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for mode in [0o640, 0o604, 0o660] {
        set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let refused = bare(&cli, &["whoami"]);
        refused.check(2, &["open to other users", "chmod 600"]);
    }
    set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    bare(&cli, &["whoami"]).check(0, &[]);
}

#[test]
fn a_damaged_file_is_reported_without_its_keys() {
    let cli = Cli::reading();
    let key = support::secret("key-in-a-damaged-file");
    let path = cli.write(
        "profiles.toml",
        format!("[profiles.a]\napi_key = \"{key}\nserver = 1\n"),
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let run = bare(&cli, &["whoami"]);
    run.check(2, &["profiles.toml", "line 2"]);
    assert!(!run.err.contains(key), "{}", run.err);
    let _ = path;
}

#[test]
fn the_doctor_finds_what_is_wrong() {
    let cli = Cli::reading();
    let report = cli.ok(&["doctor"]);
    assert!(report.contains("All checks passed"), "{report}");
    let mut command = cli.command(&["doctor"]);
    let sick = Run::of(
        command
            .env("FTRACK_SERVER", "http://127.0.0.1:9")
            .output()
            .unwrap(),
    );
    assert_eq!(sick.code, 1);
    assert!(
        sick.out.contains("FAILED") && sick.out.contains("Start with"),
        "{}",
        sick.out
    );
}
