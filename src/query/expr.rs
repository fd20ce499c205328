//! Templates: a value goes into the syntax tree, never into the text.

use crate::error::Result;
use crate::query::operand::{Operand, ToOperand};
use crate::query::parse::{criterion_of, statement_of};
use crate::query::tree::{BuildError, Criterion, Statement};

/// A query, or a condition, with values for the placeholders of a template: `{}` for the next value
/// after the template, `{name}` for a variable, as in [`format!`].
///
/// ```
/// use ftrack_api::expr;
/// use ftrack_api::query::{field, select};
///
/// let name = r#"say "hi""#;
/// let query = expr!("Task where name is {name} and bid in {}", [1, 2]);
/// assert_eq!(
///     query.statement()?.to_string(),
///     r#"Task where name is "say \"hi\"" and bid in (1, 2)"#
/// );
///
/// // A condition, for the builder; and a condition as a value.
/// let late = expr!("end_date < {} and not {}", jiff::civil::date(2026, 1, 2), field("bid").eq(0));
/// let statement = select("Task").filter(late).limit(5);
/// assert_eq!(
///     statement.to_string(),
///     "Task where end_date < \"2026-01-02\" and not bid is 0 limit 5"
/// );
/// # Ok::<(), ftrack_api::Error>(())
/// ```
///
/// A placeholder stands in place of a value (after an operator, in the list of `in` or in place of
/// that list, after `offset` and `limit`) or of a condition. Only the template is parsed, so no
/// value can change what the query means. A value is anything that implements
/// [`ToOperand`](crate::query::ToOperand): texts, numbers, booleans, options, dates, UUIDs,
/// entities, lists, sub-queries, conditions.
///
/// # Compile errors
///
/// The template is a literal and is checked by the compiler:
///
/// - A placeholder between quotes: remove the quotes. If only a part of the text varies, pass the
///   whole text: `expr!("name like {}", format!("{prefix}%"))`. Between quotes, `{{` and `}}` stand
///   for braces.
/// - Too few or too many values.
/// - A text made by `format!` in place of the template.
///
/// ```compile_fail
/// ftrack_api::expr!("Task where name is '{}'", "x");
/// ```
/// ```compile_fail
/// ftrack_api::expr!("Task where name is {} and bid is {}", "x");
/// ```
/// ```compile_fail
/// ftrack_api::expr!("Task where name is {name}");
/// ```
/// ```compile_fail
/// ftrack_api::expr!(format!("Task where name is {}", "x"));
/// ```
#[macro_export]
macro_rules! expr {
    ($template:literal $(, $value:expr)* $(,)?) => {
        $crate::query::fill_template!($crate, $template, $($value),*)
    };
}

/// The result of [`expr!`](crate::expr): a template and its values.
///
/// It is parsed when it is used, as a statement or as a condition.
#[derive(Clone, Debug)]
#[must_use = "an expression does nothing until a session runs it"]
pub struct Expression {
    template: &'static str,
    operands: Vec<Result<Operand, BuildError>>,
}

impl Expression {
    /// A template with one value for each placeholder, named or not, in order. Prefer
    /// [`expr!`](crate::expr), whose template is checked by the compiler.
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
    /// - [`ErrorKind::Syntax`](crate::ErrorKind::Syntax) if the template cannot be parsed, or a
    ///   placeholder stands where no value is allowed: the message shows the position.
    /// - [`ErrorKind::Validation`](crate::ErrorKind::Validation) if a value cannot be expressed in a
    ///   query.
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
    /// - Any error of [`statement`](Self::statement).
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
    /// An error is stored for [`Statement::expression`].
    fn from(expression: Expression) -> Self {
        expression
            .criterion()
            .unwrap_or_else(|error| BuildError::from(error).into())
    }
}

/// Anything that is a query: a text, an [`Expression`], a [`Statement`].
///
/// ```
/// use ftrack_api::query::{IntoStatement, select};
///
/// let read = "Task limit 3".into_statement()?;
/// assert_eq!(read, select("Task").limit(3).into_statement()?);
/// # Ok::<(), ftrack_api::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a query",
    label = "expected a query",
    note = "give a text without values from outside (`\"Task where bid > 3\"`), `expr!(…)` with values, or a \
            `Statement`"
)]
pub trait IntoStatement {
    /// Converts into a statement.
    ///
    /// # Errors
    ///
    /// - Any error of [`Expression::statement`].
    fn into_statement(self) -> Result<Statement>;
}

impl IntoStatement for Statement {
    fn into_statement(self) -> Result<Statement> {
        self.verify().map(|()| self)
    }
}

impl IntoStatement for Expression {
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

impl<S: IntoStatement + Clone> IntoStatement for &S {
    fn into_statement(self) -> Result<Statement> {
        self.clone().into_statement()
    }
}
