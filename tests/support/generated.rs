//! Tables in `docs/` that tests write.

use std::path::Path;

/// Fails if the table of the test file `test` in `docs/RELIABILITY.md` is another one; with
/// `FTRACK_GENERATE` in the environment, writes it.
pub(crate) fn check_table(test: &str, table: &str) {
    let begin = format!("<!-- what follows is written by tests/{test}.rs -->\n");
    let end = format!("<!-- what precedes was written by tests/{test}.rs -->\n");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/RELIABILITY.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace("\r\n", "\n");
    let (before, rest) = text.split_once(&begin).unwrap();
    let (kept, after) = rest.split_once(&end).unwrap();
    if std::env::var_os("FTRACK_GENERATE").is_some() {
        std::fs::write(&path, format!("{before}{begin}{table}{end}{after}")).unwrap();
        return;
    }
    let differences: Vec<_> = table.lines().filter(|line| !kept.contains(line)).collect();
    assert!(
        kept == table,
        "docs/RELIABILITY.md differs; set FTRACK_GENERATE=1 to renew it:\n{}",
        differences.join("\n")
    );
}
