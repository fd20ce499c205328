//! The public surface: what signatures name, what a script depends on, and how wrong arguments are
//! explained.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::SystemTime;

/// Crates whose types may stand in public signatures: those that the root re-exports, and
/// `serde`, whose traits whoever derives them depends on anyway.
const RE_EXPORTED: [&str; 6] = ["anyhow", "jiff", "serde", "serde_json", "url", "uuid"];

#[test]
fn handles_can_be_shared_and_printed() {
    fn check<T: Send + Sync + Debug>() {}
    check::<ftrack_api::Session>();
    check::<ftrack_api::WeakSession>();
    check::<ftrack_api::Entity>();
    check::<ftrack_api::EntityKey>();
    check::<ftrack_api::Value>();
    check::<ftrack_api::Data>();
    check::<ftrack_api::Collection>();
    check::<ftrack_api::Metadata>();
    check::<ftrack_api::CustomAttributes>();
    check::<ftrack_api::Location>();
    check::<ftrack_api::Query>();
    check::<ftrack_api::Error>();
    check::<ftrack_api::Event>();
    check::<ftrack_api::EventHub>();
    check::<ftrack_api::ApiKey>();
    check::<ftrack_api::CancelToken>();
    check::<ftrack_api::entity::CollectionIter>();
    check::<ftrack_api::entity::Mismatch>();
    check::<ftrack_api::entity::NoteOptions>();
    check::<ftrack_api::entity::TimerOptions>();
    check::<ftrack_api::entity::ValueOrigin>();
    check::<ftrack_api::studio::ContextPath>();
    check::<ftrack_api::studio::Instantiated>();
    check::<ftrack_api::studio::Inverse>();
    check::<ftrack_api::studio::PendingConflict>();
    check::<ftrack_api::studio::PendingLoaded>();
    check::<ftrack_api::studio::PlanProblem>();
    check::<ftrack_api::studio::Publish>();
    check::<ftrack_api::studio::PublishFile>();
    check::<ftrack_api::studio::PublishPlan<'_>>();
    check::<ftrack_api::studio::PublishStep>();
    check::<ftrack_api::studio::Published>();
    check::<ftrack_api::studio::Right>();
    check::<ftrack_api::studio::Template>();
    check::<ftrack_api::studio::Tree>();
    check::<ftrack_api::studio::WaitOptions>();
    check::<ftrack_api::studio::Watch>();
    check::<ftrack_api::studio::WatchChanges>();
    #[cfg(feature = "redis")]
    {
        check::<ftrack_api::relay::Stream>();
        check::<ftrack_api::relay::Relay>();
        check::<ftrack_api::relay::Worker>();
        check::<ftrack_api::relay::Delivery>();
    }
}

#[test]
fn public_types_can_be_printed() {
    let mut silent = Vec::new();
    let sources = sources();
    let all: String = sources.iter().map(|(_, code)| code.as_str()).collect();
    let by_hand = matches(&all, "Debug for ").map(|at| word_at(&all, at));
    let by_macro = matches(&all, "debug_fields!(").map(|at| {
        // After the parameters, as in `<T> Rows<T>`.
        let parameters = all[at..].starts_with('<').then(|| all[at..].find("> "));
        word_at(&all, at + parameters.flatten().map_or(0, |end| end + 2))
    });
    let written: BTreeSet<&str> = by_hand.chain(by_macro).collect();
    for (path, code) in &sources {
        for at in matches(code, "\npub struct ").chain(matches(code, "\npub enum ")) {
            let name = word_at(code, at);
            let before = &code[..at];
            let attributes = before.rsplit("\n\n").next().unwrap_or_default();
            let is_derived = attributes.contains("Debug") || attributes.contains("missing_debug");
            let is_written = written.contains(name);
            if !is_derived && !is_written {
                silent.push(format!("{}: {name}", path.display()));
            }
        }
    }
    assert!(silent.is_empty(), "without Debug: {silent:#?}");
}

