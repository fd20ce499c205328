//! The figures as tables, and the goals that they are compared with.

use std::fmt::Write as _;

use crate::contender::Time;
use crate::figures::Figures;
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

/// A figure that shall be small.
struct Goal {
    what: &'static str,
    figure: Option<f64>,
    at_most: f64,
}

fn goals(figures: &Figures, size: &Size) -> Vec<Goal> {
    use Who::{JavaScript, Module, Ours, Python, Structs, Value};

    let Size { tasks, changes, .. } = *size;
    let many = tasks * COPIES;
    let cpu = |who, scenario, count, step: &str| {
        figures
            .step(who, scenario, count, step)
            .map(|time| time.cpu)
    };
    let peak = |who, scenario, count| figures.peak(who, scenario, count);
    let of = |one: Option<f64>, other: Option<f64>| Some(one? / other?);
    let goal = |what, figure, at_most| Goal {
        what,
        figure,
        at_most,
    };
    let megabytes = |scenario| peak(Ours, scenario, tasks).map(|peak| peak / 1e6);
    let query = |who| cpu(who, "work", tasks, "query");
    let update = |who, count| cpu(who, "work", count, "update");
    let opened = |who| Some(cpu(who, "start", 0, "import")? + cpu(who, "start", 0, "open")?);
    let read = |who| Some(query(who)? + cpu(who, "work", tasks, "touch")?);
    let start = |who| figures.process(who, "start", 0).map(|time| time.cpu);
    vec![
        goal(
            "query into entities, CPU of `Value`",
            of(query(Ours), query(Value)),
            0.40,
        ),
        goal("… of Python", of(query(Ours), query(Python)), 1.0 / 120.0),
        goal(
            "… of JavaScript",
            of(query(Ours), query(JavaScript)),
            1.0 / 7.0,
        ),
        goal(
            "… peak memory of `Value`",
            of(peak(Ours, "work", tasks), peak(Value, "work", tasks)),
            0.15,
        ),
        goal("… MB", megabytes("work"), 15.0),
        goal(
            "query with users' data, CPU of `Value`",
            of(
                cpu(Ours, "users", tasks, "query"),
                cpu(Value, "users", tasks, "query"),
            ),
            0.40,
        ),
        goal("… peak memory, MB", megabytes("users"), 20.0),
        goal(
            "… over a link of 50 ms, seconds",
            figures
                .step(Ours, "slow", tasks, "query")
                .map(|time| time.wall / 1e3),
            0.5,
        ),
        goal(
            "… requests, with that which opens the session",
            figures.requests(Ours, "slow", tasks),
            6.0,
        ),
        goal(
            "read `link` into a typed list, CPU of parsing texts with `serde_json`",
            of(
                cpu(Ours, "users", tasks, "link"),
                cpu(Value, "users", tasks, "link"),
            ),
            1.2,
        ),
        goal(
            "`rows`, CPU of `serde_json` into the same structs",
            of(
                cpu(Ours, "rows", tasks, "rows"),
                cpu(Structs, "rows", tasks, "rows"),
            ),
            0.8,
        ),
        goal(
            "… peak memory of `Value`",
            of(peak(Ours, "rows", tasks), peak(Value, "work", tasks)),
            0.15,
        ),
        goal(
            "touch 13 attributes with `get`, CPU of JavaScript",
            of(
                cpu(Ours, "work", tasks, "touch singly"),
                cpu(JavaScript, "work", tasks, "touch"),
            ),
            0.5,
        ),
        goal(
            "… with texts as `String`",
            of(
                cpu(Ours, "work", tasks, "touch singly, String"),
                cpu(JavaScript, "work", tasks, "touch"),
            ),
            0.5,
        ),
        goal(
            "open, CPU of the floor",
            of(
                cpu(Ours, "start", 0, "open"),
                cpu(Value, "start", 0, "open"),
            ),
            1.0,
        ),
        goal(
            "a process that opens and ends, CPU of the floor",
            of(start(Ours), start(Value)),
            1.1,
        ),
        goal(
            "create and commit, CPU of the floor",
            of(
                cpu(Ours, "work", changes, "create"),
                cpu(Value, "work", changes, "create"),
            ),
            1.2,
        ),
        goal(
            "update and commit, CPU of the floor",
            of(update(Ours, changes), update(Value, changes)),
            1.0,
        ),
        goal(
            "… with a hundred times as many loaded, of that",
            of(update(Ours, many), update(Ours, changes)),
            1.5,
        ),
        goal(
            "`get` of a cached entity, CPU of Python",
            of(
                cpu(Ours, "work", tasks, "get"),
                cpu(Python, "work", tasks, "get"),
            ),
            1.0 / 20.0,
        ),
        goal(
            "Python module: import and open, CPU of Python",
            of(opened(Module), opened(Python)),
            1.0 / 4.0,
        ),
        goal(
            "… query and touch 13 attributes",
            of(read(Module), read(Python)),
            1.0 / 40.0,
        ),
        goal(
            "… create and commit",
            of(
                cpu(Module, "work", changes, "create"),
                cpu(Python, "work", changes, "create"),
            ),
            1.0 / 30.0,
        ),
        goal(
            "… update and commit, with ten times as many loaded",
            of(update(Module, tasks), update(Python, tasks)),
            1.0 / 100.0,
        ),
        goal(
            "… peak memory",
            of(peak(Module, "work", tasks), peak(Python, "work", tasks)),
            0.40,
        ),
    ]
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
