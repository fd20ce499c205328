//! The figures as tables.

use std::fmt::Write as _;

use crate::contender::Time;
use crate::figures::Figures;
use crate::goals::goals;
use crate::jobs::Who;
use crate::record::COPIES;
use crate::run::Size;

/// What is done by several contenders.
#[derive(Default)]
struct Line {
    what: String,
    ours: Option<Time>,
    floor: Option<Time>,
    module: Option<Time>,
    python: Option<Time>,
    javascript: Option<Time>,
}

/// The lines of the table of times.
fn lines(figures: &Figures, size: &Size) -> Vec<Line> {
    use Who::{Bytes, JavaScript, Module, Ours, Python, Structs, Value};

    let Size { tasks, changes, .. } = *size;
    let (all, few, many) = (grouped(tasks), grouped(changes), grouped(tasks * COPIES));
    let each = |what: &str, time: &dyn Fn(Who) -> Option<Time>| Line {
        what: what.to_owned(),
        ours: time(Ours),
        floor: time(Value),
        module: time(Module),
        python: time(Python),
        javascript: time(JavaScript),
    };
    let work = |what: String, count: usize, step: &str| {
        each(&what, &|who| figures.step(who, "work", count, step))
    };
    let users = |what: &str, scenario: &'static str, step: &str| {
        each(what, &|who| figures.step(who, scenario, tasks, step))
    };
    let alone = |what: &str, floor| Line {
        what: what.to_owned(),
        floor,
        ..Line::default()
    };
    vec![
        work(
            format!("query {all} tasks into entities; floor: `Value`, kept"),
            tasks,
            "query",
        ),
        alone(
            "… floor: the bytes only, not kept",
            figures.step(Bytes, "read", tasks, "query"),
        ),
        Line {
            ours: figures.step(Ours, "rows", tasks, "rows"),
            ..alone(
                "the same as `rows::<T>()`; floor: `serde_json` into `T`",
                figures.step(Structs, "rows", tasks, "rows"),
            )
        },
        work(
            format!("touch 13 attributes of {all} entities; SDK: `get_many`, in one call for each"),
            tasks,
            "touch",
        ),
        Line {
            ours: figures.step(Ours, "work", tasks, "touch singly"),
            ..alone("… after that with `get`, 13 calls for each", None)
        },
        Line {
            ours: figures.step(Ours, "work", tasks, "touch singly, String"),
            ..alone("… again, texts as `String` instead of `SmolStr`", None)
        },
        users(
            "query them with users' data into entities; floor: `Value`, kept",
            "users",
            "query",
        ),
        users(
            "… and over a link of 50 ms: compare the wall times",
            "slow",
            "query",
        ),
        users(
            "… read `link` of each into a typed list; floor: `serde_json` from texts",
            "users",
            "link",
        ),
        work(format!("`get` of {all} cached entities"), tasks, "get"),
        each("open a session, schema cached", &|who| {
            figures.step(who, "start", 0, "open")
        }),
        each("a process that opens and ends", &|who| {
            figures.process(who, "start", 0)
        }),
        work(format!("create {few} and commit"), changes, "create"),
        work(
            format!("update {few} of {few} loaded and commit"),
            changes,
            "update",
        ),
        work(format!("… of {all} loaded"), tasks, "update"),
        work(format!("… of {many} loaded"), tasks * COPIES, "update"),
    ]
}