/// `None` at a call says nothing: alternatives have names of their own, or are options with defaults.
#[test]
fn no_argument_is_optional() {
    for (path, code) in sources() {
        for at in matches(&code, "pub fn ") {
            let signature = code[at..].split('{').next().unwrap();
            let name = word_at(&code, at);
            let is_optional = signature.contains(": Option<");
            assert!(!is_optional, "{}: {name}", path.display());
        }
    }
}

/// A message names a type without its module, and a file may use two of them.
#[test]
fn no_two_public_types_share_a_name() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, code) in sources() {
        for start in [
            "\npub struct ",
            "\npub enum ",
            "\npub trait ",
            "\npub type ",
        ] {
            for at in matches(&code, start) {
                let name = word_at(&code, at).to_owned();
                let place = path.display().to_string();
                places.entry(name).or_default().push(place);
            }
        }
    }
    places.retain(|_, places| places.len() > 1);
    assert!(places.is_empty(), "{places:#?}");
}

#[test]
fn public_signatures_name_no_crate_that_is_not_re_exported() {
    let root = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let exports = root.lines().find(|line| line.starts_with("pub use {"));
    let exports = exports.expect("the crates are re-exported in one line");
    for name in RE_EXPORTED.iter().filter(|name| **name != "serde") {
        assert!(exports.contains(name), "{name}");
    }
    let mut foreign = BTreeSet::new();
    for (path, code) in sources() {
        for found in foreign_in(&code) {
            foreign.insert(format!("{}: {found}", path.display()));
        }
    }
    assert!(foreign.is_empty(), "{foreign:#?}");
}

#[test]
fn the_scan_finds_foreign_types() {
    for (code, expected) in [
        ("use mio::Token;\npub fn a(t: Token) {}\n", Some("Token")),
        ("pub fn a() -> rustls::Error { todo() }\n", Some("rustls")),
        (
            "use ureq::{self, Agent as Client};\npub struct A {\n    pub client: Client,\n}\n",
            Some("Client"),
        ),
        (
            "use ureq::Agent;\npub enum A {\n    One(Agent),\n}\n",
            Some("Agent"),
        ),
        (
            "use mio::Token;\nimpl From<Token> for A {\n}\n",
            Some("Token"),
        ),
        (
            "use mio::Token;\npub trait A {\n    fn a(t: &Token);\n}\n",
            Some("Token"),
        ),
        ("use mio::Token;\npub(crate) fn a(t: Token) {}\n", None),
        (
            "use mio::Token;\npub struct A {\n    token: Token,\n}\n",
            None,
        ),
        (
            "use mio::Token;\npub fn a() {\n    let t = Token(1);\n}\n",
            None,
        ),
        ("use url::Url;\npub fn a(url: Url) {}\n", None),
        ("use std::fs::File;\npub fn a(file: File) {}\n", None),
    ] {
        let found = foreign_in(code);
        assert_eq!(found.first().map(String::as_str), expected, "{code}");
    }
}

/// A script that uses types of all re-exported crates, and depends on nothing else.
const SCRIPT: &str = r#"
use ftrack_api::jiff::civil::Date;
use ftrack_api::serde_json::{Value as Json, json};
use ftrack_api::url::Url;
use ftrack_api::uuid::Uuid;
use ftrack_api::{Data, Entity, Session, anyhow, data};

pub fn script(session: &Session, id: Uuid) -> anyhow::Result<()> {
    let task: Option<Entity> = session.get("Task", id)?;
    let task = task.ok_or_else(|| anyhow::anyhow!("no task {id}"))?;
    let mut values: Data = data! { "bid": 3600 };
    values.set("description", "soon");
    session.update("Task", &task, values)?;
    let tasks = session.query("Task limit 3")?.all()?;
    session.populate(&task, "bid, status.name")?;
    session.populate(&tasks, ["bid", "status.name"])?;
    session.populate([&task, &tasks[0]], vec![String::from("bid")])?;
    session.refresh(tasks[0].collection("notes")?)?;
    session.ensure("User", data! { "username": "ada" }, "username")?;
    let day: Option<Date> = task.get("end_date")?;
    let response: Json = json!({ "day": day.map(|day| day.to_string()) });
    let url = Url::parse("http://example.com")?;
    println!("{response} {url}");
    Ok(())
}
"#;

