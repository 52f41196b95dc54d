//! What the values of a topic are: a format and its schema, as two keys of the topic's configuration say it.
//!
//! | key | says |
//! |---|---|
//! | `millpond.value.format` | one of [`Format`] |
//! | `millpond.value.schema` | the columns, in the grammar of [`grammar`]; for `avro` the schema as JSON; or the name of a builtin |
//!
//! The two are one thing in two keys: they are checked together, and a topic that has a format of its own inherits no
//! schema. This is the definition alone; nothing here reads a value.

mod avro;
mod builtin;
mod column_type;
mod grammar;
mod lexer;

pub use avro::AvroType;
pub use column_type::{ColumnType, TimeUnit};
pub use grammar::text;

use super::config_keys::Overrides;

/// The key that names the format.
pub const FORMAT_KEY: &str = "millpond.value.format";
/// The key that holds the schema.
pub const SCHEMA_KEY: &str = "millpond.value.schema";
/// The longest schema: what Kafka's older requests and answers can carry as one string.
pub const SCHEMA_BYTES_MAX: usize = i16::MAX as usize;
/// The most columns of a schema.
pub const COLUMNS_MAX: usize = 1_600;
/// What every record has beside its value: no column of a schema may be called so.
pub const RECORD_COLUMNS: [&str; 7] = ["_partition", "_offset", "_timestamp", "_lsn", "_key", "_headers", "_value"];

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Bytes of which nothing is known.
    Raw,
    /// A JSON object.
    Json,
    /// Fields with commas and quotes, as RFC 4180 has them.
    Csv,
    /// Fields between bars, without quotes.
    Delimited,
    /// Fields at fixed places.
    FixedWidth,
    /// An Avro datum, alone or behind the five bytes of a schema registry.
    Avro,
}

impl Format {
    /// What the key may say; the first is true of a topic of which nothing is said.
    pub const NAMES: [&str; 6] = ["raw", "json", "csv", "delimited", "fixed-width", "avro"];
    const ALL: [Self; 6] = [Self::Raw, Self::Json, Self::Csv, Self::Delimited, Self::FixedWidth, Self::Avro];

    /// The format of this name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// What a topic's values are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// How they are written.
    pub format: Format,
    /// What stands between two fields, in `csv` and `delimited`.
    pub separator: u8,
    /// What can be read from them, in the order of the schema. Of `avro` all fields of the record, in theirs.
    pub columns: Vec<Column>,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name in SQL.
    pub name: String,
    /// Its type.
    pub column_type: ColumnType,
    /// Where it stands in a value.
    pub place: Place,
    /// What it means if it is not there.
    pub presence: Presence,
    /// A decimal's digits have no point: the type's scale says where it belongs.
    pub is_implied: bool,
    /// Several spaces between words are one: how a symbol of fixed parts is written elsewhere.
    pub is_squeezed: bool,
}

/// Where a column stands in a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Behind these names, from the outermost object on.
    Path(Vec<String>),
    /// As the fields are counted.
    Order,
    /// At these bytes, counted from 0.
    Bytes {
        /// The first.
        at: usize,
        /// How many; of a list, of each of its items.
        length: usize,
        /// A list: items follow each other up to the end of the value.
        is_repeated: bool,
    },
    /// Behind the columns before it.
    Datum(AvroType),
}

/// What it means if a field is not there or cannot be read. What an object of `json` does not have is always null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// The column is null, and the value is told of as faulty.
    #[default]
    Expected,
    /// Values may end before it.
    Optional,
    /// The value is none of this format (a header, a line that says the end): every column is null.
    Required,
}

/// Two keys do not make a format. Displays as the message that clients get.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidFormat(String);

impl InvalidFormat {
    fn schema(why: impl std::fmt::Display) -> Self {
        Self(format!("Invalid value for topic config {SCHEMA_KEY}: {why}"))
    }
}

impl Definition {
    /// What nobody has said anything of.
    pub fn raw() -> Self {
        Self { format: Format::Raw, separator: b',', columns: Vec::new() }
    }

    /// What a format and a schema mean.
    pub fn parse(format: &str, schema: Option<&str>) -> Result<Self, InvalidFormat> {
        let schema = schema.map(str::trim).filter(|schema| !schema.is_empty());
        let format = Format::find(format.trim()).ok_or_else(|| {
            InvalidFormat(format!(
                "Invalid value {format:?} for topic config {FORMAT_KEY}: must be {}",
                Format::NAMES.join(" or ")
            ))
        })?;
        match (format, schema) {
            (Format::Raw, None) => Ok(Self::raw()),
            (Format::Raw, Some(_)) => Err(InvalidFormat::schema(format!(
                "format raw has no columns; say in {FORMAT_KEY} how values are written"
            ))),
            (_, None) => Err(InvalidFormat(format!(
                "Format {} needs {SCHEMA_KEY} in the same request, {}",
                format.name(),
                example(format)
            ))),
            (_, Some(schema)) => Self::with_schema(format, schema),
        }
    }

    fn with_schema(format: Format, schema: &str) -> Result<Self, InvalidFormat> {
        if schema.len() > SCHEMA_BYTES_MAX {
            let length = schema.len();
            return Err(InvalidFormat::schema(format!("it has {length} bytes, at most {SCHEMA_BYTES_MAX} are taken")));
        }
        let schema = match builtin::find(format, schema) {
            Ok(text) => text.unwrap_or(schema),
            Err(why) => return Err(InvalidFormat::schema(why)),
        };
        let parsed = match format {
            Format::Avro => avro::parse(schema).map(|columns| Self { columns, ..Self::raw() }),
            _ => grammar::parse(format, schema),
        };
        parsed.map(|parsed| Self { format, ..parsed }).map_err(InvalidFormat::schema)
    }

    /// What the values of a topic are that has `own` keys, in a stream with the keys `stream`.
    pub fn of(stream: &Overrides, own: &Overrides) -> Result<Self, InvalidFormat> {
        let layer = if own.contains_key(FORMAT_KEY) { own } else { stream };
        match layer.get(FORMAT_KEY) {
            Some(format) => Self::parse(format, layer.get(SCHEMA_KEY).map(String::as_str)),
            None => Ok(Self::raw()),
        }
    }
}

/// Whether the two keys go together, of a topic or of a stream.
pub(super) fn check(keys: &Overrides) -> Result<(), InvalidFormat> {
    let has_schema = keys.get(SCHEMA_KEY).is_some_and(|schema| !schema.trim().is_empty());
    if has_schema && !keys.contains_key(FORMAT_KEY) {
        return Err(InvalidFormat(format!(
            "{SCHEMA_KEY} is nothing without {FORMAT_KEY}: set both in one request, or remove both"
        )));
    }
    Definition::of(&Overrides::new(), keys).map(|_| ())
}

/// Whether a topic with `own` keys takes what its stream says for `key`.
pub(super) fn is_inherited(key: &str, own: &Overrides) -> bool {
    key != SCHEMA_KEY || !own.contains_key(FORMAT_KEY)
}

fn example(format: Format) -> &'static str {
    match format {
        Format::Raw => "",
        Format::Json => "for instance: symbol text, price decimal(11,4) path 'trade.px'",
        Format::Csv => "for instance: symbol text, price decimal(11,4), time timestamp",
        Format::Delimited => "for instance: symbol text, price decimal(11,4), or the builtin: taq",
        Format::FixedWidth => {
            "for instance: symbol text at 0 length 6, price decimal(11,4) at 6 length 11 implied, or the builtin: taq"
        }
        Format::Avro => "the Avro schema of the values as JSON: a record",
    }
}

#[cfg(test)]
mod tests;
