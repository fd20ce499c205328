//! Keeps the shape of the source: layers, openings, purity, and the oldest compiler.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "tidy/graph.rs"]
mod graph;

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The modules of `src/`, each importing only from those above it.
const LAYERS: &[&str] = &[
    "value",
    "error",
    "schema",
    "codegen",
    "query",
    "operation",
    "wire",
    "event",
    "socketio",
    "sequence",
    "store",
    "lock",
    "files",
    "config",
    "calls",
    "transport",
    "api",
    "cache",
    "accessor",
    "hub",
    "handle",
    "entity",
    "action",
    "table",
    "structure",
    "location",
    "plugin",
    "session",
    "studio",
    "relay",
    "doctor",
];

/// The modules that never touch a socket, a file, a clock, a lock or a thread.
const PURE: &[&str] = &[
    "value",
    "error",
    "schema",
    "codegen",
    "query",
    "operation",
    "wire",
    "event",
    "socketio",
    "sequence",
    "store",
];

/// What a pure module may not name.
const IMPURE: &[&str] = &[
    "std::net",
    "std::fs",
    "std::thread",
    "std::env",
    "std::process",
    "std::io::Std",
    "Instant::now",
    "SystemTime",
    "Timestamp::now",
    "ZonedDateTime::now",
    "ureq",
    "parking_lot",
    "mio::",
    "crossbeam_channel",
    "tempfile",
    "Mutex",
    "RwLock",
    "Condvar",
];

