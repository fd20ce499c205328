//! The placeholders of a template.

/// Where the value of a placeholder comes from.
#[derive(Debug, PartialEq)]
pub(crate) enum Placeholder {
    /// `{}`: the next value after the template.
    Next,
    /// `{name}`: the variable of that name.
    Variable(String),
}

/// The placeholders of a template, in order.
///
/// # Errors
///
/// - A message if a placeholder is between quotes or is anything but `{}` and `{name}`.
pub(crate) fn placeholders(template: &str) -> Result<Vec<Placeholder>, String> {
    let mut found = Vec::new();
    let mut quote = None;
    let mut rest = template;
    while let Some(c) = rest.chars().next() {
        let next = rest[c.len_utf8()..].chars().next();
        let mut length = c.len_utf8();
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (None, '{' | '}') => {
                let (placeholder, end) = placeholder(rest)?;
                found.push(placeholder);
                length = end;
            }
            (Some(open), _) if c == open => quote = None,
            // Whatever is escaped does not end the quotes.
            (Some(_), '\\') => length += next.map_or(0, char::len_utf8),
            (Some(_), '{' | '}') if next == Some(c) => length += 1,
            (Some(_), '{' | '}') => return Err(quoted(rest)),
            _ => {}
        }
        rest = &rest[length..];
    }
    Ok(found)
}

/// The placeholder at the beginning of `text`, and its length.
fn placeholder(text: &str) -> Result<(Placeholder, usize), String> {
    let invalid = || {
        let shown: String = text.chars().take(20).collect();
        format!(
            "invalid placeholder at `{shown}`: a value is written as `{{}}`, a variable as `{{name}}`"
        )
    };
    let end = text
        .find('}')
        .filter(|_| text.starts_with('{'))
        .ok_or_else(invalid)?;
    let name = &text[1..end];
    let is_name = name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    match name {
        "" => Ok((Placeholder::Next, end + 1)),
        _ if is_name => Ok((Placeholder::Variable(name.to_owned()), end + 1)),
        _ => Err(invalid()),
    }
}

fn quoted(text: &str) -> String {
    let placeholder = text.find('}').map_or("{}", |end| &text[..=end]);
    format!(
        "the placeholder `{placeholder}` is between quotes: remove the quotes, because values are \
         quoted as needed; if only a part of the text varies, pass the whole text as the value; a \
         brace in a text is written `{{{{` or `}}}}`"
    )
}

/// # Errors
///
/// - A message if there are more or fewer values than placeholders without a name.
pub(crate) fn check_count(placeholders: &[Placeholder], values: usize) -> Result<(), String> {
    let expected = placeholders
        .iter()
        .filter(|one| **one == Placeholder::Next)
        .count();
    if expected == values {
        return Ok(());
    }
    let s = |count| if count == 1 { "" } else { "s" };
    Err(format!(
        "the template has {expected} placeholder{} `{{}}`, but {values} value{} follow{}",
        s(expected),
        s(values),
        if values == 1 { "s" } else { "" },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_stand_outside_quotes() {
        let named = |name: &str| Placeholder::Variable(name.to_owned());
        for (template, expected) in [
            ("Task", vec![]),
            (
                "a is {} and b in ({},{c})",
                vec![Placeholder::Next, Placeholder::Next, named("c")],
            ),
            (r#"a is "{{}}" and b is {_x1}"#, vec![named("_x1")]),
            (r#"a is 'it\'s' and b is {}"#, vec![Placeholder::Next]),
            (r#"a is "\\" and b is {}"#, vec![Placeholder::Next]),
            ("a is 'ü' and b is {größe}", vec![named("größe")]),
        ] {
            assert_eq!(placeholders(template), Ok(expected), "{template}");
        }
    }

    #[test]
    fn mistakes_are_explained() {
        for (template, says) in [
            (
                r#"a is "{}""#,
                "the placeholder `{}` is between quotes: remove the quotes",
            ),
            (
                "a is '%{name}%'",
                "the placeholder `{name}` is between quotes",
            ),
            ("a is '}'", "is between quotes"),
            ("a is {0}", "invalid placeholder at `{0}`"),
            ("a is {name:?}", "invalid placeholder"),
            ("a is {a.b}", "invalid placeholder"),
            ("a is { }", "invalid placeholder"),
            ("a is {", "invalid placeholder"),
            ("a is {{}}", "invalid placeholder at `{{}}`"),
            ("a is }", "invalid placeholder"),
        ] {
            let message = placeholders(template).expect_err(template);
            assert!(message.contains(says), "{template}: {message}");
        }
    }

    #[test]
    fn values_are_counted() {
        let two = [
            Placeholder::Next,
            Placeholder::Variable("a".to_owned()),
            Placeholder::Next,
        ];
        assert_eq!(check_count(&two, 2), Ok(()));
        let message = check_count(&two, 1).expect_err("too few");
        assert_eq!(
            message,
            "the template has 2 placeholders `{}`, but 1 value follows"
        );
    }
}
