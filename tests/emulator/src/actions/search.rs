//! `search`, which looks for words, and `parse_query`, which shows how a query is understood.

use serde_json::{Value, json};

use crate::actions::{Reply, query};
use crate::database::model::{Storage, Type};
use crate::error::{Fault, Result};
use crate::language;
use crate::language::tree::{
    Comparison, Expression, Literal, Path, Projection, Segment, Set, Statement,
};
use crate::rules::Batch;
use crate::schema::Kind;
use crate::select::{self, find};

/// The attributes that people look for words in [?].
const SEARCHED: [&str; 11] = [
    "name",
    "full_name",
    "description",
    "username",
    "first_name",
    "last_name",
    "email",
    "comment",
    "content",
    "label",
    "asset.name",
];

/// Rows in which every term occurs, below a context and of some object types.
pub(super) fn search(batch: &mut Batch<'_>, operation: &Value) -> Result<Reply> {
    let text = |name: &str| operation[name].as_str().filter(|text| !text.is_empty());
    let expression = text("expression").or_else(|| text("entity_type"));
    let expression = expression
        .ok_or_else(|| Fault::request("A search needs an expression or an entity_type"))?;
    let mut statement = language::parse(expression)?;
    let ty = find(batch.model, &statement.entity_type)?;
    let mut criteria: Vec<_> = statement.filter.take().into_iter().collect();
    for term in operation["terms"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        criteria.push(occurs(ty, term)?);
    }
    criteria.extend(text("context_id").map(|context| below(ty, context)));
    if let Some(types) = operation["object_type_ids"]
        .as_array()
        .filter(|types| !types.is_empty())
    {
        let types = types
            .iter()
            .filter_map(Value::as_str)
            .map(|id| Literal::Text(id.to_owned()));
        criteria.push(Expression::In(
            path("object_type_id"),
            Set::List(types.collect()),
            false,
        ));
    }
    if !criteria.is_empty() {
        statement.filter = Some(Expression::And(criteria));
    }
    let page = select::run(batch.reader(), &statement, &mut batch.encoder)?;
    Ok(query::reply("search", &page))
}

fn occurs(ty: &Type, term: &str) -> Result<Expression> {
    let term = term
        .replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_");
    let places: Vec<_> = SEARCHED
        .into_iter()
        .filter(|name| match name.split_once('.') {
            Some((relation, _)) => ty.name == "AssetVersion" && ty.get(relation).is_some(),
            None => ty.get(name).is_some_and(|attr| {
                attr.schema.kind == Kind::Text && matches!(attr.storage, Storage::Column(_))
            }),
        })
        .map(|name| {
            Expression::Compare(
                path(name),
                Comparison::Like,
                Literal::Text(format!("%{term}%")),
            )
        })
        .collect();
    if places.is_empty() {
        return Err(Fault::validation(format!(
            "{} has no text to search",
            ty.name
        )));
    }
    Ok(Expression::Or(places))
}

/// The context itself, and everything at any depth below it.
fn below(ty: &Type, context: &str) -> Expression {
    let context = || Literal::Text(context.to_owned());
    let names: &[&str] = match ty.name.as_str() {
        "Asset" => &[
            "parent.id",
            "parent[TypedContext].ancestors.id",
            "parent.project_id",
        ],
        "AssetVersion" => &[
            "asset.parent.id",
            "asset.parent[TypedContext].ancestors.id",
            "asset.parent.project_id",
        ],
        _ if ty.get("ancestors").is_some() => &["id", "ancestors.id", "project_id"],
        _ if ty.get("project_id").is_some() => &["project_id"],
        _ => &["id"],
    };
    let each = names
        .iter()
        .map(|name| Expression::Compare(path(name), Comparison::Equal, context()));
    Expression::Or(each.collect())
}

fn path(dotted: &str) -> Path {
    let segment = |text: &str| match text.split_once('[') {
        Some((name, cast)) => Segment {
            name: name.to_owned(),
            cast: Some(cast.trim_end_matches(']').to_owned()),
        },
        None => Segment {
            name: text.to_owned(),
            cast: None,
        },
    };
    Path {
        segments: dotted.split('.').map(segment).collect(),
        start: 0,
    }
}

/// How a query is understood. No source shows the shape of the reply [?].
pub(super) fn parse_query(batch: &Batch<'_>, operation: &Value) -> Result<Reply> {
    let expression = operation["expression"]
        .as_str()
        .ok_or_else(|| Fault::request("parse_query lacks its expression"))?;
    let statement = language::parse(expression)?;
    find(batch.model, &statement.entity_type)?;
    let Statement {
        projections,
        entity_type,
        filter,
        order,
        group,
        offset,
        limit,
    } = statement;
    let dotted = |path: &Path| {
        path.segments
            .iter()
            .map(|segment| segment.name.as_str())
            .collect::<Vec<_>>()
            .join(".")
    };
    let projections: Vec<_> = projections
        .iter()
        .map(|projection| match projection {
            Projection::Path(path) => dotted(path),
            Projection::Aggregate(function, path) => {
                format!("{}({})", function.name(), dotted(path))
            }
        })
        .collect();
    let order: Vec<_> = order
        .iter()
        .map(|order| json!({"attribute": dotted(&order.path), "descending": order.is_descending}))
        .collect();
    Ok(Reply::Done(json!({
        "action": "parse_query",
        "data": {
            "entity_type": entity_type,
            "projections": projections,
            "has_criteria": filter.is_some(),
            "order_by": order,
            "group_by": group.iter().map(dotted).collect::<Vec<_>>(),
            "offset": offset,
            "limit": limit,
        },
    })))
}
