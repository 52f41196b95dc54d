//! The columns of a schema as text.
//!
//! ```text
//! schema := [ by 'separator' ] column { , column }
//! column := name type { word }
//! type   := boolean | int | bigint | double | decimal(precision, scale) | text | bytea | date | time | timestamp[(3|6|9)]
//! word   := path 'a.b'          json: behind these names; a name with a point stands in double quotes
//!         | at N | length N     fixed-width: its bytes, from 0
//!         | repeat              fixed-width: a list, up to the value's end
//!         | squeezed            text: several spaces are one
//!         | implied             decimal: digits without a point, the scale says where it belongs
//!         | optional            values may end before it
//!         | required            a value in which it cannot be read is none of this format
//! ```
//!
//! A name without double quotes means small letters, as in SQL; what is looked for in an object is what was written.
//! What [`text`] writes reads as the same columns.

use std::fmt::Write as _;

use super::lexer::{Token, between, is_plain, quoted, tokens};
use super::{COLUMNS_MAX, Column, ColumnType, Definition, Format, Place, Presence, RECORD_COLUMNS, TimeUnit};

/// The last byte that a place may name.
const PLACE_MAX: usize = 1 << 20;
const TYPES: &str = "boolean, int, bigint, double, decimal(p,s), text, bytea, date, time or timestamp";

/// Reads a schema of any format that has columns in text.
pub(super) fn parse(format: Format, schema: &str) -> Result<Definition, String> {
    let mut parser = Parser { tokens: tokens(schema)?, next: 0, format };
    let separator = parser.separator()?;
    let mut columns: Vec<Column> = Vec::new();
    loop {
        let column = parser.column(columns.len() + 1)?;
        if let Some(first) = columns.iter().position(|known| known.name == column.name) {
            let (name, first, second) = (&column.name, first + 1, columns.len() + 1);
            return Err(format!(
                "columns {first} and {second} are both called {name}: rename one, or put it in double quotes where the letters differ"
            ));
        }
        columns.push(column);
        if columns.len() > COLUMNS_MAX {
            return Err(format!("more than {COLUMNS_MAX} columns"));
        }
        match parser.take() {
            None => return Ok(Definition { format, separator, columns }),
            Some(Token::Sign(',')) => {}
            Some(other) => return Err(format!("column {}: {}", columns.len(), parser.unexpected(&other))),
        }
    }
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    next: usize,
    format: Format,
}

/// What stood behind a type.
#[derive(Default)]
struct Words {
    path: Option<String>,
    at: Option<usize>,
    length: Option<usize>,
    is_repeated: bool,
    is_implied: bool,
    is_squeezed: bool,
    presence: Presence,
}

