//! Tables in `docs/` that tests write.

use std::path::{Path, PathBuf};

/// Fails if the table of the test file `test` in `docs/RELIABILITY.md` is another one; with
/// `FTRACK_GENERATE` in the environment, writes it.
pub(crate) fn check_table(test: &str, table: &str) {
    let [before, kept, after] = parts(test);
    if std::env::var_os("FTRACK_GENERATE").is_some() {
        std::fs::write(path(), format!("{before}{table}{after}")).unwrap();
        return;
    }
    let differences: Vec<_> = table.lines().filter(|line| !kept.contains(line)).collect();
    assert!(
        kept == table,
        "docs/RELIABILITY.md differs; set FTRACK_GENERATE=1 to renew it:\n{}",
        differences.join("\n")
    );
}

/// What `docs/RELIABILITY.md` says in the table of the test file `test`, in this row and column.
#[allow(dead_code, reason = "not every table is read")]
pub(crate) fn documented(test: &str, row: &str, column: &str) -> Option<String> {
    let [_, table, _] = parts(test);
    let cells = |line: &str| -> Vec<String> {
        let cells = line.split('|').skip(1);
        cells.map(|cell| cell.trim().to_owned()).collect()
    };
    let mut lines = table.lines().map(cells);
    let number = lines.next()?.iter().position(|name| name == column)?;
    let found = lines.find(|cells| cells.first().is_some_and(|name| name == row));
    found?.get(number).cloned()
}

/// What stands before the table, the table, and what stands after it.
fn parts(test: &str) -> [String; 3] {
    let begin = format!("<!-- what follows is written by tests/{test}.rs -->\n");
    let end = format!("<!-- what precedes was written by tests/{test}.rs -->\n");
    let text = std::fs::read_to_string(path()).unwrap();
    let text = text.replace("\r\n", "\n");
    let (before, rest) = text.split_once(&begin).unwrap();
    let (table, after) = rest.split_once(&end).unwrap();
    [
        format!("{before}{begin}"),
        table.to_owned(),
        format!("{end}{after}"),
    ]
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/RELIABILITY.md")
}
