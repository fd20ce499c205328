//! The language as data: text and tree, or text and error.

use crate::language::parse;
use crate::language::tree::{
    Aggregate, Comparison, Expression, Literal, Path, Projection, Segment, Set, Statement,
};

/// A statement in a short form that shows its structure.
fn shown(text: &str) -> String {
    match parse(text) {
        Ok(statement) => show(&statement),
        Err(fault) => format!("error: {}", fault.content),
    }
}

fn show(statement: &Statement) -> String {
    let mut parts = Vec::new();
    let projections: Vec<_> = statement
        .projections
        .iter()
        .map(|projection| match projection {
            Projection::Path(path) => dotted(path),
            Projection::Aggregate(function, path) => {
                format!("{}:{}", function.name(), dotted(path))
            }
        })
        .collect();
    parts.push(format!(
        "{}[{}]",
        statement.entity_type,
        projections.join(" ")
    ));
    if let Some(filter) = &statement.filter {
        parts.push(expression(filter));
    }
    for order in &statement.order {
        parts.push(format!(
            "{}{}",
            if order.is_descending { "-" } else { "+" },
            dotted(&order.path)
        ));
    }
    for path in &statement.group {
        parts.push(format!("by {}", dotted(path)));
    }
    if statement.offset > 0 {
        parts.push(format!("offset {}", statement.offset));
    }
    if let Some(limit) = statement.limit {
        parts.push(format!("limit {limit}"));
    }
    parts.join(" ")
}

fn expression(tree: &Expression) -> String {
    let list = |parts: &[Expression]| parts.iter().map(expression).collect::<Vec<_>>().join(" ");
    match tree {
        Expression::And(parts) => format!("(and {})", list(parts)),
        Expression::Or(parts) => format!("(or {})", list(parts)),
        Expression::Not(inner) => format!("(not {})", expression(inner)),
        Expression::Compare(path, comparison, value) => {
            let sign = match comparison {
                Comparison::Equal => "=",
                Comparison::Unequal => "!=",
                Comparison::Greater => ">",
                Comparison::Less => "<",
                Comparison::GreaterOrEqual => ">=",
                Comparison::LessOrEqual => "<=",
                Comparison::Like => "~",
                Comparison::NotLike => "!~",
            };
            format!("({}{sign}{})", dotted(path), literal(value))
        }
        Expression::In(path, Set::List(values), is_negated) => {
            let values: Vec<_> = values.iter().map(literal).collect();
            let not = if *is_negated { "not " } else { "" };
            format!("({} {not}in {})", dotted(path), values.join("|"))
        }
        Expression::In(path, Set::Query(statement), _) => {
            format!("({} in {{{}}})", dotted(path), show(statement))
        }
        Expression::Related(path, None) => format!("({} any)", dotted(path)),
        Expression::Related(path, Some(inner)) => {
            format!("({} any {})", dotted(path), expression(inner))
        }
    }
}

fn literal(value: &Literal) -> String {
    match value {
        Literal::None => "none".to_owned(),
        Literal::Text(text) => format!("'{text}'"),
    }
}

fn dotted(path: &Path) -> String {
    let segment = |segment: &Segment| match &segment.cast {
        Some(cast) => format!("{}[{cast}]", segment.name),
        None => segment.name.clone(),
    };
    path.segments
        .iter()
        .map(segment)
        .collect::<Vec<_>>()
        .join(".")
}