/// All tables, in Markdown.
pub(crate) fn render(figures: &Figures, size: &Size) -> String {
    let mut out = String::from(
        "Milliseconds of CPU, with wall time in brackets; ratios are of CPU.\n\n\
         | what | SDK | floor | Python module | Python | JavaScript | SDK of the floor | of Python | of JavaScript | module of Python |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for line in lines(figures, size) {
        let times = [
            line.ours,
            line.floor,
            line.module,
            line.python,
            line.javascript,
        ];
        let ratios = [
            (line.ours, line.floor),
            (line.ours, line.python),
            (line.ours, line.javascript),
            (line.module, line.python),
        ];
        let ratios = ratios.map(|(one, other)| share(Some(one?.cpu / other?.cpu)));
        let cells = times.map(cell).join(" | ");
        let ratios = ratios.map(Option::unwrap_or_default).join(" | ");
        writeln!(out, "| {} | {cells} | {ratios} |", line.what).expect("a string takes all");
    }
    out.push_str("\nThe most memory that a process has had, in MB:\n\n");
    out.push_str(&memory(figures, size));
    out.push_str("\nBeside the goals:\n\n| what | figure | goal | |\n|---|---:|---:|---|\n");
    for goal in goals(figures, size) {
        let verdict = match goal.figure {
            Some(figure) if figure <= goal.at_most => "reached",
            Some(_) => "**not reached**",
            None => "not measured",
        };
        let figure = goal.figure.map(short).unwrap_or_default();
        let (what, at_most) = (goal.what, short(goal.at_most));
        writeln!(out, "| {what} | {figure} | {at_most} | {verdict} |").expect("as above");
    }
    out
}

fn memory(figures: &Figures, size: &Size) -> String {
    use Who::{Bytes, JavaScript, Module, Ours, Python, Structs, Value};

    let Size { tasks, changes, .. } = *size;
    let (all, few, many) = (grouped(tasks), grouped(changes), grouped(tasks * COPIES));
    let floor = figures.peak(Value, "work", tasks);
    let lines = [
        (format!("SDK, {all} entities"), Ours, "work", tasks),
        (
            format!("floor: `Value` of {all}, kept"),
            Value,
            "work",
            tasks,
        ),
        (
            "floor: the bytes only, not kept".to_owned(),
            Bytes,
            "read",
            tasks,
        ),
        (
            format!("SDK, {all} entities with users' data"),
            Ours,
            "users",
            tasks,
        ),
        (
            format!("floor: `Value` of {all} with users' data, kept"),
            Value,
            "users",
            tasks,
        ),
        (
            format!("Python module, {all} entities"),
            Module,
            "work",
            tasks,
        ),
        (format!("Python, {all} entities"), Python, "work", tasks),
        (
            format!("JavaScript, {all} objects"),
            JavaScript,
            "work",
            tasks,
        ),
        (format!("SDK, `rows` of {few}"), Ours, "rows", changes),
        (format!("SDK, `rows` of {all}"), Ours, "rows", tasks),
        (
            format!("floor: `serde_json` into structs, {all}"),
            Structs,
            "rows",
            tasks,
        ),
        (
            format!("SDK, {many} entities"),
            Ours,
            "work",
            tasks * COPIES,
        ),
        (
            "SDK, a process that opens and ends".to_owned(),
            Ours,
            "start",
            0,
        ),
    ];
    let mut out = String::from("| what | MB | of `Value` |\n|---|---:|---:|\n");
    for (what, who, scenario, count) in lines {
        let peak = figures.peak(who, scenario, count);
        let ratio = share(peak.zip(floor).map(|(peak, floor)| peak / floor));
        let peak = peak.map(|peak| format!("{:.1}", peak / 1e6));
        let (peak, ratio) = (peak.unwrap_or_default(), ratio.unwrap_or_default());
        writeln!(out, "| {what} | {peak} | {ratio} |").expect("a string takes all");
    }
    out
}

fn cell(time: Option<Time>) -> String {
    time.map(|time| format!("{} ({})", short(time.cpu), short(time.wall)))
        .unwrap_or_default()
}

/// A ratio; small ones as fractions.
fn share(ratio: Option<f64>) -> Option<String> {
    let ratio = ratio?;
    Some(match ratio {
        small if small < 0.1 => format!("1/{:.0}", 1.0 / small),
        _ => format!("{ratio:.2}"),
    })
}

/// Three digits.
pub(crate) fn short(value: f64) -> String {
    let digits = match value.abs() {
        large if large >= 99.95 => 0,
        tens if tens >= 9.995 => 1,
        ones if ones >= 0.9995 => 2,
        tenths if tenths >= 0.09995 => 3,
        small if small >= 0.001 => 4,
        _ => 6,
    };
    format!("{value:.digits$}")
}

/// With commas between thousands.
pub(crate) fn grouped(number: usize) -> String {
    match number {
        1000.. => format!("{},{:03}", grouped(number / 1000), number % 1000),
        _ => number.to_string(),
    }
}