impl<'a> Parser<'a> {
    fn take(&mut self) -> Option<Token<'a>> {
        let token = self.tokens.get(self.next).cloned();
        self.next += 1;
        token
    }

    /// Takes the next token if it is that sign.
    fn takes(&mut self, sign: char) -> bool {
        let is_it = self.tokens.get(self.next) == Some(&Token::Sign(sign));
        self.next += usize::from(is_it);
        is_it
    }

    fn separator(&mut self) -> Result<u8, String> {
        let default = if self.format == Format::Delimited { b'|' } else { b',' };
        let (Some(first), Some(Token::Text(text))) = (self.tokens.first(), self.tokens.get(1)) else {
            return Ok(default);
        };
        if !first.is("by") {
            return Ok(default);
        }
        if !matches!(self.format, Format::Csv | Format::Delimited) {
            return Err("by 'separator' is for formats csv and delimited".to_owned());
        }
        let separator = match (text.as_str(), text.as_bytes()) {
            ("\\t", _) => b'\t',
            (_, &[byte]) if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n') => byte,
            _ => return Err(format!("by {}: write one character, or '\\t' for a tab", quoted(text, '\''))),
        };
        self.next = 2;
        Ok(separator)
    }

    fn column(&mut self, number: usize) -> Result<Column, String> {
        let (name, written) = match self.take() {
            Some(Token::Word(word)) => (word.to_lowercase(), word.to_owned()),
            Some(Token::Quoted(name)) if !name.is_empty() => (name.clone(), name),
            Some(other) => return Err(format!("column {number}: a name was expected, not {other}")),
            None => {
                return Err(format!("column {number}: a name was expected, not the end; is there a comma too many?"));
            }
        };
        let within = |why: String| format!("column {number} ({name}): {why}");
        if RECORD_COLUMNS.contains(&name.as_str()) {
            return Err(within("every record has a column of this name: choose another".to_owned()));
        }
        let column_type = self.column_type().map_err(within)?;
        let words = self.words().map_err(within)?;
        finish(self.format, name.clone(), &written, column_type, words).map_err(within)
    }

    fn column_type(&mut self) -> Result<ColumnType, String> {
        let word = match self.take() {
            Some(Token::Word(word)) => word.to_ascii_lowercase(),
            Some(other) => return Err(format!("a type was expected, not {other}: {TYPES}")),
            None => return Err(format!("it has no type: write {TYPES} behind its name")),
        };
        Ok(match word.as_str() {
            "boolean" | "bool" => ColumnType::Boolean,
            "int" | "integer" => ColumnType::Int,
            "bigint" => ColumnType::BigInt,
            "double" => {
                self.next += usize::from(self.tokens.get(self.next).is_some_and(|token| token.is("precision")));
                ColumnType::Double
            }
            "decimal" | "numeric" => self.decimal()?,
            "text" | "varchar" | "string" => ColumnType::Text,
            "bytea" => ColumnType::Bytea,
            "date" => ColumnType::Date,
            "time" => ColumnType::Time,
            "timestamp" => self.timestamp()?,
            "float" | "real" => {
                return Err(format!("there is no type {word}: write double, or decimal(p,s) for money"));
            }
            "long" => return Err("there is no type long: write bigint".to_owned()),
            _ => return Err(format!("there is no type {word}: write {TYPES}")),
        })
    }

    /// What stands in parentheses behind a type.
    fn arguments(&mut self) -> Option<Vec<usize>> {
        if !self.takes('(') {
            return Some(Vec::new());
        }
        let mut numbers = Vec::new();
        loop {
            let Some(Token::Number(number)) = self.take() else { return None };
            numbers.push(number);
            if self.takes(')') {
                return Some(numbers);
            }
            if !self.takes(',') {
                return None;
            }
        }
    }

    fn decimal(&mut self) -> Result<ColumnType, String> {
        let most = ColumnType::PRECISION_MAX;
        let (precision, scale) = match self.arguments().as_deref() {
            Some(&[precision]) => (precision, 0),
            Some(&[precision, scale]) => (precision, scale),
            _ => {
                return Err(
                    "decimal needs its digits: write decimal(18,4) for 18 of them, 4 behind the point".to_owned()
                );
            }
        };
        match (u8::try_from(precision), u8::try_from(scale)) {
            (Ok(precision), Ok(scale)) if (1..=most).contains(&precision) && scale <= precision => {
                Ok(ColumnType::Decimal { precision, scale })
            }
            _ => Err(format!(
                "decimal({precision},{scale}) cannot be: 1 to {most} digits, and no more of them behind the point"
            )),
        }
    }

    fn timestamp(&mut self) -> Result<ColumnType, String> {
        let unit = match self.arguments().as_deref() {
            Some(&[] | &[6]) => TimeUnit::Microseconds,
            Some(&[3]) => TimeUnit::Milliseconds,
            Some(&[9]) => TimeUnit::Nanoseconds,
            _ => {
                return Err(
                    "timestamp has 3, 6 or 9 digits behind the second: write timestamp or timestamp(3)".to_owned()
                );
            }
        };
        Ok(ColumnType::Timestamp { unit, is_utc: true })
    }

    fn words(&mut self) -> Result<Words, String> {
        let mut words = Words::default();
        while let Some(token) = self.tokens.get(self.next).filter(|token| **token != Token::Sign(',')).cloned() {
            self.next += 1;
            let word = if let Token::Word(word) = token { word.to_ascii_lowercase() } else { String::new() };
            match word.as_str() {
                "path" => match self.take() {
                    Some(Token::Text(path)) => words.path = Some(path),
                    _ => return Err("path needs names in quotes: path 'trade.px'".to_owned()),
                },
                "at" => words.at = Some(self.number("at", 0)?),
                "length" => words.length = Some(self.number("length", 1)?),
                "repeat" => words.is_repeated = true,
                "implied" => words.is_implied = true,
                "squeezed" => words.is_squeezed = true,
                "optional" => words.presence = Presence::Optional,
                "required" => words.presence = Presence::Required,
                _ => return Err(self.unexpected(&token)),
            }
        }
        Ok(words)
    }

    fn number(&mut self, word: &str, least: usize) -> Result<usize, String> {
        match self.take() {
            Some(Token::Number(number)) if (least..=PLACE_MAX).contains(&number) => Ok(number),
            _ => Err(format!("{word} needs a number from {least} to {PLACE_MAX}: {word} 16")),
        }
    }

    fn unexpected(&self, token: &Token<'_>) -> String {
        let words = match self.format {
            Format::Json => "path '…'",
            Format::FixedWidth => "at N, length N, repeat, squeezed, implied, optional or required",
            _ => "squeezed, implied, optional or required",
        };
        format!("{token} has no meaning behind a type: write {words}, or a comma before the next column")
    }
}