#[test]
fn a_script_needs_this_crate_only() {
    let compiled = compile("script", SCRIPT);
    assert!(compiled.status.success(), "{}", text(&compiled));
}

#[test]
fn wrong_arguments_are_explained() {
    for (name, body, expected) in [
        (
            "paths",
            "session.populate(&entity, 1)",
            "does not name attribute paths",
        ),
        (
            "entities",
            "session.populate(\"Task\", \"bid\")",
            "does not give entities",
        ),
        (
            "iterator",
            "session.refresh(vec![entity.clone()].iter())",
            "collect an iterator into a `Vec` first",
        ),
        (
            "key",
            "session.get(\"Task\", 1).map(drop)",
            "is not the key of an entity",
        ),
        (
            "attribute",
            "entity.get::<std::thread::Thread>(\"bid\").map(drop)",
            "cannot be read as",
        ),
        ("query", "session.query(1).map(drop)", "is not a query"),
        (
            "operand",
            "session.query(ftrack_api::expr!(\"Task where bid is {}\", ())).map(drop)",
            "cannot stand in a query",
        ),
        (
            "quoted",
            "session.query(ftrack_api::expr!(\"Task where name is \\\"{}\\\"\", \"a\")).map(drop)",
            "the placeholder `{}` is between quotes: remove the quotes",
        ),
        (
            "inline",
            "session.query(ftrack_api::expr!(\"Task where name is {nmae}\")).map(drop)",
            "cannot find value `nmae`",
        ),
        (
            "count",
            "session.query(ftrack_api::expr!(\"Task where name is {}\")).map(drop)",
            "the template has 1 placeholder `{}`, but 0 values follow",
        ),
    ] {
        let code = format!(
            "pub fn script(session: &ftrack_api::Session, entity: &ftrack_api::Entity)\n    \
             -> ftrack_api::Result<()> {{\n    let _ = (session, entity);\n    {body}\n}}\n"
        );
        let output = compile(name, &code);
        let message = text(&output);
        assert!(!output.status.success(), "{name} compiles");
        assert!(message.contains(expected), "{name}: {message}");
    }
}

/// Compiles a library with this crate as its only dependency.
fn compile(name: &str, code: &str) -> Output {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("surface");
    fs::create_dir_all(&folder).unwrap();
    let source = folder.join(format!("{name}.rs"));
    fs::write(&source, code).unwrap();
    let test = std::env::current_exe().unwrap();
    let built = test.parent().unwrap();
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut dependency = std::ffi::OsString::from("dependency=");
    dependency.push(built);
    let mut library = std::ffi::OsString::from("ftrack_api=");
    library.push(newest_library(built));
    Command::new(compiler)
        .args([
            "--edition",
            "2024",
            "--crate-type",
            "lib",
            "--emit",
            "metadata",
        ])
        .arg("--out-dir")
        .arg(&folder)
        .arg("-L")
        .arg(dependency)
        .arg("--extern")
        .arg(library)
        .arg(source)
        .output()
        .unwrap()
}

/// This crate as it was compiled for this test: Cargo does so just before.
fn newest_library(folder: &Path) -> PathBuf {
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("libftrack_api-") && name.ends_with(".rlib"))
    };
    let files = fs::read_dir(folder).unwrap();
    let libraries = files.map(|file| file.unwrap().path()).filter(is_ours);
    let modified = |path: &PathBuf| -> SystemTime { path.metadata().unwrap().modified().unwrap() };
    libraries.max_by_key(modified).expect("it was just built")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file of the library without its comments, texts and tests.
fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                if name != "bin" && name != "tests" {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") && !matches!(&*name, "tests.rs" | "build.rs") {
                let code = fs::read_to_string(&path).unwrap();
                let short = path.strip_prefix(root()).unwrap().to_owned();
                found.push((short, code_of(&code)));
            }
        }
    }
    found
}

fn code_of(source: &str) -> String {
    let source = source.split("\n#[cfg(test)]").next().unwrap_or_default();
    let mut code = String::from("\n");
    for line in source.lines() {
        let is_comment = line.trim_start().starts_with("//");
        code.push_str(if is_comment { "" } else { line });
        if !is_comment {
            code.push('\n');
        }
    }
    code
}

