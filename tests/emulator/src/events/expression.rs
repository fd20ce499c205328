//! Subscription and target expressions: `topic=ftrack.update and not data.user.name="bot"`.
//!
//! The grammar is the Python client's: conditions joined by `not`, `and`, `or`
//! in that order of strength, and parentheses.
//!
//! The official clients read some conditions differently: a trailing `*` is "contains" in
//! Python and "starts with" in JavaScript, and Python never finds the number 5 equal to the
//! text of an expression, which people nevertheless mean. Clients test every event again, so
//! the server delivers what *any* reading accepts. A negation turns this around: `not x` may
//! hold as soon as one reading of `x` does not. `Reading` keeps track of that.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// How deeply parentheses and `not` may be nested.
pub const MAX_DEPTH: usize = 64;
/// How many bytes an expression may have.
pub const MAX_LENGTH: usize = 64 * 1024;

/// A parsed expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// One comparison.
    Condition(Condition),
    /// Every one of these holds.
    All(Vec<Expression>),
    /// At least one of these holds.
    Any(Vec<Expression>),
    /// This does not hold.
    Not(Box<Expression>),
}

/// One comparison of a value inside the candidate with a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// The keys that lead to the value, from the outside in.
    path: Vec<String>,
    operator: Operator,
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Operator {
    Equal,
    NotEqual,
    AtLeast,
    AtMost,
    Greater,
    Less,
}

/// Which readings of a condition have to accept it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Reading {
    Any,
    Every,
}

impl Expression {
    /// Parses an expression.
    ///
    /// # Errors
    ///
    /// A sentence with the position of what could not be read, or with the limit
    /// ([`MAX_DEPTH`], [`MAX_LENGTH`]) that was exceeded.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_LENGTH {
            return Err(format!("an expression has at most {MAX_LENGTH} bytes"));
        }
        let mut parser = Parser { text, at: 0 };
        let expression = parser.any(0)?;
        parser.skip_blanks();
        if parser.at < text.len() {
            return Err(parser.expected("and, or, or the end"));
        }
        Ok(expression)
    }

    /// Whether `candidate` satisfies the expression in any official client's reading.
    pub fn matches(&self, candidate: &Value) -> bool {
        self.holds(candidate, Reading::Any)
    }

    /// The topic that an event must have, exactly, to satisfy the expression; `None` if events
    /// of several topics can.
    pub fn topic(&self) -> Option<&str> {
        match self {
            Self::Condition(condition) => condition.topic(),
            Self::All(parts) => parts.iter().find_map(Self::topic),
            Self::Any(_) | Self::Not(_) => None,
        }
    }

    fn holds(&self, candidate: &Value, reading: Reading) -> bool {
        match self {
            Self::Condition(condition) => condition.holds(candidate, reading),
            Self::All(parts) => parts.iter().all(|part| part.holds(candidate, reading)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(candidate, reading)),
            Self::Not(part) => !part.holds(candidate, reading.turned()),
        }
    }
}

impl Reading {
    fn turned(self) -> Self {
        match self {
            Self::Any => Self::Every,
            Self::Every => Self::Any,
        }
    }

    fn accepts(self, one: bool, other: bool) -> bool {
        match self {
            Self::Any => one || other,
            Self::Every => one && other,
        }
    }
}

impl Condition {
    fn topic(&self) -> Option<&str> {
        let exact = self.operator == Operator::Equal && !self.value.ends_with('*');
        (exact && self.path == ["topic"]).then_some(self.value.as_str())
    }

    fn holds(&self, candidate: &Value, reading: Reading) -> bool {
        let found = self.path.iter().try_fold(candidate, |at, key| at.get(key));
        // A missing key satisfies nothing, not even `!=`.
        let Some(found) = found else { return false };
        if let (Operator::Equal, Some(start)) = (self.operator, self.value.strip_suffix('*')) {
            return begins(found, start, reading);
        }
        // Python finds whatever is not a text unlike every text.
        let unlike = self.operator == Operator::NotEqual;
        match found {
            Value::String(text) => self.operator.accepts(text.as_str().cmp(&self.value)),
            Value::Number(number) => reading.accepts(unlike, self.compare_number(number)),
            Value::Bool(flag) => reading.accepts(unlike, self.compare_flag(*flag)),
            Value::Null | Value::Array(_) | Value::Object(_) => unlike,
        }
    }

    fn compare_flag(&self, flag: bool) -> bool {
        let same = self
            .value
            .eq_ignore_ascii_case(if flag { "true" } else { "false" });
        match self.operator {
            Operator::Equal => same,
            Operator::NotEqual => !same,
            _ => false,
        }
    }

    fn compare_number(&self, number: &Number) -> bool {
        let order = match (number.as_f64(), self.value.parse::<f64>()) {
            (Some(found), Ok(wanted)) => found.partial_cmp(&wanted),
            _ => None,
        };
        order.map_or(self.operator == Operator::NotEqual, |order| {
            self.operator.accepts(order)
        })
    }
}

