//! The examples of every command's help are run.

use ftrack_emulator::Emulator;

use crate::{Cli, Run};

/// The names of the commands that a help text lists.
fn commands(help: &str) -> Vec<String> {
    let list = help.split("Commands:\n").nth(1).unwrap_or_default();
    let lines = list.lines().take_while(|line| line.starts_with("  "));
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
    names
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// The command lines of a help text.
fn examples(help: &str) -> Vec<String> {
    let section = help.split("Examples:\n").nth(1).unwrap_or_default();
    let lines = section.lines().take_while(|line| !line.is_empty());
    let lines: Vec<String> = lines.map(|line| line.trim().to_owned()).collect();
    // A line that is broken cannot be copied.
    assert!(
        lines.iter().all(|line| line.starts_with("ftrack ")),
        "{help}"
    );
    lines
}

fn help(cli: &Cli, command: &str) -> String {
    let run = Run::of(cli.bare(&[command, "--help"]).output().unwrap());
    run.check(0, &[]);
    run.out
}

#[test]
fn every_example_of_the_help_works() {
    let server = Emulator::builder().tasks(60).start().unwrap();
    let cli = Cli::on(&server);
    let top = Run::of(cli.bare(&["--help"]).output().unwrap()).out;
    let names = commands(&top);
    assert!(names.len() > 8, "{top}");
    prepare(&cli);
    let texts = names.iter().map(|name| (name.as_str(), help(&cli, name)));
    for (name, text) in std::iter::once(("ftrack", top.clone())).chain(texts) {
        let found = examples(&text);
        assert!(!found.is_empty(), "{name} has no example:\n{text}");
        for line in found {
            let words = shell_words::split(&line).unwrap();
            assert_eq!(words[0], "ftrack", "{line}");
            let run = cli.run(&words[1..]);
            assert_eq!(run.code, 0, "{line}\n{}{}", run.out, run.err);
        }
    }
}

/// The files that examples name.
fn prepare(cli: &Cli) {
    cli.write("users.csv", "username,first_name\ngrace,Grace\nalan,Alan\n");
    cli.write("still.png", "not really an image");
    cli.write("dust.01.txt", "one");
    cli.write("dust.02.txt", "two");
}
