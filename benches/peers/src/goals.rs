//! The goals that the figures are compared with.

use crate::figures::Figures;
use crate::jobs::Who;
use crate::record::COPIES;
use crate::run::Size;

/// A figure that is better small.
pub(crate) struct Goal {
    pub(crate) what: &'static str,
    pub(crate) figure: Option<f64>,
    pub(crate) at_most: f64,
}

pub(crate) fn goals(figures: &Figures, size: &Size) -> Vec<Goal> {
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
