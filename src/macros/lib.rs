//! The compile-time part of `ftrack_api::expr!`: which values fill the placeholders of a template.
//!
//! A macro by example cannot look into a literal, and so cannot capture the variable that `{name}`
//! refers to.

mod template;

use proc_macro::{Delimiter, Group, Ident, Punct, Spacing, Span, TokenStream, TokenTree};

use template::Placeholder;

/// Expands `$crate, "template", value, …` to the call of `Expression::new` with a value for each
/// placeholder. For `expr!` only.
#[proc_macro]
pub fn fill_template(input: TokenStream) -> TokenStream {
    let mut arguments = split(input).into_iter();
    let (Some(root), Some(template)) = (arguments.next(), arguments.next()) else {
        return error(Span::call_site(), "expected a template");
    };
    let (literal, span) = match literal_of(template) {
        Ok(literal) => literal,
        Err(span) => {
            return error(
                span,
                "expected a template in quotes, such as \"name is {}\"",
            );
        }
    };
    let placeholders = match template::placeholders(&literal) {
        Ok(placeholders) => placeholders,
        Err(message) => return error(span, &message),
    };
    let values: Vec<TokenStream> = arguments.collect();
    if let Err(message) = template::check_count(&placeholders, values.len()) {
        return error(span, &message);
    }
    let mut values = values.into_iter();
    let filled = placeholders
        .into_iter()
        .filter_map(|placeholder| match placeholder {
            Placeholder::Next => values.next(),
            Placeholder::Variable(name) => Some(TokenTree::Ident(Ident::new(&name, span)).into()),
        });
    call(&root, &literal, span, filled)
}

/// `<root>::query::Expression::new("…", &[&(value) as &dyn <root>::query::ToOperand, …])`.
fn call(
    root: &TokenStream,
    literal: &str,
    span: Span,
    values: impl Iterator<Item = TokenStream>,
) -> TokenStream {
    let in_query = |name: &str| {
        let path = tokens(&format!("::query::{name}"));
        root.clone()
            .into_iter()
            .chain(path)
            .collect::<TokenStream>()
    };
    let mut list = TokenStream::new();
    for value in values {
        list.extend(tokens("&"));
        list.extend([grouped(Delimiter::Parenthesis, value)]);
        list.extend(tokens("as &dyn"));
        list.extend(in_query("ToOperand"));
        list.extend([TokenTree::Punct(Punct::new(',', Spacing::Alone))]);
    }
    let mut template = proc_macro::Literal::string(literal);
    template.set_span(span);
    let mut arguments: TokenStream = TokenTree::Literal(template).into();
    arguments.extend(tokens(", &"));
    arguments.extend([grouped(Delimiter::Bracket, list)]);
    let mut call = in_query("Expression::new");
    call.extend([grouped(Delimiter::Parenthesis, arguments)]);
    call
}

fn grouped(delimiter: Delimiter, tokens: TokenStream) -> TokenTree {
    TokenTree::Group(Group::new(delimiter, tokens))
}

/// The tokens of a text that is written in this file.
fn tokens(text: &str) -> TokenStream {
    text.parse().expect("valid tokens")
}

/// The arguments between the commas. Each value is one group without delimiters, because it comes
/// from a macro by example, so that a comma in it separates nothing.
fn split(input: TokenStream) -> Vec<TokenStream> {
    let mut arguments = vec![TokenStream::new()];
    for token in input {
        match (&token, arguments.last_mut()) {
            (TokenTree::Punct(punct), _) if punct.as_char() == ',' => {
                arguments.push(TokenStream::new());
            }
            (_, Some(last)) => last.extend([token]),
            (_, None) => {}
        }
    }
    if arguments.last().is_some_and(TokenStream::is_empty) {
        arguments.pop();
    }
    arguments
}

/// The text of a literal and where it stands; only where it stands if it is not a text.
fn literal_of(argument: TokenStream) -> Result<(String, Span), Span> {
    let token = argument.clone().into_iter().next();
    let token = match token {
        Some(TokenTree::Group(group)) => group.stream().into_iter().next(),
        token => token,
    };
    let span = token.map_or_else(Span::call_site, |token| token.span());
    let literal: syn::LitStr = syn::parse(argument).map_err(|_| span)?;
    Ok((literal.value(), span))
}

/// A call of `compile_error!`.
fn error(span: Span, message: &str) -> TokenStream {
    let mut text = proc_macro::Literal::string(message);
    text.set_span(span);
    let text = grouped(Delimiter::Parenthesis, TokenTree::Literal(text).into());
    let spanned = |token: TokenTree| {
        let mut token = token;
        token.set_span(span);
        token
    };
    tokens("::core::compile_error!")
        .into_iter()
        .chain([text])
        .map(spanned)
        .collect()
}
