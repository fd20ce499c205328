//! What goes wrong with a request, as the object that clients read.

use std::fmt;

use serde_json::{Value, json};

/// What every fallible step of serving a request returns.
pub type Result<T, E = Fault> = std::result::Result<T, E>;

/// A refused request: the exception's name, a text for people, and the status of strict responses.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The name of the exception, which clients match on.
    pub exception: &'static str,
    /// The subject and the way out.
    pub content: String,
    /// A stable name of the cause, where the real server has one.
    pub code: Option<&'static str>,
    /// The HTTP status of a strict response; lax responses have 200.
    pub status: u16,
    /// The position in the batch of the operation that is to blame, where that is known.
    pub operation: Option<usize>,
}

impl Fault {
    fn new(exception: &'static str, status: u16, content: impl Into<String>) -> Self {
        Self {
            exception,
            content: content.into(),
            code: None,
            status,
            operation: None,
        }
    }

    /// The data of an operation is not acceptable.
    pub fn validation(content: impl Into<String>) -> Self {
        Self::new("ValidationError", 422, content)
    }

    /// A row would exist twice, or would be left without a row that it needs.
    pub fn integrity(content: impl Into<String>) -> Self {
        Self::new("IntegrityError", 409, content)
    }

    /// A second row where only one is allowed; clients look for this name in the text.
    pub fn duplicate(content: impl Into<String>) -> Self {
        Self::new(
            "DuplicateEntryError",
            409,
            format!("DuplicateEntryError: {}", content.into()),
        )
    }

    /// The text of a query cannot be read.
    pub fn syntax(content: impl Into<String>) -> Self {
        Self::new("ParseError", 400, content)
    }

    /// The body is not a list of operations, or an operation lacks something.
    pub fn request(content: impl Into<String>) -> Self {
        Self::new("InvalidRequestError", 400, content)
    }

    /// The user may not do this.
    pub fn permission(content: impl Into<String>) -> Self {
        Self::new("PermissionError", 403, content)
    }

    /// The user or the key is not known.
    pub fn credentials() -> Self {
        let mut fault = Self::new(
            "InvalidCredentialsError",
            401,
            "The supplied API key is not valid for the supplied user. Check the values of \
             ftrack-user and ftrack-api-key.",
        );
        fault.code = Some("api_credentials_invalid");
        fault
    }

    /// The emulator itself failed.
    pub fn internal(content: impl Into<String>) -> Self {
        Self::new("InternalServerError", 500, content)
    }

    /// Another status for strict responses than the exception's usual one.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Blames an operation of the batch.
    #[must_use]
    pub fn of_operation(mut self, index: usize) -> Self {
        self.operation = Some(index);
        self
    }

    /// The object that clients read. Braces are replaced: the Python client formats the text.
    pub fn to_json(&self) -> Value {
        let content = self.content.replace('{', "(").replace('}', ")");
        json!({"exception": self.exception, "content": content, "error_code": self.code})
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.exception, self.content)
    }
}

impl std::error::Error for Fault {}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{ConstraintViolation, OperationInterrupted};
        if error.sqlite_error_code() == Some(ConstraintViolation) {
            return Self::integrity(format!(
                "A value that must be unique exists already: {error}"
            ));
        }
        if error.sqlite_error_code() == Some(OperationInterrupted) {
            return Self::validation(
                "The batch takes too long: select fewer relations or rows at once",
            );
        }
        Self::internal(format!(
            "The emulator's database refused a statement: {error}"
        ))
    }
}
