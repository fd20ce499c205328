//! What holds for every tree and every text.

use std::fs;
use std::ops::RangeInclusive;
use std::path::Path as FilePath;

use ftrack_api::expr;
use ftrack_api::query::{
    Aggregate, Criterion, Kind, Literal, Operator, Order, Path, Projection, Set, Statement, Word,
    all_of, any_of, field, select,
};
use proptest::prelude::*;

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_][a-z0-9_]{0,7}",
        prop::sample::select(
            &[
                "group", "order", "from", "limit", "select", "is", "in", "any"
            ][..]
        )
        .prop_map(ToOwned::to_owned),
    ]
}

fn path() -> impl Strategy<Value = Path> {
    let segment = (name(), prop::option::of("[A-Z][a-z]{0,5}"))
        .prop_map(|(name, cast)| cast.map_or(name.clone(), |cast| format!("{name}[{cast}]")));
    prop::collection::vec(segment, 1..4).prop_map(|parts| parts.join(".").parse().unwrap())
}

fn literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        Just(Literal::Null),
        any::<bool>().prop_map(Literal::Bool),
        any::<f64>().prop_filter_map("not finite", |number| {
            Word::new(&number.to_string())
                .filter(|_| number.is_finite())
                .map(Literal::Word)
        }),
        "[a-zA-Z0-9_.@+:*%/-]{1,20}"
            .prop_filter_map("a keyword", |word| Word::new(&word).map(Literal::Word)),
        any::<String>().prop_map(Literal::Text),
        "[\"'\\\\{}\n a]{0,8}".prop_map(Literal::Text),
    ]
}

fn leaf() -> impl Strategy<Value = Criterion> {
    use Operator::{Greater, GreaterOrEqual, Is, IsNot, Less, LessOrEqual, Like, NotLike};
    let operators = [
        Is,
        IsNot,
        Greater,
        GreaterOrEqual,
        Less,
        LessOrEqual,
        Like,
        NotLike,
    ];
    prop_oneof![
        4 => (path(), prop::sample::select(operators.to_vec()), literal())
            .prop_map(|(path, operator, value)| Kind::Compare { path, operator, value }.into()),
        1 => (path(), prop::collection::vec(literal(), 0..4), any::<bool>()).prop_map(
            |(path, values, negated)| {
                let set = Set::Values(values);
                Kind::In { path, set, negated }.into()
            }
        ),
        1 => Just(Kind::And(vec![]).into()),
    ]
}

fn criterion() -> impl Strategy<Value = Criterion> {
    leaf().prop_recursive(6, 48, 4, |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(all_of),
            prop::collection::vec(inner.clone(), 2..4).prop_map(any_of),
            inner.clone().prop_map(Criterion::not),
            (path(), boxed.clone()).prop_map(|(path, inner)| Kind::Has { path, inner }.into()),
            (path(), boxed).prop_map(|(path, inner)| Kind::Any { path, inner }.into()),
            (path(), statement(inner.prop_map(Some)), any::<bool>()).prop_map(
                |(path, mut statement, negated)| {
                    statement.offset = None;
                    let set = Set::Select(Box::new(statement));
                    Kind::In { path, set, negated }.into()
                }
            ),
        ]
    })
}

fn projection() -> impl Strategy<Value = Projection> {
    use Aggregate::{Avg, Count, Max, Min, Sum};
    let functions = prop::sample::select(&[Count, Sum, Avg, Min, Max][..]);
    prop_oneof![
        3 => path().prop_map(Projection::Attribute),
        1 => (functions, path())
            .prop_map(|(function, path)| Projection::Aggregate(function, path)),
    ]
}

/// What an offset or a limit may be.
const ROWS: RangeInclusive<u64> = 0..=i64::MAX as u64;

fn statement(filter: impl Strategy<Value = Option<Criterion>>) -> impl Strategy<Value = Statement> {
    let order = (path(), any::<bool>()).prop_map(|(path, descending)| Order { path, descending });
    (
        prop::collection::vec(projection(), 0..4),
        "[A-Z][A-Za-z]{0,8}",
        filter,
        prop::collection::vec(order, 0..3),
        prop::collection::vec(path(), 0..3),
        prop::option::of(ROWS),
        prop::option::of(ROWS),
    )
        .prop_map(
            |(projections, entity_type, filter, order, group, offset, limit)| {
                let mut statement = select(entity_type);
                statement.projections = projections;
                (statement.filter, statement.order, statement.group) = (filter, order, group);
                (statement.offset, statement.limit) = (offset, limit);
                statement
            },
        )
}

/// What the fuzzer of `tests/fuzz` found worth keeping: between them, these texts reach every
/// line of the parser that it could reach.
#[test]
fn the_corpus_is_refused_or_settles() {
    let corpus = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus/query");
    let mut read = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(tree) = text.parse::<Statement>() {
            let printed = tree.expression().unwrap();
            assert_eq!(printed.parse::<Statement>().unwrap(), tree);
            read += 1;
        }
    }
    assert!(read >= 6, "the seeds are queries");
}

/// Whether no part of it always or never holds.
fn settled(criterion: &Criterion) -> bool {
    match criterion.kind() {
        Kind::And(parts) | Kind::Or(parts) => !parts.is_empty() && parts.iter().all(settled),
        Kind::Not(inner) => settled(inner),
        Kind::In {
            set: Set::Values(values),
            ..
        } => !values.is_empty(),
        Kind::In {
            set: Set::Select(statement),
            ..
        } => statement.filter.as_ref().is_none_or(settled),
        Kind::Has { inner, .. } | Kind::Any { inner, .. } => {
            *inner.kind() == Kind::And(vec![]) || settled(inner)
        }
        _ => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_printed_tree_reads_back_as_itself(tree in statement(prop::option::of(criterion()))) {
        let text = tree.expression().unwrap();
        let back: Statement = text.parse().unwrap();
        prop_assert_eq!(back, tree, "{}", text);
    }

    #[test]
    fn any_text_is_one_value(value in any::<String>()) {
        let text = expr!("T where name is {} and id is 1 limit 3", value).statement().unwrap().to_string();
        let back: Statement = text.parse().unwrap();
        prop_assert_eq!(back, select("T")
            .filter(field("name").eq(&value))
            .filter("id is 1".parse::<Criterion>().unwrap())
            .limit(3));
    }

    #[test]
    fn reading_never_panics_and_printing_settles(
        text in "(select |T|where |not |and |or |a|\\.|\\[|\\]|in|any|has|is|=|!|<|>|\\(|\\)|,|\"|'|\\\\|\\{|\\}|limit|order by| |3|-|å|\n){0,40}"
    ) {
        if let Ok(tree) = text.parse::<Statement>() {
            let printed = tree.expression().unwrap();
            prop_assert_eq!(printed.parse::<Statement>().unwrap(), tree);
        }
    }

    #[test]
    fn what_always_or_never_holds_is_gone_after_simplifying(tree in statement(prop::option::of(criterion()))) {
        if let Some(simple) = tree.simplified() {
            let text = simple.to_string();
            prop_assert_eq!(simple.simplified(), Some(text.parse::<Statement>().unwrap()));
            prop_assert!(simple.filter.as_ref().is_none_or(settled), "{}", text);
        }
    }
}
