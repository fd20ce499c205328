//! Which file of `src/` uses which: paths in the code, resolved through modules and re-exports.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

/// The files that each file uses, by their paths below `src/`.
pub(crate) type Uses = BTreeMap<String, BTreeSet<String>>;

/// A path in the code, in segments; `*` stands for everything in a module.
type Segments = Vec<String>;

#[derive(Default)]
struct Module {
    file: String,
    /// What the module offers under a name of its own: the path that it stands for.
    names: HashMap<String, Segments>,
    paths: Vec<Segments>,
}

/// Reads `files` (path below `src/`, code without comments and tests) into a graph.
pub(crate) fn uses(files: &[(String, String)]) -> Uses {
    let mut modules: HashMap<Segments, Module> = HashMap::new();
    for (file, code) in files {
        let at = module_path(file);
        let mut module = Module {
            file: file.clone(),
            ..Module::default()
        };
        for path in imports(code).into_iter().chain(inline_paths(code)) {
            module.add(&at, path);
        }
        modules.insert(at, module);
    }
    let mut found = Uses::new();
    for module in modules.values() {
        let used = module
            .paths
            .iter()
            .filter_map(|path| file_of(&modules, path, 0));
        let others = used.filter(|file| **file != module.file).cloned();
        found.insert(module.file.clone(), others.collect());
    }
    found
}

/// Groups of files that use one another, directly or through others.
pub(crate) fn rings(uses: &Uses) -> Vec<BTreeSet<String>> {
    let reached: HashMap<&String, BTreeSet<&String>> = uses
        .keys()
        .map(|file| (file, reachable(uses, file)))
        .collect();
    let mut rings: Vec<BTreeSet<String>> = Vec::new();
    for file in uses.keys() {
        if rings.iter().any(|ring| ring.contains(file)) {
            continue;
        }
        let back = reached[file]
            .iter()
            .filter(|other| reached[**other].contains(file));
        let mut ring: BTreeSet<String> = back.map(|other| (*other).clone()).collect();
        ring.insert(file.clone());
        if ring.len() > 1 {
            rings.push(ring);
        }
    }
    rings
}

fn reachable<'a>(uses: &'a Uses, from: &String) -> BTreeSet<&'a String> {
    let mut found = BTreeSet::new();
    let mut open = vec![from];
    while let Some(file) = open.pop() {
        for next in uses.get(file).into_iter().flatten() {
            if found.insert(next) {
                open.push(next);
            }
        }
    }
    found
}

impl Module {
    /// Takes in a path that stands in the code of the module `at`.
    fn add(&mut self, at: &[String], (segments, name, is_public): (Segments, String, bool)) {
        let Some(absolute) = absolute(at, &segments) else {
            return;
        };
        // A re-export offers what is below; it does not use it.
        if !is_public {
            self.paths.push(absolute.clone());
        }
        if !name.is_empty() {
            self.names.insert(name, absolute);
        }
    }
}

/// `a/b.rs` and `a/b/mod.rs` are `["a", "b"]`; `lib.rs` is the root.
fn module_path(file: &str) -> Segments {
    let path = Path::new(file).with_extension("");
    let mut segments: Segments = path
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if segments
        .last()
        .is_some_and(|last| last == "mod" || last == "lib")
    {
        segments.pop();
    }
    segments
}

fn absolute(at: &[String], segments: &[String]) -> Option<Segments> {
    let (first, rest) = segments.split_first()?;
    let mut base: Segments = match first.as_str() {
        "crate" => Vec::new(),
        "self" => at.to_vec(),
        "super" => at.split_last()?.1.to_vec(),
        // A module below, or a foreign crate, of which no file is found.
        _ => [at, std::slice::from_ref(first)].concat(),
    };
    for segment in rest {
        if segment == "super" {
            base.pop()?;
        } else {
            base.push(segment.clone());
        }
    }
    Some(base)
}

fn file_of<'a>(
    modules: &'a HashMap<Segments, Module>,
    path: &[String],
    depth: usize,
) -> Option<&'a String> {
    let known = (0..=path.len())
        .rev()
        .find(|end| modules.contains_key(&path[..*end]))?;
    let module = &modules[&path[..known]];
    let Some(name) = path.get(known) else {
        return Some(&module.file);
    };
    if let Some(target) = module.names.get(name).filter(|_| depth < 8)
        && let Some(file) = file_of(modules, target, depth + 1)
    {
        return Some(file);
    }
    // The root defines nothing itself: a name that it lacks is a macro's or a foreign crate's.
    (known > 0).then_some(&module.file)
}

/// Each name that a `use` brings in: its path, its name here, whether it is only passed on.
fn imports(code: &str) -> Vec<(Segments, String, bool)> {
    let mut found = Vec::new();
    let mut offset = 0;
    while let Some(start) = code[offset..].find("use ").map(|at| at + offset) {
        offset = start + 4;
        let line = code[..start].rfind('\n').map_or(0, |at| at + 1);
        let before = code[line..start].trim();
        let is_public = before.starts_with("pub");
        if !(before.is_empty() || is_public) {
            continue;
        }
        let end = code[offset..]
            .find(';')
            .map_or(code.len(), |at| at + offset);
        tree(&code[offset..end], &mut Vec::new(), is_public, &mut found);
        offset = end;
    }
    found
}

fn tree(
    text: &str,
    prefix: &mut Segments,
    is_public: bool,
    found: &mut Vec<(Segments, String, bool)>,
) {
    let text = text.trim();
    if let Some((head, list)) = text.split_once('{') {
        let length = prefix.len();
        prefix.extend(segments(head));
        let list = list.strip_suffix('}').unwrap_or(list);
        for part in parts(list) {
            tree(part, prefix, is_public, found);
        }
        prefix.truncate(length);
    } else if !text.is_empty() {
        let (path, alias) = text.split_once(" as ").unwrap_or((text, ""));
        let mut path = [prefix.as_slice(), &segments(path)].concat();
        if path
            .last()
            .is_some_and(|last| last == "self" && path.len() > 1)
        {
            path.pop();
        }
        let last = path.last().cloned().unwrap_or_default();
        let name = if alias.is_empty() {
            last
        } else {
            alias.trim().to_owned()
        };
        found.push((path, name, is_public));
    }
}

fn segments(path: &str) -> Segments {
    let parts = path.split("::").map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The parts of a list between commas that are in no inner braces.
fn parts(list: &str) -> Vec<&str> {
    let (mut found, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(&list[start..]);
    found
}

/// Paths from the root or a parent that stand in the code itself.
fn inline_paths(code: &str) -> Vec<(Segments, String, bool)> {
    let mut found = Vec::new();
    for root in ["crate::", "super::"] {
        for (at, _) in code.match_indices(root) {
            let line = code[..at].rfind('\n').map_or(0, |at| at + 1);
            let before = code[line..at].trim_start();
            let is_import = before.contains("use ") || code[..at].ends_with("::");
            let is_visibility = code[..at].ends_with("in ") || code[..at].ends_with('$');
            if is_import || is_visibility {
                continue;
            }
            let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
            let end = code[at..]
                .find(|c| !is_part(c))
                .map_or(code.len(), |end| at + end);
            found.push((segments(&code[at..end]), String::new(), false));
        }
    }
    found
}
