//! Tells the crate what it is built of and with, for the identity of plugin libraries.

use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=src");
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
    // One line of output is one setting.
    println!(
        "cargo::rustc-env=FTRACK_API_IDENTITY={}",
        identity.join(";")
    );
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

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).expect("cargo runs this in the package's folder");
    for entry in entries.map(|entry| entry.expect("a folder can be read to its end")) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}
