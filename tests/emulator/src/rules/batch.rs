//! One batch of operations: its transaction, what it touched, and what follows at its end.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use rusqlite::Connection;
use rusqlite::types::Value as Sql;
use serde_json::Value;

use crate::changes::{Changes, Parent};
use crate::database::model::{Model, Type, TypeId};
use crate::error::{Fault, Result};
use crate::files::encode::{EncodeRequest, Media};
use crate::rules::record::{Record, key_of, plain};
use crate::select::encode::Encoder;
use crate::select::{Reader, find};
use crate::site::{Site, User};

/// Who sends a batch, and which form the response has.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The user whose key was used.
    pub user: User,
    /// The header `ftrack-Clienttoken`.
    pub client_token: String,
    /// The header `ftrack-pushtoken`.
    pub push_token: String,
    /// `ftrack-api-options: strict:1`.
    pub is_strict: bool,
    /// `ftrack-api-options: denormalize:1`.
    pub is_denormalized: bool,
}

/// The state of one batch. Everything in it happens in one transaction.
pub struct Batch<'a> {
    /// The emulator.
    pub site: &'a Site,
    /// The database, in the batch's transaction.
    pub connection: &'a Connection,
    /// Where everything is stored.
    pub model: &'a Model,
    /// Who sends the batch.
    pub caller: &'a Caller,
    /// When the batch began, in whole seconds UTC.
    pub now: String,
    /// What the response contains so far.
    pub encoder: Encoder,
    /// What changed, if anybody wants to know.
    pub changes: Option<Changes>,
    /// Rows whose values are checked at the end, with the columns that were set.
    pub touched: Vec<Touched>,
    index: HashMap<(usize, String), usize>,
    /// Notes that get their author as a recipient at the end.
    pub notes: Vec<String>,
    /// Contexts whose children changed.
    pub rollups: BTreeSet<String>,
    /// What the components that are to be encoded contain.
    pub media: HashMap<String, Media>,
    /// Encoding jobs to start after the commit, with their ids.
    pub encodings: Vec<(EncodeRequest, String)>,
    /// Components whose data goes after the commit.
    pub discarded: Vec<String>,
    /// What was looked up before: hundreds of new rows may hang below one row.
    pub memory: Memory,
    /// The position of the operation that is being carried out.
    pub operation: usize,
}

/// A statement and the two texts that it binds.
pub type Lookup = (&'static str, String, String);

/// Results of the database that hold until what they are about changes.
#[derive(Default)]
pub struct Memory {
    /// A context and everything above it, by its id.
    pub chains: RefCell<HashMap<String, Vec<Parent>>>,
    /// What the workflow of a project gives new rows.
    pub workflow: RefCell<HashMap<Lookup, Option<String>>>,
    /// The statement that reads whole rows, by the position of the table.
    pub selects: RefCell<HashMap<usize, Rc<str>>>,
}

/// A row to check at the end of the batch.
#[derive(Clone, Debug)]
pub struct Touched {
    /// The concrete type.
    pub ty: TypeId,
    /// The key.
    pub key: Vec<Sql>,
    /// The columns that were set.
    pub columns: BTreeSet<String>,
    /// Whether the row is new.
    pub is_new: bool,
    /// The position of the operation that touched it first.
    pub operation: usize,
}

impl<'a> Batch<'a> {
    /// A batch in the transaction of `connection`.
    pub fn new(site: &'a Site, connection: &'a Connection, caller: &'a Caller) -> Self {
        let encoder = Encoder::new(caller.is_strict, caller.is_denormalized);
        Self {
            site,
            connection,
            model: site.model(),
            caller,
            now: now(),
            encoder,
            changes: Some(Changes::default()),
            touched: Vec::new(),
            index: HashMap::new(),
            notes: Vec::new(),
            rollups: BTreeSet::new(),
            media: HashMap::new(),
            encodings: Vec::new(),
            discarded: Vec::new(),
            memory: Memory::default(),
            operation: 0,
        }
    }

    /// What queries need.
    pub fn reader(&self) -> Reader<'a> {
        Reader {
            connection: self.connection,
            model: self.model,
            url: &self.site.url,
            user: &self.caller.user.id,
        }
    }

    /// Remembers that columns of a row were set.
    pub fn touch(
        &mut self,
        ty: &Type,
        record: &Record,
        columns: impl Iterator<Item = String>,
        is_new: bool,
    ) {
        let key = key_of(ty, record);
        let name: Vec<_> = key.iter().map(plain).collect();
        let entry = self
            .index
            .entry((ty.table, name.join("\u{1f}")))
            .or_insert(self.touched.len());
        if *entry == self.touched.len() {
            self.touched.push(Touched {
                ty: ty.id,
                key,
                columns: BTreeSet::new(),
                is_new,
                operation: self.operation,
            });
        }
        self.touched[*entry].columns.extend(columns);
    }

    /// The type that an operation names.
    ///
    /// # Errors
    ///
    /// If it names none, or one that does not exist.
    pub fn type_of(&self, operation: &Value) -> Result<&'a Type> {
        let named = operation["entity_type"].as_str();
        let name = named.or_else(|| operation["entity_data"]["__entity_type__"].as_str());
        let name = name.ok_or_else(|| Fault::request("The operation lacks its entity_type"))?;
        find(self.model, name)
    }
}

/// The key that an operation or a reference names: a list in the order of the primary key, a bare
/// text, or the key's attributes.
///
/// # Errors
///
/// If values are missing or are no texts or numbers.
pub fn key(ty: &Type, given: &Value, data: &Value) -> Result<Option<Vec<Sql>>> {
    let values: Vec<&Value> = match given {
        Value::Array(list) => list.iter().collect(),
        Value::Object(members) => ty.key.iter().filter_map(|name| members.get(name)).collect(),
        Value::Null => ty
            .key
            .iter()
            .map(|name| &data[name])
            .filter(|value| !value.is_null())
            .collect(),
        one => vec![one],
    };
    if values.is_empty() && given.is_null() {
        return Ok(None);
    }
    let texts: Option<Vec<_>> = values.iter().map(|value| key_text(value)).collect();
    match texts {
        Some(texts) if texts.len() == ty.key.len() => Ok(Some(texts)),
        _ => Err(Fault::validation(format!(
            "The key of a {} is a list of {}: {}",
            ty.name,
            ty.key.len(),
            ty.key.join(", ")
        ))),
    }
}

fn key_text(value: &Value) -> Option<Sql> {
    match value {
        Value::String(text) => Some(Sql::Text(text.clone())),
        Value::Number(number) => Some(Sql::Text(number.to_string())),
        _ => None,
    }
}

/// The current time as it is stored.
pub fn now() -> String {
    let now = jiff::tz::TimeZone::UTC.to_datetime(jiff::Timestamp::now());
    now.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}
