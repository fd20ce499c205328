//! The versions of the crates under this one, for the message about a library of another build. The
//! build script uses this file as well.

use std::collections::{BTreeMap, BTreeSet};

/// One package of a `Cargo.lock`.
#[derive(Default)]
struct Package<'a> {
    name: &'a str,
    version: &'a str,
    /// Each `name`, or `name version`.
    dependencies: Vec<&'a str>,
}

/// The packages that `root` depends on, directly or through others, as `name version` with `;`
/// between them.
#[allow(dead_code, reason = "the build script calls it, and the tests do")]
pub(super) fn under(root: &str, lock: &str) -> String {
    let packages = packages(lock);
    let mut found = BTreeSet::new();
    let mut open = vec![root];
    while let Some(wanted) = open.pop() {
        let (name, version) = wanted.split_once(' ').unwrap_or((wanted, ""));
        // Two versions of a package are told apart by the second word.
        let version = version.split(' ').next().unwrap_or_default();
        let matching = packages.iter().filter(|package| {
            package.name == name && (version.is_empty() || package.version == version)
        });
        for package in matching {
            if found.insert((package.name, package.version)) {
                open.extend(&package.dependencies);
            }
        }
    }
    let texts = found.iter().filter(|(name, _)| *name != root);
    let texts = texts.map(|(name, version)| format!("{name} {version}"));
    texts.collect::<Vec<_>>().join(";")
}

fn packages(lock: &str) -> Vec<Package<'_>> {
    let mut packages: Vec<Package<'_>> = Vec::new();
    for line in lock.lines() {
        let line = line.trim();
        if line == "[[package]]" {
            packages.push(Package::default());
            continue;
        }
        let Some(package) = packages.last_mut() else {
            continue;
        };
        if let Some(name) = quoted_after(line, "name = ") {
            package.name = name;
        } else if let Some(version) = quoted_after(line, "version = ") {
            package.version = version;
        } else if let Some(dependency) = quoted_after(line.trim_end_matches(','), "") {
            package.dependencies.push(dependency);
        }
    }
    packages
}

fn quoted_after<'a>(line: &'a str, start: &str) -> Option<&'a str> {
    let value = line.strip_prefix(start)?;
    value.strip_prefix('"')?.strip_suffix('"')
}

/// Says which crates differ between a library and this program.
#[allow(dead_code, reason = "the build script does not call it")]
pub(super) fn difference(library: &str, program: &str) -> String {
    let (theirs, ours) = (versions(library), versions(program));
    let names: BTreeSet<&str> = theirs.keys().chain(ours.keys()).copied().collect();
    let text = |versions: Option<&BTreeSet<&str>>| match versions {
        Some(versions) => versions.iter().copied().collect::<Vec<_>>().join(" and "),
        None => "none".to_owned(),
    };
    let differing: Vec<String> = names
        .into_iter()
        .map(|name| (name, theirs.get(name), ours.get(name)))
        .filter(|(_, theirs, ours)| theirs != ours)
        .map(|(name, theirs, ours)| format!("{name} {} (here {})", text(theirs), text(ours)))
        .collect();
    let what = match differing.as_slice() {
        _ if theirs.is_empty() || ours.is_empty() => {
            "crates under ftrack-api have other versions or features than in this program"
                .to_owned()
        }
        [] => "crates under ftrack-api have other features than in this program".to_owned(),
        differing => format!("it was built with {}", differing.join(", ")),
    };
    format!("{what}; build it in one workspace with this program, by `cargo build --workspace`")
}

/// The versions of each crate.
#[allow(dead_code, reason = "the build script does not call it")]
fn versions(crates: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, version) in crates.split(';').filter_map(|one| one.split_once(' ')) {
        found.entry(name).or_default().insert(version);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
version = 4

[[package]]
name = "a"
version = "1.0.0"
dependencies = [
 "b",
 "c 2.0.0",
]

[[package]]
name = "b"
version = "0.1.0"
source = "registry"
checksum = "00"
dependencies = [
 "c 1.0.0 (registry)",
 "a",
]

[[package]]
name = "c"
version = "1.0.0"

[[package]]
name = "c"
version = "2.0.0"

[[package]]
name = "unrelated"
version = "9.0.0"
"#;

    #[test]
    fn the_crates_under_another_are_read_from_the_lock() {
        assert_eq!(under("a", LOCK), "b 0.1.0;c 1.0.0;c 2.0.0");
        assert_eq!(under("b", LOCK), "a 1.0.0;c 1.0.0;c 2.0.0");
        assert_eq!(under("none", LOCK), "");
        assert_eq!(under("a", "no lock"), "");
    }

    #[test]
    fn this_build_knows_its_crates() {
        let own = versions(env!("FTRACK_API_CRATES"));
        assert!(own.contains_key("jiff") && own.contains_key("serde_core"));
    }

    #[test]
    fn the_crates_that_differ_are_named() {
        let ours = "b 1.0.2;c 1.0.0;d 1.0.0";
        let text = difference("b 1.0.1;c 1.0.0;c 2.0.0", ours);
        for expected in [
            "b 1.0.1 (here 1.0.2)",
            "c 1.0.0 and 2.0.0 (here 1.0.0)",
            "d none (here 1.0.0)",
            "--workspace",
        ] {
            assert!(text.contains(expected), "{text}");
        }
        assert!(difference(ours, ours).contains("other features than"));
        assert!(difference("", ours).contains("versions or features"));
    }
}
