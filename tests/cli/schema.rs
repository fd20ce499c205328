//! `schema`, `cache`, `completions` and `man`.

use ftrack_emulator::Emulator;
use ftrack_emulator::schema::compact::Edition;

use crate::{Cli, Run};

#[test]
fn types_and_attributes() {
    let cli = Cli::reading();
    let types = cli.ok(&["schema"]);
    assert!(types.lines().any(|line| line == "AssetVersion"), "{types}");
    let task = cli.ok(&["schema", "Task"]);
    let has = |words: &[&str]| {
        let mut lines = task
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        assert!(
            lines.any(|line| line.starts_with(words)),
            "{words:?}: {task}"
        );
    };
    has(&["status", "Status"]);
    has(&["id", "text", "key,"]);
    cli.fails(
        &["schema", "Tsak"],
        6,
        &["did you mean \"Task\"", "ftrack schema"],
    );
}

#[test]
fn schemas_are_compared() {
    let cli = Cli::reading();
    cli.ok(&["schema", "save", "a.json"]);
    let same = cli.run(&["schema", "diff", "a.json", "server"]);
    same.check(0, &["they do not differ"]);
    assert_eq!(same.out, "");
    let again = &["a.json: the file exists", "another name"];
    cli.fails(&["schema", "save", "a.json"], 9, again);

    let classic = Emulator::builder()
        .edition(Edition::named("classic").unwrap())
        .start()
        .unwrap();
    let other = Cli::on(&classic);
    let file = cli.folder().join("b.json");
    other.ok(&["schema", "save", file.to_str().unwrap()]);
    let run = cli.run(&["schema", "diff", "a.json", "b.json"]);
    assert_eq!(run.code, 1);
    assert!(
        run.out.lines().any(|line| line.starts_with("- ")),
        "{}",
        run.out
    );
    assert!(
        run.out
            .lines()
            .all(|line| line.starts_with("- ") || line.starts_with("+ "))
    );

    cli.write("no.json", "{}");
    cli.fails(&["schema", "diff", "a.json", "no.json"], 6, &["no.json"]);
    cli.write("no.json", "not JSON");
    cli.fails(&["schema", "diff", "no.json", "a.json"], 6, &["not JSON"]);
    let away = ["schema", "diff", "a.json", "nonesuch"];
    cli.fails(&away, 2, &["\"nonesuch\" is no file", "ftrack schema save"]);
}

#[test]
fn a_rust_module_is_generated() {
    let module = Cli::reading().ok(&["schema", "rust"]);
    assert!(module.contains("pub struct Task {"), "{module}");
    assert!(module.contains("pub struct TaskCustom"), "{module}");
}

#[test]
fn the_schema_cache_is_shown_and_cleared() {
    let cli = Cli::reading();
    assert_eq!(cli.ok(&["cache", "show"]), "");
    cli.ok(&["schema"]);
    let shown = cli.ok(&["cache", "show"]);
    assert!(shown.contains("ftrack_api_schema_cache.json"), "{shown}");
    cli.ok(&["cache", "clear"]);
    assert_eq!(cli.ok(&["cache", "show"]), "");
}

#[test]
fn completions_and_manual_pages() {
    let cli = Cli::reading();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let run = Run::of(cli.bare(&["completions", shell]).output().unwrap());
        run.check(0, &[]);
        assert!(run.out.contains("whoami"), "{shell}");
    }
    let page = Run::of(cli.bare(&["man"]).output().unwrap());
    assert!(
        page.out.starts_with(".ie") && page.out.contains("ftrack"),
        "{}",
        page.out
    );
    cli.ok(&["man", "--dir", "new/pages"]);
    assert!(cli.folder().join("new/pages/ftrack-query.1").exists());
    cli.ok(&["man", "--dir", "."]);
    let pages = std::fs::read_dir(cli.folder()).unwrap();
    let pages = pages.map(|page| page.unwrap().file_name().into_string().unwrap());
    let pages: Vec<String> = pages.filter(|name| name.ends_with(".1")).collect();
    for page in ["ftrack.1", "ftrack-query.1", "ftrack-events-tail.1"] {
        assert!(pages.iter().any(|name| name == page), "{page}");
    }
    assert!(!pages.iter().any(|name| name.contains("help")), "{pages:?}");
}