/// The handles are one knot: the modules that give them their behaviour may name one another.
const KNOT: &[&str] = &[
    "handle",
    "entity",
    "action",
    "table",
    "structure",
    "location",
    "plugin",
    "session",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !matches!(name.as_str(), "target" | "node_modules") {
                found.extend(rust_files(&path));
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The files of the SDK itself: packages and programs inside `src/` have an order of their own. A
/// program is another crate, and can use the public surface only.
fn source_files() -> Vec<PathBuf> {
    let source = root().join("src");
    let mut files = rust_files(&source);
    files.retain(|path| {
        let folders = path.ancestors().skip(1);
        let mut folders = folders.take_while(|folder| *folder != source);
        !folders.any(|folder| folder.ends_with("src/bin") || folder.join("Cargo.toml").exists())
    });
    files
}

/// The source without comments and without the tests at its end.
fn code_of(text: &str) -> String {
    let tests = text
        .match_indices("\n#[cfg(test)]\n")
        .map(|(at, _)| at)
        .find(|at| {
            let after = text[*at..].lines().skip(2);
            let mut after = after.skip_while(|line| line.starts_with("#["));
            after.next().is_some_and(|line| line.starts_with("mod "))
        });
    let text = &text[..tests.unwrap_or(text.len())];
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The top-level module that a file of `src/` belongs to.
fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str();
    first.to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// The modules that `code` imports by `crate::…`, those in braces included.
fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for after in code.split("crate::").skip(1) {
        if let Some(list) = after.strip_prefix('{') {
            let inside = list.split('}').next().unwrap_or(list);
            let names = inside
                .split(',')
                .map(|part| part.trim().split("::").next().unwrap());
            found.extend(names.map(str::to_owned));
        } else {
            let end = after.find(|c: char| !c.is_alphanumeric() && c != '_');
            found.push(after[..end.unwrap_or(after.len())].to_owned());
        }
    }
    found
}

#[test]
fn modules_import_from_above_only() {
    let rank: HashMap<&str, usize> = LAYERS.iter().enumerate().map(|(i, m)| (*m, i)).collect();
    let mut wrong = Vec::new();
    for path in source_files() {
        let module = module_of(&path);
        if module == "lib" || module == "build" || path.ends_with("tests.rs") {
            continue;
        }
        let own = rank.get(module.as_str()).copied();
        let own = own.unwrap_or_else(|| panic!("{} is in no layer", path.display()));
        for import in imports(&code_of(&fs::read_to_string(&path).unwrap())) {
            let Some(&other) = rank.get(import.as_str()) else {
                continue;
            };
            let knot = KNOT.contains(&module.as_str()) && KNOT.contains(&import.as_str());
            if other > own && !knot {
                wrong.push(format!("{} imports {import}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_modules_touch_nothing() {
    let mut wrong = Vec::new();
    for path in source_files() {
        if !PURE.contains(&module_of(&path).as_str()) {
            continue;
        }
        let code = code_of(&fs::read_to_string(&path).unwrap());
        let named = IMPURE.iter().filter(|name| code.contains(**name));
        wrong.extend(named.map(|name| format!("{} names {name}", path.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn tests_at_the_end_of_a_file_are_not_its_code() {
    let tests = "\n#[cfg(test)]\n#[allow(clippy::unwrap_used)]\nmod tests {}\n";
    assert_eq!(
        code_of(&format!("// Why.\nfn a() {{}}{tests}")),
        "fn a() {}"
    );
}

/// A reader takes a function that is named as a question for one that changes nothing.
#[test]
fn questions_change_nothing() {
    // A method of `ureq`'s trait, one that peeks at a socket, one that remembers what it found.
    let exempt = ["open", "reusable", "link"];
    for path in source_files() {
        let code = code_of(&fs::read_to_string(&path).unwrap());
        for after in code.split("fn is_").skip(1) {
            let (name, arguments) = after.split_once('(').unwrap();
            let changes = arguments.trim_start().starts_with("&mut self");
            let changes = changes && !exempt.contains(&name);
            assert!(!changes, "{}: is_{name}", path.display());
        }
    }
}

#[test]
fn only_the_configuration_reads_the_environment() {
    for path in source_files() {
        let code = code_of(&fs::read_to_string(&path).unwrap());
        let allowed = ["config", "build"].contains(&module_of(&path).as_str());
        let reads = code.contains("env::var") && !allowed;
        assert!(!reads, "{} reads the environment", path.display());
    }
}

/// A thread that waits for a lock of `parking_lot` cannot be woken by a plugin's library.
#[test]
fn locks_are_those_that_work_across_libraries() {
    for path in source_files() {
        let code = code_of(&fs::read_to_string(&path).unwrap());
        let names = code.contains("parking_lot") && module_of(&path) != "lock";
        assert!(!names, "{}: use crate::lock instead", path.display());
    }
}

#[test]
fn files_say_what_they_hold() {
    for folder in ["src", "tests", "docs/examples", "benches"] {
        for path in rust_files(&root().join(folder)) {
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.starts_with("//!"), "{} has no `//!`", path.display());
        }
    }
}

/// The errors of a function are a list: each kind with its cause and its consequence.
#[test]
fn error_sections_are_lists() {
    let mut sections = 0;
    for path in source_files() {
        let text = fs::read_to_string(&path).unwrap();
        for (at, _) in text.match_indices("/// # Errors\n") {
            let lines = text[at..].lines().skip(1).map(str::trim_start);
            let section = lines.take_while(|line| line.starts_with("///"));
            let mut section = section.take_while(|line| !line.starts_with("/// #"));
            sections += 1;
            let has_list = section.any(|line| line.starts_with("/// - "));
            let line = text[..at].lines().count() + 1;
            assert!(has_list, "{}:{line} has no list", path.display());
        }
    }
    assert!(sections > 400, "only {sections} sections were found");
}

#[test]
fn only_plugins_are_loaded_unsafely() {
    for folder in ["src", "tests", "benches", "docs/examples"] {
        for path in rust_files(&root().join(folder)) {
            let code = code_of(&fs::read_to_string(&path).unwrap());
            let named = [
                "unsafe_code",
                "unsafe {",
                "unsafe impl",
                "unsafe fn",
                "unsafe extern",
            ];
            // The words stand in the texts of tests that read the source.
            let reads_source =
                path.ends_with("tests/tidy.rs") || path.ends_with("tests/surface.rs");
            let allowed = path.ends_with("plugin/library.rs") || reads_source;
            let used = named.iter().any(|name| code.contains(name));
            assert!(allowed || !used, "{} is unsafe", path.display());
        }
    }
}

#[test]
fn the_top_level_is_what_the_design_says() {
    let mut found: Vec<String> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && name != "target")
        .collect();
    found.sort();
    let expected = [
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "benches",
        "docs",
        "src",
        "tests",
    ];
    assert_eq!(found, expected);
}

/// `rust-version` is a promise: no dependency that is built may need a newer compiler.
#[test]
fn dependencies_build_with_the_oldest_compiler() {
    let compiler = Command::new("rustc").arg("-vV").output().unwrap();
    let compiler = String::from_utf8(compiler.stdout).unwrap();
    let host = compiler
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--all-features"])
        .args(["--filter-platform", host])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let version = |package: &serde_json::Value| -> Vec<u32> {
        let text = package["rust_version"].as_str().unwrap_or("1.0");
        text.split('.')
            .map(|part| part.parse().unwrap())
            .take(2)
            .collect()
    };
    let ours = packages
        .iter()
        .find(|package| package["name"] == "ftrack-api")
        .unwrap();
    let promised = version(ours);
    assert_eq!(promised, [1, 90]);
    for package in packages {
        assert!(
            version(package) <= promised,
            "{} {}",
            package["name"],
            package["version"]
        );
    }
}

/// Rings of files that may stay, each with its reason.
const RINGS: &[(&str, &[&str])] = &[
    (
        "`Shared` owns what a session is made of, and those parts get handles to the session",
        &["handle", "location", "plugin", "session", "structure"],
    ),
    ("`Api` holds the parts that add methods to it", &["api"]),
    (
        "`Schema` holds the tables that are indexed by its ids",
        &["schema"],
    ),
    ("`Store` holds the parts that add methods to it", &["store"]),
    (
        "a collection is a way to name entities, and is made of entities",
        &["entity"],
    ),
    (
        "a text may be JSON, and JSON converts like any value",
        &["value"],
    ),
];

#[test]
fn files_use_one_another_in_one_direction() {
    let source = root().join("src");
    let files = source_files();
    let files = files.iter().filter(|path| !path.ends_with("tests.rs"));
    let files = files.map(|path| {
        let name = path.strip_prefix(&source).unwrap().to_string_lossy();
        let code = code_of(&fs::read_to_string(path).unwrap());
        (name.replace('\\', "/"), code)
    });
    let uses = graph::uses(&files.collect::<Vec<_>>());
    let is_allowed = |ring: &BTreeSet<String>| {
        let modules = ring
            .iter()
            .map(|file| file.split(['/', '.']).next().unwrap());
        RINGS
            .iter()
            .any(|(_, allowed)| modules.clone().all(|module| allowed.contains(&module)))
    };
    let mut rings = graph::rings(&uses);
    rings.retain(|ring| !is_allowed(ring));
    for file in rings.iter().flatten() {
        println!("{file} uses {:?}", uses[file]);
    }
    assert!(rings.is_empty(), "these files use one another: {rings:#?}");
}

#[test]
fn a_ring_of_files_is_found() {
    let check = |third: &str| {
        let files = [
            ("lib.rs", "mod a;\nmod b;\npub use a::First;\n"),
            ("a/mod.rs", "mod c;\npub use c::{First, Second as Other};\n"),
            ("a/c.rs", "use crate::b::{\n    Third,\n};\n"),
            ("b.rs", third),
        ];
        let files = files.map(|(name, code)| (name.to_owned(), code.to_owned()));
        graph::rings(&graph::uses(&files)).len()
    };
    assert_eq!(check("use std::fmt;\nuse crate::value::Value;\n"), 0);
    assert_eq!(check("use crate::a::Other;\n"), 1);
    assert_eq!(check("fn third() -> crate::First {}\n"), 1);
    assert_eq!(check("use super::a::{self, First};\n"), 1);
    assert_eq!(check("pub(in crate::a) fn third() {}\n"), 0);
}

#[test]
fn the_picture_of_the_layers_is_true() {
    let page = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    let picture = page.split("flowchart BT").nth(1).unwrap();
    let picture = picture.split("```").next().unwrap();
    let groups = picture.split("subgraph ").skip(1).map(|group| {
        let names = group.lines().nth(1).unwrap();
        names.split("-->").map(str::trim).collect::<Vec<_>>()
    });
    let groups: Vec<Vec<&str>> = groups.collect();
    assert_eq!(groups.concat(), LAYERS);
    assert_eq!(groups[0], PURE);
    assert_eq!(groups[2], KNOT);
}

/// A pipe would be waited for, and a device has no end.
#[test]
fn files_are_opened_in_one_place() {
    // The command line opens what its user names, which may well be a pipe.
    let exempt = [
        "files.rs", "build.rs", "bin", "python", "macros", "tests.rs", "fuzz.rs",
    ];
    // The last one is a library that opens a path itself: it is handed the bytes instead.
    let ways = [
        "File::open(",
        "fs::read(",
        "read_to_string(path",
        "fs::read_to_string(",
        "pem_file",
    ];
    for path in rust_files(&root().join("src")) {
        let mut parts = path.components();
        if parts.any(|part| exempt.iter().any(|one| part.as_os_str() == *one)) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for line in code.lines().filter(|line| !line.trim().starts_with("//")) {
            let opens = ways.iter().any(|one| line.contains(one));
            assert!(
                !opens,
                "{}: use `files::open_regular`: {line}",
                path.display()
            );
        }
    }
}

/// The public types whose value must be kept: dropping it ends what it stands for.
const GUARDS: &[&str] = &[
    "ActionRegistration",
    "Delivery",
    "FollowUpdates",
    "MemoryScope",
    "RequestBudget",
    "ScenarioRegistration",
    "ScopedSubscription",
    "ThreadScope",
    "Watch",
];

/// The compiler suggests `let _ = …` for a guard that is not used, which would drop it at once.
#[test]
fn guards_say_how_to_bind_them() {
    let mut found = Vec::new();
    for path in rust_files(&root().join("src")) {
        let text = fs::read_to_string(&path).unwrap();
        for (at, _) in text.match_indices("\npub struct ") {
            let before = text[..at].rsplit("\n\n").next().unwrap_or_default();
            let after = &text[at + "\npub struct ".len()..];
            let end = after.find(|c: char| !c.is_alphanumeric());
            let name = after[..end.unwrap_or(after.len())].to_owned();
            let must_use = before.contains("#[must_use = ");
            let says_how = before.contains("#[must_use = \"bind it: `let _")
                && before.contains("`let _ = …` would drop it at once");
            let must_say = GUARDS.contains(&name.as_str())
                || (must_use && text.contains(&format!("\nimpl Drop for {name} ")));
            assert_eq!(says_how, must_say, "{}: {name}", path.display());
            found.extend(must_say.then_some(name));
        }
    }
    found.sort();
    assert_eq!(found, GUARDS);
}

/// Readers see and paste all of an example: what makes a test of it, `src/build.rs` adds.
#[test]
fn chapters_have_no_hidden_lines() {
    let mut examples = 0;
    let docs = fs::read_dir(root().join("docs")).unwrap();
    let files = docs.map(|entry| entry.unwrap().path());
    for path in files.chain([root().join("README.md")]) {
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        // Every second part stands between fences.
        for part in text.split("\n```").skip(1).step_by(2) {
            let (language, code) = part.split_once('\n').unwrap();
            let first = language.split(',').next().unwrap();
            if !matches!(first, "" | "rust" | "no_run" | "ignore" | "should_panic") {
                continue;
            }
            examples += 1;
            for line in code.lines().map(str::trim) {
                let is_hidden = line == "#" || line.starts_with("# ");
                assert!(!is_hidden, "{}: {line}", path.display());
            }
        }
    }
    assert!(examples > 80, "only {examples} examples were found");
}

/// The first command of the README compiles what an example needs, and nothing that only tests do.
#[test]
fn examples_compile_few_crates() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "-p", "ftrack-examples"])
        .args(["-e", "normal,build", "--prefix", "none", "--no-dedupe"])
        .current_dir(root())
        .output()
        .unwrap();
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{problem}");
    let tree = String::from_utf8(output.stdout).unwrap();
    // Each `name v1.2.3`, some with `(proc-macro)` or the path of a member behind it.
    let crates: BTreeSet<(&str, &str)> = tree
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?, words.next()?))
        })
        .collect();
    let has = |wanted: &str| crates.iter().any(|(name, _)| *name == wanted);
    assert!(has("ftrack-api") && has("ftrack-emulator"), "{tree}");
    for heavy in ["proptest", "rcgen", "divan", "clap", "image", "redis"] {
        assert!(!has(heavy), "{heavy} is compiled for the examples");
    }
    // Elsewhere the system has other crates.
    if cfg!(target_os = "linux") {
        let count = crates.len();
        assert!(count <= 190, "{count} crates are compiled for the examples");
    }
}