/// A trailing `*`: the text contains (Python) or starts with (JavaScript) `start`.
///
/// Python's `in` also looks into lists and among the keys of objects.
fn begins(found: &Value, start: &str, reading: Reading) -> bool {
    match found {
        Value::String(text) => reading.accepts(text.contains(start), text.starts_with(start)),
        Value::Array(items) => {
            reading == Reading::Any && items.iter().any(|item| item.as_str() == Some(start))
        }
        Value::Object(map) => reading == Reading::Any && map.contains_key(start),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

impl Operator {
    /// Longer spellings first: `>=` starts like `>`.
    const SPELLINGS: [(&str, Self); 6] = [
        ("!=", Self::NotEqual),
        (">=", Self::AtLeast),
        ("<=", Self::AtMost),
        ("=", Self::Equal),
        (">", Self::Greater),
        ("<", Self::Less),
    ];

    fn accepts(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::AtLeast => order.is_ge(),
            Self::AtMost => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::Less => order.is_lt(),
        }
    }
}

/// A cursor in the text of an expression; one method per rule of the grammar.
struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn any(&mut self, depth: usize) -> Result<Expression, String> {
        let mut parts = vec![self.all(depth)?];
        while self.keyword("or") {
            parts.push(self.all(depth)?);
        }
        Ok(single_or(parts, Expression::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Expression, String> {
        let mut parts = vec![self.not(depth)?];
        while self.keyword("and") {
            parts.push(self.not(depth)?);
        }
        Ok(single_or(parts, Expression::All))
    }

    fn not(&mut self, depth: usize) -> Result<Expression, String> {
        if depth > MAX_DEPTH {
            return Err(format!("an expression is nested at most {MAX_DEPTH} deep"));
        }
        let start = self.at;
        if self.keyword("not") && self.operator().is_none() {
            return Ok(Expression::Not(Box::new(self.not(depth + 1)?)));
        }
        // `not=1` compares a key of that name.
        self.at = start;
        if self.take("(") {
            let inner = self.any(depth + 1)?;
            return if self.take(")") {
                Ok(inner)
            } else {
                Err(self.expected("a closing parenthesis"))
            };
        }
        self.condition()
    }

    fn condition(&mut self) -> Result<Expression, String> {
        let field = self.word("_.").ok_or_else(|| self.expected("a field"))?;
        let operator = self
            .operator()
            .ok_or_else(|| self.expected("one of = != >= <= > <"))?;
        let value = self.value()?;
        Ok(Expression::Condition(Condition {
            path: field.split('.').map(str::to_owned).collect(),
            operator,
            value,
        }))
    }

    fn operator(&mut self) -> Option<Operator> {
        let (_, operator) = Operator::SPELLINGS
            .into_iter()
            .find(|(spelling, _)| self.take(spelling))?;
        Some(operator)
    }

    fn value(&mut self) -> Result<String, String> {
        self.skip_blanks();
        for quote in ['"', '\''] {
            if self.text[self.at..].starts_with(quote) {
                return self.quoted(quote);
            }
        }
        self.word("-_,./*@+")
            .ok_or_else(|| self.expected("a value"))
    }

    /// A backslash takes the next character as it is; a doubled quote is one.
    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let mut value = String::new();
        let mut rest = self.text[self.at..].char_indices().skip(1).peekable();
        while let Some((offset, character)) = rest.next() {
            if character == '\\' {
                value.extend(rest.next().map(|(_, escaped)| escaped));
            } else if character != quote {
                value.push(character);
            } else if rest.next_if(|(_, next)| *next == quote).is_some() {
                value.push(quote);
            } else {
                self.at += offset + quote.len_utf8();
                return Ok(value);
            }
        }
        Err(self.expected("a closing quote for the value"))
    }

    fn word(&mut self, also: &str) -> Option<String> {
        self.skip_blanks();
        let rest = &self.text[self.at..];
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || also.contains(c)))
            .unwrap_or(rest.len());
        self.at += end;
        (end > 0).then(|| rest[..end].to_owned())
    }

    /// A keyword ends where a word does: `order=1` does not begin with `or`.
    fn keyword(&mut self, keyword: &str) -> bool {
        let start = self.at;
        let found = self
            .word("_.")
            .is_some_and(|word| word.eq_ignore_ascii_case(keyword));
        if !found {
            self.at = start;
        }
        found
    }

    fn take(&mut self, token: &str) -> bool {
        self.skip_blanks();
        let found = self.text[self.at..].starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn skip_blanks(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn expected(&self, what: &str) -> String {
        format!("the expression needs {what} at byte {}", self.at)
    }
}

fn single_or(mut parts: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    match parts.len() {
        1 => parts.remove(0),
        _ => many(parts),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn matches(expression: &str, candidate: &Value) -> bool {
        Expression::parse(expression).unwrap().matches(candidate)
    }

    #[test]
    fn conditions_on_texts() {
        let event = json!({
            "topic": "ftrack.update",
            "source": {"user": {"username": "a b@c"}, "not": "x"},
            "g": {"h": "10"},
        });
        for expression in [
            "topic=ftrack.update",
            "  topic = \"ftrack.update\" ",
            "topic='ftrack.update'",
            "topic=ftrack.*",
            "topic=*",
            "topic=\"ftrack.*\"",
            "topic!=ftrack",
            "topic>ftrack",
            "topic>=ftrack.update",
            "topic<=ftrack.update",
            "topic<g",
            "source.user.username=\"a b@c\"",
            "source.not=x",
            "g.h = 10",
            "topic=x or topic=ftrack.update",
            "topic=x and topic=y or g.h=10",
            "g.h=10 OR topic=x And topic=y",
            "not topic=x",
            "NOT (topic=x or topic=y)",
            "not not topic=ftrack.update",
            "not topic=x and g.h=10",
            "(((topic=ftrack.update)))",
            "topic=\"ftrack.update\"and g.h=10",
        ] {
            assert!(matches(expression, &event), "{expression}");
        }
        for expression in [
            "topic=ftrack",
            "topic=Ftrack.update",
            "topic=x.*",
            "topic!=ftrack.update",
            "topic>ftrack.update",
            "missing=1",
            "missing!=1",
            "topic.deeper=1",
            "source.user.missing!=1",
            "source=x",
            "not topic=ftrack.update",
            "not (topic=x or g.h=10)",
            "g.h=10 and (topic=x or topic=y)",
        ] {
            assert!(!matches(expression, &event), "{expression}");
        }
    }

    #[test]
    fn whatever_a_client_may_accept_is_delivered() {
        let event = json!({"topic": "my.ftrack.x", "n": 5, "b": true, "nil": null,
            "list": ["a"], "map": {"a": 1}});
        for expression in [
            // Python: contains. JavaScript: starts with. Neither reading is held against it.
            "topic=ftrack.*",
            "not topic=ftrack.*",
            // By value, and by Python's strict types.
            "n=5",
            "n=5.0",
            "n!=5",
            "not n=5",
            "n>4",
            "n<10",
            "b=true",
            "b=True",
            "b!=true",
            "nil!=x",
            "list=a*",
            "map=a*",
            "list!=a",
        ] {
            assert!(matches(expression, &event), "{expression}");
        }
        for expression in [
            "not topic=my.*",
            "n=6",
            "n>5",
            "b=false",
            "b>a",
            "nil=null",
            "n=5*",
        ] {
            assert!(!matches(expression, &event), "{expression}");
        }
    }

    #[test]
    fn quotes_and_escapes() {
        let event = json!({"a": "x\"y", "b": "and or", "c": "ä"});
        for expression in [
            r#"a="x\"y""#,
            r#"a="x""y""#,
            r#"a='x"y'"#,
            "b='and or'",
            "c=\"ä\"",
        ] {
            assert!(matches(expression, &event), "{expression}");
        }
        assert!(!matches("a=\"\"", &event));
    }

    #[test]
    fn refuses_what_is_no_expression() {
        for text in [
            "",
            "  ",
            "topic",
            "topic=",
            "=x",
            "topic=x and",
            "topic=x or or",
            "(topic=x",
            "not",
            "topic=x)",
            "topic=\"x",
            "topic=x topic=y",
            "a=ä",
            "a==b",
            "topic=x and ()",
            "a=\"\\",
        ] {
            assert!(Expression::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn depth_and_length_are_limited() {
        let nested = |depth: usize| format!("{}a=1{}", "(".repeat(depth), ")".repeat(depth));
        assert!(Expression::parse(&nested(MAX_DEPTH)).is_ok());
        assert!(Expression::parse(&nested(MAX_DEPTH + 1)).is_err());
        assert!(Expression::parse(&nested(30_000)).is_err());
        assert!(Expression::parse(&"not ".repeat(16_000)).is_err());
        assert!(Expression::parse(&"a".repeat(MAX_LENGTH + 1)).is_err());
    }

    #[test]
    fn finds_the_topic_that_an_event_must_have() {
        let topic = |text| Expression::parse(text).unwrap().topic().map(str::to_owned);
        assert_eq!(topic("topic=a").as_deref(), Some("a"));
        assert_eq!(topic("data.x=1 and (topic=a)").as_deref(), Some("a"));
        for open in [
            "topic=a*",
            "topic=a or topic=b",
            "not topic=a",
            "topic!=a",
            "data.topic=a",
        ] {
            assert_eq!(topic(open), None, "{open}");
        }
    }
    #[test]
    fn no_text_makes_it_panic() {
        const TOKENS: [&str; 20] = [
            "topic", "=", "!=", ">=", "<", "a", "*", "\"", "'", "\\", "(", ")", " and ", " or ",
            "not ", " ", "ä", "\n", ".", "5",
        ];
        let event = json!({"topic": "a", "a": {"5": [5, "ä", null]}});
        let (mut random, mut parsed) = (1_u64, 0);
        for _ in 0..50_000 {
            let mut text = String::new();
            for _ in 0..12 {
                // Knuth's linear congruential generator; its high bits are good enough.
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                text.push_str(TOKENS[(random >> 33) as usize % TOKENS.len()]);
                if let Ok(expression) = Expression::parse(&text) {
                    expression.matches(&event);
                    parsed += 1;
                }
            }
        }
        assert!(parsed > 100, "{parsed}");
    }
}
