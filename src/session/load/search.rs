//! Full-text search.

use serde_json::{Map, Value as Json, json};

use crate::error::Result;
use crate::handle::{Entity, Session};
use crate::query::{IntoStatement, Statement};
use crate::value::EntityKey;

/// A full-text search, made by [`Session::search`].
#[must_use = "a search does nothing until it is run"]
#[derive(Clone)]
pub struct Search {
    session: Session,
    statement: Statement,
    terms: Vec<String>,
    context_id: Option<String>,
    object_type_ids: Vec<String>,
}

impl Session {
    /// Prepares a search for words in the texts of entities, such as names, descriptions and the
    /// content of notes; the server decides which. `expression` is a query that selects where to
    /// search and what to load; all terms must match.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let project = session.query("Project where name is test")?.one()?;
    /// let found = session.search("select name from Task limit 10", ["anim"])?.below(&project).all()?;
    /// assert!(found.len() <= 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - Any error of [`query`](Self::query).
    pub fn search<T: Into<String>>(
        &self,
        expression: impl IntoStatement,
        terms: impl IntoIterator<Item = T>,
    ) -> Result<Search> {
        let statement = self.query(expression)?.with_default_projections()?;
        Ok(Search {
            session: self.clone(),
            statement,
            terms: terms.into_iter().map(Into::into).collect(),
            context_id: None,
            object_type_ids: Vec::new(),
        })
    }
}

impl Search {
    /// Restricts the search to a project, or to what lies below a folder, sequence or shot.
    pub fn below(mut self, context: impl Into<EntityKey>) -> Self {
        self.context_id = Some(context.into().id());
        self
    }

    /// Restricts the search to contexts of these object types, given by id.
    pub fn object_types<T: Into<String>>(mut self, ids: impl IntoIterator<Item = T>) -> Self {
        self.object_type_ids = ids.into_iter().map(Into::into).collect();
        self
    }

    /// Fetches all matching entities in one request; give the query a limit where there may be
    /// many.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if the server has no search.
    /// - Any error of [`Query::all`](crate::Query::all).
    pub fn all(&self) -> Result<Vec<Entity>> {
        let Some(statement) = self.statement.simplified() else {
            return Ok(Vec::new());
        };
        let summary = format!("search {:?} in {statement}", self.terms);
        let batch = self
            .session
            .entities_from(&[self.action(&statement)?], &summary)?;
        let page = self.session.absorb(batch).into_iter().next();
        Ok(page.unwrap_or_default().entities)
    }

    /// The action `search`.
    fn action(&self, statement: &Statement) -> Result<Json> {
        let mut action = Map::new();
        action.insert("action".to_owned(), "search".into());
        action.insert("expression".to_owned(), statement.expression()?.into());
        action.insert(
            "entity_type".to_owned(),
            statement.entity_type.as_str().into(),
        );
        action.insert("terms".to_owned(), json!(self.terms));
        if let Some(context) = &self.context_id {
            action.insert("context_id".to_owned(), context.as_str().into());
        }
        if !self.object_type_ids.is_empty() {
            action.insert("object_type_ids".to_owned(), json!(self.object_type_ids));
        }
        Ok(Json::Object(action))
    }
}

debug_fields!(Search, |this| statement: this.statement.to_string(), terms: this.terms);
