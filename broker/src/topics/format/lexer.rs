//! The words of a schema.

use std::fmt;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A name or a word of the grammar, as it was written.
    Word(&'a str),
    /// A name in double quotes.
    Quoted(String),
    /// A text in single quotes.
    Text(String),
    /// A number.
    Number(usize),
    /// A comma or a parenthesis.
    Sign(char),
}

impl Token<'_> {
    /// Whether it is this word of the grammar, in letters of either case.
    pub(super) fn is(&self, word: &str) -> bool {
        matches!(self, Self::Word(written) if written.eq_ignore_ascii_case(word))
    }
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => f.write_str(word),
            Self::Quoted(name) => f.write_str(&quoted(name, '"')),
            Self::Text(text) => f.write_str(&quoted(text, '\'')),
            Self::Number(number) => write!(f, "{number}"),
            Self::Sign(sign) => write!(f, "{sign}"),
        }
    }
}

/// `text` between quotes, those inside it doubled.
pub(super) fn quoted(text: &str, quote: char) -> String {
    let doubled = text.replace(quote, &format!("{quote}{quote}"));
    format!("{quote}{doubled}{quote}")
}

/// Whether a name can stand without quotes and stays what it is.
pub(super) fn is_plain(name: &str) -> bool {
    let is_start = |c: char| c == '_' || c.is_ascii_lowercase();
    name.starts_with(is_start) && name.chars().all(|c| is_start(c) || c.is_ascii_digit())
}

/// All words of `text`.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            ',' | '(' | ')' => (Token::Sign(first), 1),
            '"' | '\'' => between(rest, first)?,
            '0'..='9' => number(rest)?,
            '_' => word(rest),
            _ if first.is_alphabetic() => word(rest),
            _ => {
                return Err(format!(
                    "{first:?} has no meaning here; names with such characters stand in double quotes"
                ));
            }
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

fn word(rest: &str) -> (Token<'_>, usize) {
    let length = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
    (Token::Word(&rest[..length]), length)
}

fn number(rest: &str) -> Result<(Token<'_>, usize), String> {
    let length = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let number = rest[..length].parse().map_err(|_| format!("{} is too large", &rest[..length]))?;
    Ok((Token::Number(number), length))
}

/// What stands between two quotes; a doubled one is one of its characters.
pub(super) fn between(rest: &str, quote: char) -> Result<(Token<'_>, usize), String> {
    let mut inside = String::new();
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character != quote {
            inside.push(character);
        } else if characters.next_if(|(_, next)| *next == quote).is_some() {
            inside.push(quote);
        } else {
            let token = if quote == '"' { Token::Quoted(inside) } else { Token::Text(inside) };
            return Ok((token, at + 1));
        }
    }
    Err(format!("what begins with {} is not closed by another {quote}", rest.chars().take(20).collect::<String>()))
}