/// The names from other crates in the public signatures of a file.
fn foreign_in(code: &str) -> Vec<String> {
    let code = format!("\n{code}");
    let imported = imports(&code);
    let mut found = Vec::new();
    for signature in signatures(&code) {
        let words = signature.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
        for word in words.filter(|word| !word.is_empty()) {
            let first = word.split("::").next().unwrap_or_default();
            let is_path = word.contains("::") && is_crate(first);
            if is_path || imported.contains(first) {
                found.push(first.to_owned());
            }
        }
    }
    found
}

/// What a file imports from crates that are not re-exported, under the names that it uses.
fn imports(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for at in matches(code, "\nuse ") {
        let tree = code[at..].split(';').next().unwrap_or_default();
        if !is_crate(tree.split("::").next().unwrap_or_default().trim()) {
            continue;
        }
        for leaf in tree.split(['{', '}', ',']) {
            let leaf = leaf.trim();
            let name = match leaf.rsplit_once(" as ") {
                Some((_, name)) => name,
                None => leaf.rsplit("::").next().unwrap_or_default(),
            };
            if name.starts_with(char::is_uppercase) {
                names.insert(name.to_owned());
            }
        }
    }
    names
}

/// Whether it is a crate that a user would have to depend on.
fn is_crate(name: &str) -> bool {
    const OUR_OWN: [&str; 6] = ["std", "crate", "super", "self", "Self", "core"];
    let is_lower = name.starts_with(|c: char| c.is_ascii_lowercase());
    let manifest = include_str!("../Cargo.toml");
    let package = name.replace('_', "-");
    let is_dependency = [name, &package]
        .iter()
        .any(|name| manifest.contains(&format!("\n{name} = ")));
    is_lower && !OUR_OWN.contains(&name) && !RE_EXPORTED.contains(&name) && is_dependency
        // A text type of this crate, under a name of this crate.
        && name != "smol_str"
}

/// Heads of public functions, public fields, variants, trait bodies and trait implementations.
fn signatures(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for start in [
        "pub fn ",
        "pub const fn ",
        "pub type ",
        "pub const ",
        "pub static ",
    ] {
        for at in matches(code, start) {
            found.push(head(&code[at..]));
        }
    }
    for at in matches(code, "\nimpl").chain(matches(code, "\nunsafe impl")) {
        // Which foreign traits a type implements is its own affair: what a trait is given is seen.
        let head = head(&code[at..]).split_once(" for ");
        if let Some((_, given)) = head.and_then(|(name, _)| name.split_once("From<")) {
            found.push(given);
        }
    }
    for at in matches(code, "\npub enum ") {
        found.push(code[at..].split("\n}").next().unwrap_or_default());
    }
    for at in matches(code, "\npub trait ") {
        let item = code[at..].split("\n}").next().unwrap_or_default();
        found.push(head(item));
        found.extend(matches(item, " fn ").map(|at| head(&item[at..])));
    }
    for at in matches(code, "\npub struct ") {
        let item = &code[at..];
        found.push(head(item));
        if head(item).len() < item.find(';').unwrap_or(item.len()) {
            let fields = item.split("\n}").next().unwrap_or_default().lines();
            found.extend(fields.filter(|line| line.trim_start().starts_with("pub ")));
        } else {
            // The public members of a tuple.
            let members = item.split(';').next().unwrap_or_default().split(',');
            found.extend(members.filter(|member| member.contains("pub ")));
        }
    }
    found
}

/// Up to the body, or the end of the statement.
fn head(item: &str) -> &str {
    let end = item.find(['{', ';']).unwrap_or(item.len());
    let head = &item[..end];
    match head.find('(') {
        // A tuple struct: its members are looked at one by one.
        Some(open) if item.starts_with(char::is_uppercase) => &head[..open],
        _ => head,
    }
}

/// Where each occurrence of `start` ends.
fn matches<'a>(code: &'a str, start: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(start).map(|(at, text)| at + text.len())
}

fn word_at(code: &str, at: usize) -> &str {
    let rest = &code[at..];
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
    &rest[..end.unwrap_or(rest.len())]
}
