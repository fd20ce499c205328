//! The figures as a picture: bars on a logarithmic scale, for light and dark pages.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};

use crate::contender::Time;
use crate::figures::Figures;
use crate::jobs::Who;
use crate::run::Size;
use crate::table::{grouped, short};

const WIDTH: f64 = 860.0;
/// Where bars begin, and how long the longest can be.
const LEFT: f64 = 250.0;
const LONGEST: f64 = 510.0;
const BAR: f64 = 13.0;
const GAP: f64 = 14.0;

/// Who is drawn, with a class of the style sheet.
const DRAWN: [(Who, &str, &str); 5] = [
    (Who::Ours, "ours", "the SDK"),
    (Who::Module, "module", "its Python module"),
    (Who::Value, "floor", "floor: ureq + serde_json::Value"),
    (Who::JavaScript, "javascript", "JavaScript, official"),
    (Who::Python, "python", "Python, official"),
];

/// Greys that read on white and on black, for viewers that do not say which it is.
const STYLE: &str = "
  text { font: 12px system-ui, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif; fill: #7a838d; }
  .title { font-size: 15px; font-weight: 600; }
  .what { font-size: 13px; text-anchor: end; }
  .tick { font-size: 10px; text-anchor: middle; }
  .grid { stroke: #8b949e; stroke-opacity: .3; }
  .ours { fill: #e8590c; } .module { fill: #f5a26b; } .floor { fill: #8b949e; }
  .javascript { fill: #d0a215; } .python { fill: #4b8bbe; }
  @media (prefers-color-scheme: light) {
    text { fill: #59636e; } .title, .what { fill: #1f2328; }
  }
  @media (prefers-color-scheme: dark) {
    text { fill: #9da7b3; } .title, .what { fill: #e6edf3; }
  }
";

/// Some bars with a name.
struct Group {
    what: String,
    bars: Vec<(&'static str, f64)>,
}

/// Draws times and memory.
pub(crate) fn draw(figures: &Figures, size: &Size) -> Result<String> {
    let Size { tasks, changes, .. } = *size;
    let (all, few) = (grouped(tasks), grouped(changes));
    let times = |what: String, time: &dyn Fn(Who) -> Option<Time>| Group {
        what,
        bars: bars(&|who| Some(time(who)?.cpu)),
    };
    let work = |what: String, count: usize, step: &str| {
        times(what, &|who| figures.step(who, "work", count, step))
    };
    let groups = [
        work(format!("query {all} tasks"), tasks, "query"),
        work(format!("touch 13 attributes of {all}"), tasks, "touch"),
        times("start, open, end".to_owned(), &|who| {
            figures.process(who, "start", 0)
        }),
        work(format!("create {few} and commit"), changes, "create"),
        work(format!("update {few} of {all} loaded"), tasks, "update"),
    ];
    let slow = [Group {
        what: format!("{all} tasks, users' data"),
        bars: bars(&|who| Some(figures.step(who, "slow", tasks, "query")?.wall)),
    }];
    let memory = [Group {
        what: format!("{all} tasks loaded"),
        bars: bars(&|who| Some(figures.peak(who, "work", tasks)? / 1e6)),
    }];
    let mut out = String::new();
    let mut y = legend(&mut out, 24.0);
    y = panel(
        &mut out,
        y + 30.0,
        "CPU time, milliseconds (logarithmic)",
        &groups,
    )?;
    y = panel(
        &mut out,
        y + 34.0,
        "Wall time over a link of 50 ms, milliseconds (logarithmic)",
        &slow,
    )?;
    y = panel(
        &mut out,
        y + 34.0,
        "Peak memory of the process, megabytes (logarithmic)",
        &memory,
    )?;
    let (width, height) = (WIDTH, y + 10.0);
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" role=\"img\">\n\
         <title>What the Rust SDK costs beside the official clients</title>\n\
         <style>{STYLE}</style>\n{out}</svg>\n"
    ))
}

fn bars(value: &dyn Fn(Who) -> Option<f64>) -> Vec<(&'static str, f64)> {
    let bar = |(who, class, _): (Who, &'static str, &str)| Some((class, value(who)?));
    DRAWN.into_iter().filter_map(bar).collect()
}

fn legend(out: &mut String, y: f64) -> f64 {
    let mut x = 20.0;
    for (_, class, name) in DRAWN {
        line(
            out,
            format_args!(
                "<rect class=\"{class}\" x=\"{x}\" y=\"{}\" width=\"12\" height=\"12\" rx=\"2\"/>",
                y - 10.5
            ),
        );
        line(
            out,
            format_args!("<text x=\"{}\" y=\"{y}\">{name}</text>", x + 18.0),
        );
        x += 44.0 + 6.8 * name.len() as f64;
    }
    y
}

/// Draws groups of bars under a title, on a scale of their own; returns where it ends.
fn panel(out: &mut String, top: f64, title: &str, groups: &[Group]) -> Result<f64> {
    let values = || groups.iter().flat_map(|group| &group.bars).map(|bar| bar.1);
    let smallest = values().min_by(f64::total_cmp).context("nothing to draw")?;
    let largest = values().max_by(f64::total_cmp).context("nothing to draw")?;
    // The shortest bar has some length too.
    let (first, last) = ((smallest / 1.5).log10().floor(), largest.log10().ceil());
    let place = |value: f64| LEFT + LONGEST * (value.log10() - first) / (last - first);
    let heights = groups
        .iter()
        .map(|group| BAR * group.bars.len() as f64 + GAP);
    let bottom = top + 32.0 + heights.sum::<f64>();
    line(
        out,
        format_args!("<text class=\"title\" x=\"20\" y=\"{top}\">{title}</text>"),
    );
    for decade in first as i32..=last as i32 {
        let (x, name) = (place(10f64.powi(decade)), short_power(decade));
        let (from, to) = (top + 26.0, bottom - GAP / 2.0);
        line(
            out,
            format_args!(
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{from}\" y2=\"{to}\"/>"
            ),
        );
        line(
            out,
            format_args!(
                "<text class=\"tick\" x=\"{x:.1}\" y=\"{}\">{name}</text>",
                top + 22.0
            ),
        );
    }
    let mut y = top + 32.0;
    for group in groups {
        let middle = y + BAR * group.bars.len() as f64 / 2.0 + 4.0;
        let what = &group.what;
        line(
            out,
            format_args!(
                "<text class=\"what\" x=\"{}\" y=\"{middle}\">{what}</text>",
                LEFT - 12.0
            ),
        );
        for (class, value) in &group.bars {
            let end = place(*value);
            let (height, width) = (BAR - 2.0, end - LEFT);
            line(
                out,
                format_args!(
                    "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"{height}\" rx=\"2\"/>"
                ),
            );
            let (x, base, text) = (end + 6.0, y + BAR - 3.0, short(*value));
            line(
                out,
                format_args!("<text x=\"{x:.1}\" y=\"{base}\">{text}</text>"),
            );
            y += BAR;
        }
        y += GAP;
    }
    Ok(bottom)
}

fn line(out: &mut String, element: std::fmt::Arguments<'_>) {
    writeln!(out, "{element}").expect("a string takes all");
}

/// A power of ten as a number.
fn short_power(decade: i32) -> String {
    match usize::try_from(decade) {
        Ok(decade) => grouped(10usize.pow(decade as u32)),
        Err(_) => format!("{}", 10f64.powi(decade)),
    }
}
