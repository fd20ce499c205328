//! Templates with holes: a value is put into the tree, never into the text.

use crate::error::Result;
use crate::query::operand::{Operand, ToOperand};
use crate::query::parse::{criterion_of, statement_of};
use crate::query::tree::{BuildError, Criterion, Statement};

/// A query, or a condition, with values in the holes `{}` of a template.
///
/// ```
/// use ftrack_api::expr;
/// use ftrack_api::query::{field, select};
///
/// let name = r#"say "hi""#;
/// let query = expr!("Task where name is {} and bid in {}", name, [1, 2]);
/// assert_eq!(
///     query.statement()?.to_string(),
///     r#"Task where name is "say \"hi\"" and bid in (1, 2)"#
/// );
///
/// // A condition, for the builder; and a condition in a hole.
/// let late = expr!("end_date < {} and not {}", jiff::civil::date(2026, 1, 2), field("bid").eq(0));
/// let statement = select("Task").filter(late).limit(5);
/// assert_eq!(
///     statement.to_string(),
///     "Task where end_date < \"2026-01-02\" and not bid is 0 limit 5"
/// );
/// # Ok::<(), ftrack_api::Error>(())
/// ```
///
/// A hole stands where a value can stand: after an operator, in the list of `in`, in place of
/// that list, after `offset` and `limit`; or where a condition can stand. The text around it is
/// read as it is written, so that no value can change what the query means. Values are anything
/// that is [`ToOperand`](crate::query::ToOperand): texts, numbers, booleans, options, dates,
/// UUIDs, entities, lists, sub-queries, conditions.
///
/// Holes do not stand in quotes: a text that is partly fixed is put together before,
/// `expr!("name like {}", format!("{prefix}%"))`. Between quotes, `{{` and `}}` stand for braces.
///
/// The template is a literal, so a text put together by `format!` does not compile, nor do too
/// few or too many values:
///
/// ```compile_fail
/// ftrack_api::expr!(format!("Task where name is {}", "x"));
/// ```
/// ```compile_fail
/// ftrack_api::expr!("Task where name is {} and bid is {}", "x");
/// ```
#[macro_export]
macro_rules! expr {
    ($template:literal $(, $value:expr)* $(,)?) => {{
        const {
            let values: &[&str] = &[$(stringify!($value)),*];
            assert!(
                $crate::query::holes($template) == values.len(),
                "the number of values differs from the number of holes in the template"
            );
        }
        $crate::query::Expression::new(
            $template,
            &[$(&$value as &dyn $crate::query::ToOperand),*],
        )
    }};
}

/// What [`expr!`](crate::expr) gives: a template and its values, not yet read.
///
/// It is read as a statement or as a condition, whichever is asked for.
#[derive(Clone, Debug)]
#[must_use = "an expression does nothing until a session runs it"]
pub struct Expression {
    template: &'static str,
    operands: Vec<Result<Operand, BuildError>>,
}

impl Expression {
    /// The template with these values; [`expr!`](crate::expr) also checks their number when the
    /// program is compiled.
    ///
    /// ```
    /// use ftrack_api::query::Expression;
    ///
    /// let expression = Expression::new("Task where bid > {}", &[&3]);
    /// assert_eq!(expression.statement()?.to_string(), "Task where bid > 3");
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    pub fn new(template: &'static str, values: &[&dyn ToOperand]) -> Self {
        let operands = values
            .iter()
            .map(|value| value.to_operand().map_err(BuildError::from))
            .collect();
        Self { template, operands }
    }

    /// The expression as a query.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Syntax`](crate::ErrorKind::Syntax): the template cannot be read, or a value
    ///   stands where none can; the message shows the place.
    /// - [`ErrorKind::Validation`](crate::ErrorKind::Validation): a value cannot stand in a query.
    ///
    /// ```
    /// let error = ftrack_api::expr!("Task where name {}", 1).statement().unwrap_err();
    /// assert_eq!(error.kind(), ftrack_api::ErrorKind::Syntax);
    /// ```
    pub fn statement(&self) -> Result<Statement> {
        statement_of(self.template, &self.operands)
    }

    /// The expression as a condition.
    ///
    /// # Errors
    ///
    /// As [`statement`](Self::statement).
    ///
    /// ```
    /// let criterion = ftrack_api::expr!("name is {}", "anim").criterion()?;
    /// assert_eq!(criterion.to_string(), "name is \"anim\"");
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    pub fn criterion(&self) -> Result<Criterion> {
        criterion_of(self.template, &self.operands)
    }
}

impl From<Expression> for Criterion {
    /// An error is kept for [`Statement::expression`].
    fn from(expression: Expression) -> Self {
        expression
            .criterion()
            .unwrap_or_else(|error| BuildError::from(error).into())
    }
}

/// Anything that is a query: text, an [`Expression`], a [`Statement`].
///
/// ```
/// use ftrack_api::query::{IntoStatement, select};
///
/// let read = "Task limit 3".into_statement()?;
/// assert_eq!(read, select("Task").limit(3).into_statement()?);
/// # Ok::<(), ftrack_api::Error>(())
/// ```
pub trait IntoStatement {
    /// The statement.
    ///
    /// # Errors
    ///
    /// As [`Expression::statement`].
    fn into_statement(self) -> Result<Statement>;
}

impl IntoStatement for Statement {
    fn into_statement(self) -> Result<Statement> {
        self.verify().map(|()| self)
    }
}

impl IntoStatement for &Statement {
    fn into_statement(self) -> Result<Statement> {
        self.clone().into_statement()
    }
}

impl IntoStatement for Expression {
    fn into_statement(self) -> Result<Statement> {
        self.statement()
    }
}

impl IntoStatement for &Expression {
    fn into_statement(self) -> Result<Statement> {
        self.statement()
    }
}

impl IntoStatement for &str {
    fn into_statement(self) -> Result<Statement> {
        self.parse()
    }
}

impl IntoStatement for String {
    fn into_statement(self) -> Result<Statement> {
        self.parse()
    }
}

impl IntoStatement for &String {
    fn into_statement(self) -> Result<Statement> {
        self.parse()
    }
}

/// How many `{}` the template has outside quotes. For [`expr!`](crate::expr), when compiling.
#[doc(hidden)]
pub const fn holes(template: &str) -> usize {
    let bytes = template.as_bytes();
    let (mut at, mut quote, mut holes) = (0, 0, 0);
    while at < bytes.len() {
        let byte = bytes[at];
        if quote == 0 {
            if byte == b'"' || byte == b'\'' {
                quote = byte;
            } else if byte == b'{' && at + 1 < bytes.len() && bytes[at + 1] == b'}' {
                holes += 1;
            }
        } else if byte == quote {
            quote = 0;
        } else if byte == b'\\' {
            // Whatever is escaped does not end the quotes.
            at += 1;
        }
        at += 1;
    }
    holes
}
