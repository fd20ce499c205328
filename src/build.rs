//! Passes to the crate what it is built of and with, for the identity of plugin libraries; completes the
//! examples of the chapters.

use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "plugin/crates.rs"]
mod crates;

fn main() {
    write_chapters();
    for path in entries(Path::new("src")) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let compiler = Command::new(variable("RUSTC"))
        .arg("-V")
        .output()
        .expect("cargo names the compiler, and it runs");
    let compiler = String::from_utf8_lossy(&compiler.stdout);
    let mut features: Vec<String> = env::vars()
        .filter_map(|(name, _)| name.strip_prefix("CARGO_FEATURE_").map(str::to_lowercase))
        .collect();
    features.sort();
    let identity = [
        format!("crate {}", variable("CARGO_PKG_VERSION")),
        format!("compiler {}", compiler.trim()),
        format!("target {}", variable("TARGET")),
        format!(
            "profile {}, optimised {}, panic {}",
            variable("PROFILE"),
            variable("OPT_LEVEL"),
            variable("CARGO_CFG_PANIC")
        ),
        format!("features {}", features.join(",")),
        format!("interface {:016x}", hash_of(Path::new("src"))),
    ];
    println!("cargo::rustc-env=FTRACK_API_CRATES={}", crates_below());
    // One line of output is one setting.
    println!(
        "cargo::rustc-env=FTRACK_API_IDENTITY={}",
        identity.join(";")
    );
}

/// Writes the chapters of `docs/` for rustdoc. Readers see examples as they would paste them; what
/// makes a test of one is hidden: the lines of `docs/setup.rs` that it needs, and its result.
fn write_chapters() {
    println!("cargo::rerun-if-changed=docs");
    let target = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let setup = fs::read_to_string("docs/setup.rs").expect("it is part of the package");
    let setup: Vec<&str> = setup.lines().skip(1).collect();
    // Each with the module that has it, which links between chapters lead to.
    let chapters = [
        ("../README", "crate"),
        ("caching", "crate::cache"),
        ("cookbook", "crate::_cookbook"),
        ("errors", "crate::_errors"),
        ("events", "crate::event"),
        ("events-at-scale", "crate::relay"),
        ("locations", "crate::location"),
        ("plugins", "crate::plugin"),
        ("queries", "crate::query"),
        ("sessions", "crate::session"),
        ("studio", "crate::studio"),
    ];
    for (chapter, _) in chapters {
        let source = format!("docs/{chapter}.md");
        let mut text = fs::read_to_string(source).expect("it is part of the package");
        for (other, module) in chapters {
            text = text.replace(&format!("]({other}.md"), &format!("]({module}"));
        }
        let name = Path::new(chapter).with_extension("md");
        let file = target.join(name.file_name().expect("it has a name"));
        fs::write(file, with_setup(&text, &setup)).expect("cargo made the folder");
    }
}

fn with_setup(text: &str, setup: &[&str]) -> String {
    // Every second part stands between fences.
    let parts = text.split("\n```").enumerate().map(|(number, part)| {
        let Some((language, code)) = part.split_once('\n').filter(|_| number % 2 == 1) else {
            return part.to_owned();
        };
        if language == "rust,standalone_crate" {
            return format!("{part}\n# fn main() {{}}");
        }
        let language = match language.strip_suffix(",file-cache") {
            Some(_) if env::var_os("CARGO_FEATURE_FILE_CACHE").is_none() => "ignore",
            Some(language) => language,
            None => language,
        };
        let is_rust = matches!(language, "" | "rust" | "no_run" | "rust,no_run");
        if !is_rust || code.contains("fn main(") {
            return format!("{language}\n{code}");
        }
        let hidden = needed(setup, code);
        let result = "\n# Ok::<(), Box<dyn std::error::Error>>(())";
        let result = if code.contains("# Ok") { "" } else { result };
        format!("{language}\n{hidden}{code}{result}")
    });
    parts.collect::<Vec<_>>().join("\n```")
}

/// The lines of the setup that define what `code` uses and does not define, or what such a line uses.
fn needed(setup: &[&str], code: &str) -> String {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let words = |text: &str| -> Vec<String> {
        let words = text.split(|c| !is_part(c));
        words.map(str::to_owned).collect()
    };
    let mut used = words(code);
    let mut hidden = String::new();
    for line in setup.iter().rev() {
        let names = line.split(" = ").next().expect("a split has a first part");
        let is_missing = |name: &String| {
            name != "let" && used.contains(name) && !code.contains(&format!("let {name} "))
        };
        if words(names).iter().any(is_missing) {
            used.extend(words(line));
            hidden = format!("# {line}\n{hidden}");
        }
    }
    hidden
}

/// The crates under this one, from the `Cargo.lock` of the workspace that is built; empty if the
/// target folder is not inside it.
fn crates_below() -> String {
    let out = env::var("OUT_DIR").unwrap_or_default();
    let mut locks = Path::new(&out)
        .ancestors()
        .map(|folder| folder.join("Cargo.lock"));
    let Some(lock) = locks.find(|lock| lock.is_file()) else {
        return String::new();
    };
    println!("cargo::rerun-if-changed={}", lock.display());
    let lock = fs::read_to_string(lock).unwrap_or_default();
    crates::under("ftrack-api", &lock)
}

/// The hash of every source file: layouts and signatures may differ wherever the source does.
fn hash_of(folder: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in files(folder) {
        let text = fs::read(&file).expect("cargo gives us our own source");
        hasher.write(file.to_string_lossy().replace('\\', "/").as_bytes());
        hasher.write(&text);
    }
    hasher.finish()
}

/// What is in a folder of this package; the Python module is one of its own.
fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).expect("cargo runs this in the package's folder");
    let paths = entries.map(|entry| entry.expect("a folder can be read to its end").path());
    paths.filter(|path| path != Path::new("src/python"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in entries(folder) {
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}
