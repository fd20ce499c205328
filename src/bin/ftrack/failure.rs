//! What a command ends with: a message, its remedy, and an exit code by its kind.

use std::fmt;
use std::io;
use std::process::ExitCode;

use ftrack_api::{Error, ErrorKind};

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// The exit codes, which scripts depend on: `docs/command-line.md` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Something failed that has no code of its own, or the user answered no.
    Failed = 1,
    /// The command line, the environment or the profile is not usable.
    Usage = 2,
    /// The server refused the key, or the user may not do this.
    Access = 3,
    /// Nothing matches.
    NotFound = 4,
    /// Several match where one was asked for.
    Ambiguous = 5,
    /// A value, a name or a query is wrong, or the server refused the data.
    Invalid = 6,
    /// The server could not be reached, or did not respond.
    Unreachable = 7,
    /// The server failed, or its response cannot be understood.
    Server = 8,
    /// A file could not be read or written.
    File = 9,
    /// Some of the work was done: some rows of an import were refused.
    Partial = 10,
    /// Ctrl-C.
    Cancelled = 130,
}

#[derive(Debug)]
pub(crate) enum Failure {
    /// The SDK's error, with the code of its kind.
    Ftrack(Error),
    Message {
        code: Code,
        message: String,
        remedy: Option<String>,
    },
    /// The reader of our output is gone: there is nobody to tell.
    ClosedPipe,
    /// The command has said it all.
    Said(Code),
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self::Message {
            code,
            message: message.into(),
            remedy: None,
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, message)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::Invalid, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Code::NotFound, message)
    }

    /// A file that cannot be used.
    pub(crate) fn file(path: &std::path::Path, error: &dyn fmt::Display) -> Self {
        Self::new(Code::File, format!("{}: {error}", path.display()))
    }

    /// Sets what to do about it.
    pub(crate) fn with_remedy(self, text: impl Into<String>) -> Self {
        match self {
            Self::Ftrack(_) | Self::Message { .. } => Self::Message {
                code: self.code(),
                message: self.to_string(),
                remedy: Some(text.into()),
            },
            other => other,
        }
    }

    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Ftrack(error) => code_of(error.kind()),
            Self::Message { code, .. } | Self::Said(code) => *code,
            Self::ClosedPipe => Code::Failed,
        }
    }

    fn remedy(&self) -> Option<&str> {
        match self {
            Self::Ftrack(error) => remedy_of(error.kind()),
            Self::Message { remedy, .. } => remedy.as_deref(),
            Self::ClosedPipe | Self::Said(_) => None,
        }
    }

    /// Prints it on stderr. A closed pipe is not a failure: its reader had enough.
    pub(crate) fn report(self) -> ExitCode {
        if matches!(self, Self::ClosedPipe) {
            return ExitCode::SUCCESS;
        }
        if !matches!(self, Self::Said(_)) {
            crate::terminal::say_error(&self.to_string(), self.remedy());
        }
        ExitCode::from(self.code() as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ftrack(error) if error.kind() == ErrorKind::Cancelled => {
                write!(f, "cancelled: {}", error.message())
            }
            // Its remedy is for programs that go on. Of a query that cannot be parsed, the second line shows
            // where; anything else is one line.
            Self::Ftrack(error) if error.kind() == ErrorKind::Syntax => {
                f.write_str(error.message())
            }
            Self::Ftrack(error) => f.write_str(&error.message().replace('\n', " ")),
            Self::Message { message, .. } => f.write_str(message),
            Self::ClosedPipe | Self::Said(_) => Ok(()),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Ftrack(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::new(Code::File, format!("cannot write the output: {error}")),
        }
    }
}

fn code_of(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::Configuration => Code::Usage,
        ErrorKind::Authentication | ErrorKind::Permission | ErrorKind::ReadOnly => Code::Access,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::MultipleFound => Code::Ambiguous,
        ErrorKind::Validation
        | ErrorKind::Duplicate
        | ErrorKind::Syntax
        | ErrorKind::UnknownType
        | ErrorKind::UnknownAttribute
        | ErrorKind::Immutable
        | ErrorKind::WrongType => Code::Invalid,
        ErrorKind::Connection | ErrorKind::Timeout | ErrorKind::Unavailable | ErrorKind::Tls => {
            Code::Unreachable
        }
        ErrorKind::Server | ErrorKind::BadResponse | ErrorKind::Unsupported => Code::Server,
        ErrorKind::Io => Code::File,
        ErrorKind::Cancelled => Code::Cancelled,
        _ => Code::Failed,
    }
}

/// What to do where the SDK, which knows of no command line, cannot say it.
fn remedy_of(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::Configuration => {
            "`ftrack profile add NAME` saves the server, the user and the key"
        }
        ErrorKind::Authentication => {
            "`ftrack profile add NAME` saves another key; `ftrack doctor` looks further"
        }
        ErrorKind::Connection | ErrorKind::Timeout | ErrorKind::Tls | ErrorKind::Unavailable => {
            "`ftrack doctor` says what does not work"
        }
        ErrorKind::UnknownType => "`ftrack schema` lists the entity types",
        ErrorKind::UnknownAttribute => "`ftrack schema TYPE` lists the attributes of a type",
        _ => return None,
    })
}