#[test]
fn queries_become_trees() {
    let cases = [
        ("Task", "Task[]"),
        (
            "select name, status.name from Task",
            "Task[name status.name]",
        ),
        ("Task where name is anim", "Task[] (name='anim')"),
        ("User where username is \"a b\"", "User[] (username='a b')"),
        (
            r#"Task where name is "say \"hi\" \\ \% \n""#,
            r#"Task[] (name='say "hi" \ \% \n')"#,
        ),
        ("Task where name is 'it\\'s'", "Task[] (name='it's')"),
        (
            "Task where a is 1 and b = 2 or c != 3",
            "Task[] (or (and (a='1') (b='2')) (c!='3'))",
        ),
        (
            "Task where a is 1 and (b is 2 or c is 3)",
            "Task[] (and (a='1') (or (b='2') (c='3')))",
        ),
        (
            "Task where not a is 1 and not (b is 2)",
            "Task[] (and (not (a='1')) (not (b='2')))",
        ),
        ("Task where not not a is 1", "Task[] (a='1')"),
        (
            "X where (a is \"x\"and b is \"y\")",
            "X[] (and (a='x') (b='y'))",
        ),
        (
            "X where id in (a,b) or id not_in (\"c\", d)",
            "X[] (or (id in 'a'|'b') (id not in 'c'|'d'))",
        ),
        (
            "X where a is_not None and b is null",
            "X[] (and (a!=none) (b=none))",
        ),
        ("X where a is \"none\"", "X[] (a='none')"),
        (
            "X where a after \"2015-06-01\" and a before b",
            "X[] (and (a>'2015-06-01') (a<'b'))",
        ),
        (
            "X where a greater_than 1 and a less_than 2",
            "X[] (and (a>'1') (a<'2'))",
        ),
        (
            "X where a>=1 and a<=2 and a>0 and a<3",
            "X[] (and (a>='1') (a<='2') (a>'0') (a<'3'))",
        ),
        (
            "X where a like \"%b_\" and c not_like d%",
            "X[] (and (a~'%b_') (c!~'d%'))",
        ),
        ("X where not timelogs any ()", "X[] (not (timelogs any))"),
        (
            "X where metadata any (key=k and value=v)",
            "X[] (metadata any (and (key='k') (value='v')))",
        ),
        (
            "X where status has (state.short is DONE)",
            "X[] (status any (state.short='DONE'))",
        ),
        (
            "X where id in (select parent_id from Task where name is a)",
            "X[] (id in {Task[parent_id] (name='a')})",
        ),
        (
            "X where parent[Folder].name is a",
            "X[] (parent[Folder].name='a')",
        ),
        (
            "X order by sort desc, status.name asc, id",
            "X[] -sort +status.name +id",
        ),
        ("X order by version descending", "X[] -version"),
        (
            "X where a is 1 offset 2  limit 1",
            "X[] (a='1') offset 2 limit 1",
        ),
        (
            "select count(id) from Task group by project_id, status_id",
            "Task[count:id] by project_id by status_id",
        ),
        (
            "select value from Setting where name is \"a\" and group is \"STORAGE\"",
            "Setting[value] (and (name='a') (group='STORAGE'))",
        ),
        (
            "SELECT name FROM Task WHERE a IS b AND c IN (d) LIMIT 1",
            "Task[name] (and (a='b') (c in 'd')) limit 1",
        ),
        (
            "select from, to from AssetVersionLink where from.id is a",
            "AssetVersionLink[from to] (from.id='a')",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(shown(text), expected, "{text}");
    }
    let Ok(Statement { projections, .. }) = parse("select max(a.b) from X") else {
        unreachable!()
    };
    assert!(matches!(
        projections[0],
        Projection::Aggregate(Aggregate::Max, _)
    ));
}

#[test]
fn errors_say_where() {
    let cases = [
        ("", 0),
        ("select name Task", 12),
        ("Task where", 10),
        ("Task where name", 15),
        ("Task where name is", 18),
        ("Task where name is \"a", 19),
        ("Task where name foo b", 16),
        ("Task where name ! b", 16),
        ("Task where (name is a", 21),
        ("Task where name is a)", 20),
        ("Task where id in a", 17),
        ("Task limit x", 11),
        ("Task limit -1", 11),
        ("Task offset 9223372036854775808", 12),
        ("Task where a..b is c", 11),
        ("Task where a[b is c", 11),
        ("Task; drop table context", 4),
        ("Task where a is b c", 18),
        ("select frob(id) from Task", 7),
    ];
    for (text, position) in cases {
        let shown = shown(text);
        let is_here = shown.contains(&format!("at position {position}:"));
        assert!(is_here, "{text}: {shown}");
    }
}

#[test]
fn nesting_is_limited() {
    for open in ["(", "not (", "a any ("] {
        let text = format!("Task where {}", open.repeat(200_000));
        assert!(shown(&text).contains("nested too deeply"), "{open}");
        let text = format!("Task where {}", open.repeat(1_500_000));
        assert!(shown(&text).contains("too long"), "{open}");
    }
    let text = format!("Task where {}a is b", "not ".repeat(100_000));
    assert_eq!(shown(&text), "Task[] (a='b')");
    let text = format!("Task where {} a is b", vec!["a is b"; 20_000].join(" or "));
    assert!(shown(&text).starts_with("error"));
    let sub = "id in (select id from Task where ".repeat(200);
    assert!(shown(&format!("Task where {sub}")).contains("nested too deeply"));
}
