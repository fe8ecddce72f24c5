//! The derive macro behind `DefaultSerde`: one line of code per type, so it reads the tokens itself and needs no parser crate.

use std::iter::Peekable;

use proc_macro::{Delimiter, Group, Ident, Span, TokenStream, TokenTree, token_stream};

/// Gives a type a default serde: JSON, or the format that `#[default_serde(Format)]` names.
///
/// JSON asks for `serde::Serialize` and `serde::Deserialize`; another format is any type that implements
/// `Serde<YourType>` and `Default`.
///
/// ```ignore
/// #[derive(Clone, Serialize, Deserialize, DefaultSerde)]
/// struct Ride {
///     zone: String,
///     fare: f64,
/// }
/// ```
///
/// Generic types are refused with a compile error that shows the one line to write by hand, for the bounds that such
/// a type needs are its author's to say.
#[proc_macro_derive(DefaultSerde, attributes(default_serde))]
pub fn derive_default_serde(input: TokenStream) -> TokenStream {
    match expand(input) {
        Ok(output) => output,
        Err((message, span)) => compile_error(&message, span),
    }
}

type Fault = (String, Span);

fn expand(input: TokenStream) -> Result<TokenStream, Fault> {
    let mut tokens = input.into_iter().peekable();
    let mut format = None;
    let name = loop {
        match tokens.next() {
            Some(TokenTree::Punct(punct)) if punct.as_char() == '#' => {
                if let Some(TokenTree::Group(attribute)) = tokens.next() {
                    format = format_named_in(&attribute)?.or(format);
                }
            }
            Some(TokenTree::Ident(word)) if ["struct", "enum", "union"].contains(&&*word.to_string()) => {
                break name_after(&word, &mut tokens)?;
            }
            Some(_) => {}
            None => return Err(("DefaultSerde is for structs and enums".to_owned(), Span::call_site())),
        }
    };
    if let Some(TokenTree::Punct(punct)) = tokens.peek()
        && punct.as_char() == '<'
    {
        let message = format!(
            "DefaultSerde cannot be derived for the generic type `{name}`: write its bounds yourself, e.g. \
             `impl<T: Serialize + DeserializeOwned + 'static> DefaultSerde for {name}<T> {{ type Serde = Json; }}`"
        );
        return Err((message, name.span()));
    }
    let format = format.unwrap_or_else(|| "::streams_dsl::serdes::Json".to_owned());
    let code = format!(
        "impl ::streams_dsl::serdes::DefaultSerde for {name} {{ type Serde = {format}; }}\n\
         const _: fn() = || {{ fn writes<T, S: ::streams_dsl::serdes::Serde<T>>() {{}} writes::<{name}, {format}>(); }};"
    );
    code.parse().map_err(|_| {
        (
            format!("`#[default_serde({format})]`: name one type, e.g. `#[default_serde(MyFormat)]`"),
            name.span(),
        )
    })
}

/// The format in `[default_serde(Format)]`; none in any other attribute.
fn format_named_in(attribute: &Group) -> Result<Option<String>, Fault> {
    let mut tokens = attribute.stream().into_iter();
    match tokens.next() {
        Some(TokenTree::Ident(word)) if word.to_string() == "default_serde" => match tokens.next() {
            Some(TokenTree::Group(group))
                if group.delimiter() == Delimiter::Parenthesis && !group.stream().is_empty() =>
            {
                Ok(Some(group.stream().to_string()))
            }
            _ => Err(("name the format: `#[default_serde(MyFormat)]`".to_owned(), word.span())),
        },
        _ => Ok(None),
    }
}

fn name_after(word: &Ident, tokens: &mut Peekable<token_stream::IntoIter>) -> Result<Ident, Fault> {
    match tokens.next() {
        Some(TokenTree::Ident(name)) => Ok(name),
        _ => Err((format!("a name is missing behind `{word}`"), word.span())),
    }
}

fn compile_error(message: &str, span: Span) -> TokenStream {
    let code: TokenStream = format!("::core::compile_error!({message:?});").parse().unwrap_or_default();
    code.into_iter()
        .map(|mut token| {
            token.set_span(span);
            token
        })
        .collect()
}
