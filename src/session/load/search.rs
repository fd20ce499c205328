//! Full-text search.

use serde_json::{Map, Value as Json, json};

use crate::api::{Intent, check_count};
use crate::error::Result;
use crate::handle::{Entity, Session};
use crate::query::{IntoStatement, Statement};
use crate::value::EntityKey;
use crate::wire::decode;

/// A full-text search that has not been sent yet; made by [`Session::search`].
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
    /// Prepares a search for words in the texts of entities: names, descriptions, contents of
    /// notes; the server decides which. `expression` is a query that says what to search
    /// through and what to load; every term must occur.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// let project = session.query("Project where name is test")?.one()?;
    /// let found = session.search("select name from Task limit 10", ["anim"])?.below(&project).all()?;
    /// assert!(found.len() <= 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`query`](Self::query).
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
    /// Only what lies in this project, or below this folder, sequence or shot.
    pub fn below(mut self, context: impl Into<EntityKey>) -> Self {
        self.context_id = Some(context.into().id());
        self
    }

    /// Only contexts of these object types; the ids of `ObjectType`s.
    pub fn object_types<T: Into<String>>(mut self, ids: impl IntoIterator<Item = T>) -> Self {
        self.object_type_ids = ids.into_iter().map(Into::into).collect();
        self
    }

    /// Every entity that was found, in one request; give the query a limit where that may be
    /// many.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if the server cannot search;
    /// else as for [`Query::all`](crate::Query::all).
    pub fn all(&self) -> Result<Vec<Entity>> {
        let Some(statement) = self.statement.simplified() else {
            return Ok(Vec::new());
        };
        let action = self.action(&statement)?;
        let summary = format!("search {:?} in {statement}", self.terms);
        let api = &self.session.shared.api;
        let answer = api.exchange(Intent::Read, &[action], &summary, |response| {
            let answer = decode(self.session.schema(), response)?;
            check_count(answer.replies.len(), 1)?;
            Ok(answer)
        })?;
        api.counters().decoded(answer.rows.rows.len());
        let page = self.session.adopt(answer).into_iter().next();
        Ok(page.unwrap_or_default().entities)
    }

    /// The action `search` (SERVER.md B3).
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

impl std::fmt::Debug for Search {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Search")
            .field("statement", &self.statement.to_string())
            .field("terms", &self.terms)
            .finish_non_exhaustive()
    }
}