/// A column of which all was read.
fn finish(
    format: Format,
    name: String,
    written: &str,
    column_type: ColumnType,
    words: Words,
) -> Result<Column, String> {
    let Words { is_implied, is_squeezed, presence, is_repeated, .. } = words;
    if is_implied && !matches!(column_type, ColumnType::Decimal { .. }) {
        return Err("implied says where a decimal has its point: write decimal(p,s) … implied".to_owned());
    }
    if is_squeezed && column_type != ColumnType::Text {
        return Err("squeezed is for text".to_owned());
    }
    let place = place(format, written, words)?;
    let column_type = if is_repeated { ColumnType::List(Box::new(column_type)) } else { column_type };
    Ok(Column { name, column_type, place, presence, is_implied, is_squeezed })
}

fn place(format: Format, written: &str, words: Words) -> Result<Place, String> {
    let refused = |word: &str, reason: &str| Err(format!("{word} is not for format {}: {reason}", format.name()));
    if words.path.is_some() && format != Format::Json {
        return refused("path", "it is for json");
    }
    if format != Format::FixedWidth && (words.at.is_some() || words.length.is_some() || words.is_repeated) {
        return refused("at, length or repeat", "they are for fixed-width");
    }
    match (format, words) {
        (Format::Json, words) if words.is_implied || words.is_squeezed => {
            refused("implied or squeezed", "they are for text without marks")
        }
        (Format::Json, Words { presence: Presence::Expected, path, .. }) => {
            Ok(Place::Path(path.map_or_else(|| Ok(vec![written.to_owned()]), |path| names(&path))?))
        }
        (Format::Json, _) => refused("optional or required", "what an object does not have is null"),
        (Format::FixedWidth, Words { at: Some(at), length: Some(length), is_repeated, presence, .. }) => {
            if is_repeated && presence == Presence::Required {
                return Err("a list cannot be required: it may be empty".to_owned());
            }
            Ok(Place::Bytes { at, length, is_repeated })
        }
        (Format::FixedWidth, _) => Err("its bytes are missing: write at 39 length 11, from 0".to_owned()),
        _ => Ok(Place::Order),
    }
}

/// The names of a path.
fn names(path: &str) -> Result<Vec<String>, String> {
    let wrong = || format!("path {} is no path: write names with points between them", quoted(path, '\''));
    let mut names = Vec::new();
    let mut rest = path;
    loop {
        let (name, behind) = if rest.starts_with('"') {
            match between(rest, '"') {
                Ok((Token::Quoted(name), length)) => (name, &rest[length..]),
                _ => return Err(wrong()),
            }
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            (rest[..end].to_owned(), &rest[end..])
        };
        if name.is_empty() && !rest.starts_with('"') {
            return Err(wrong());
        }
        names.push(name);
        match behind.strip_prefix('.') {
            Some(more) => rest = more,
            None if behind.is_empty() => return Ok(names),
            None => return Err(wrong()),
        }
    }
}

/// The text that means a definition of columns in text.
pub fn text(definition: &Definition) -> String {
    let usual = if definition.format == Format::Delimited { b'|' } else { b',' };
    let mut text = match definition.separator {
        separator if separator == usual => String::new(),
        b'\t' => "by '\\t' ".to_owned(),
        separator => format!("by {} ", quoted(&char::from(separator).to_string(), '\'')),
    };
    for (at, column) in definition.columns.iter().enumerate() {
        text.push_str(if at == 0 { "" } else { ", " });
        write_column(&mut text, column);
    }
    text
}

fn write_column(text: &mut String, column: &Column) {
    let name = if is_plain(&column.name) { column.name.clone() } else { quoted(&column.name, '"') };
    let column_type = match (&column.place, &column.column_type) {
        (Place::Bytes { is_repeated: true, .. }, ColumnType::List(item)) => item,
        (_, column_type) => column_type,
    };
    // Writing to a String cannot fail.
    let _ = write!(text, "{name} {column_type}");
    match &column.place {
        Place::Path(names) if *names != [column.name.as_str()] => {
            let part = |name: &String| {
                let is_bare = !name.is_empty() && !name.contains(['.', '"']);
                if is_bare { name.clone() } else { quoted(name, '"') }
            };
            let path = names.iter().map(part).collect::<Vec<_>>().join(".");
            let _ = write!(text, " path {}", quoted(&path, '\''));
        }
        Place::Bytes { at, length, is_repeated } => {
            let _ = write!(text, " at {at} length {length}{}", if *is_repeated { " repeat" } else { "" });
        }
        Place::Path(_) | Place::Order | Place::Datum(_) => {}
    }
    text.push_str(if column.is_implied { " implied" } else { "" });
    text.push_str(if column.is_squeezed { " squeezed" } else { "" });
    text.push_str(match column.presence {
        Presence::Expected => "",
        Presence::Optional => " optional",
        Presence::Required => " required",
    });
}
