//! Avro schemas: a record's fields are the columns, in their order; how each lies in a datum stands beside its type.
//!
//! | Avro | column |
//! |---|---|
//! | boolean, int, long, float and double, string, bytes and fixed | boolean, int, bigint, double, text, bytea |
//! | enum, uuid | text |
//! | decimal, date, time-\*, timestamp-\*, local-timestamp-\* | decimal, date, time, timestamp |
//! | null or one type | that type |
//! | several types | a struct of `member0`, `member1`, …, of which one is not null (as Spark has it) |
//! | record, array, map | struct, list, map |
//!
//! A logical type that is unknown or does not fit is the type below it, as Avro says. Names of columns are in small letters, but
//! where two would be alike; a name that every record's own columns have gets a `_` at its end. Types that contain
//! themselves have no columns and are refused; so are schemas whose named types multiply.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{COLUMNS_MAX, Column, ColumnType, Place, Presence, RECORD_COLUMNS, TimeUnit};

/// The most types of a schema, each name counted as what it stands for.
const NODES_MAX: usize = 10_000;
const DEPTH_MAX: usize = 64;

/// How a datum lies in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AvroType {
    /// Nothing.
    Null,
    /// One byte.
    Boolean,
    /// A variable-length integer of 32 bits.
    Int,
    /// One of 64 bits.
    Long,
    /// Four bytes.
    Float,
    /// Eight bytes.
    Double,
    /// A length, then bytes.
    Bytes,
    /// A length, then UTF-8.
    String,
    /// So many bytes.
    Fixed(usize),
    /// The index of one of these.
    Enum(Vec<String>),
    /// Blocks of items.
    Array(Box<AvroType>),
    /// Blocks of texts and values.
    Map(Box<AvroType>),
    /// One field behind the other.
    Record(Vec<(String, AvroType)>),
    /// The index of a branch, then that.
    Union(Vec<AvroType>),
    /// A big-endian two's complement number, in so many bytes or behind a length.
    Decimal {
        /// How many digits.
        precision: u8,
        /// How many of them behind the point.
        scale: u8,
        /// How many bytes, if that is fixed.
        fixed: Option<usize>,
    },
    /// Days, as `Int`.
    Date,
    /// A time of day: milliseconds as `Int`, microseconds as `Long`.
    Time(TimeUnit),
    /// A timestamp, as `Long`.
    Timestamp {
        /// What it is counted in.
        unit: TimeUnit,
        /// Whether it is a moment.
        is_utc: bool,
    },
}

impl AvroType {
    /// The type of the column that it is read as.
    pub fn column_type(&self) -> ColumnType {
        match self {
            Self::Boolean => ColumnType::Boolean,
            Self::Int => ColumnType::Int,
            Self::Long => ColumnType::BigInt,
            Self::Float | Self::Double => ColumnType::Double,
            Self::Bytes | Self::Fixed(_) => ColumnType::Bytea,
            // Nothing but nulls is read from the first.
            Self::Null | Self::String | Self::Enum(_) => ColumnType::Text,
            Self::Array(item) => ColumnType::List(Box::new(item.column_type())),
            Self::Map(value) => ColumnType::Map(Box::new(value.column_type())),
            Self::Record(fields) => {
                ColumnType::Struct(fields.iter().map(|(name, field)| (name.clone(), field.column_type())).collect())
            }
            Self::Union(branches) => union_type(branches),
            &Self::Decimal { precision, scale, .. } => ColumnType::Decimal { precision, scale },
            Self::Date => ColumnType::Date,
            Self::Time(_) => ColumnType::Time,
            &Self::Timestamp { unit, is_utc } => ColumnType::Timestamp { unit, is_utc },
        }
    }
}

fn union_type(branches: &[AvroType]) -> ColumnType {
    let mut values = branches.iter().filter(|branch| **branch != AvroType::Null);
    match (values.next(), values.next()) {
        (None, _) => ColumnType::Text,
        (Some(only), None) => only.column_type(),
        _ => {
            let members = branches.iter().filter(|branch| **branch != AvroType::Null).enumerate();
            ColumnType::Struct(members.map(|(at, branch)| (format!("member{at}"), branch.column_type())).collect())
        }
    }
}

/// The columns of a schema.
pub(super) fn parse(schema: &str) -> Result<Vec<Column>, String> {
    let json: Value = serde_json::from_str(schema).map_err(|why| format!("it is no JSON: {why}"))?;
    let mut names = Names::default();
    let is_record = json.get("type").is_some_and(|kind| matches!(kind.as_str(), Some("record" | "error")));
    if !is_record {
        return Err(
            "columns are the fields of a record: write {\"type\": \"record\", \"name\": …, \"fields\": […]}".to_owned()
        );
    }
    let Sized { node: AvroType::Record(fields), .. } = names.read(&json, "", 0)? else {
        return Err("columns are the fields of a record".to_owned());
    };
    if fields.len() > COLUMNS_MAX {
        return Err(format!("more than {COLUMNS_MAX} columns"));
    }
    let mut columns: Vec<Column> = Vec::with_capacity(fields.len());
    for (name, node) in fields {
        let column = Column {
            name: column_name(name, &columns),
            column_type: node.column_type(),
            place: Place::Datum(node),
            presence: Presence::Expected,
            is_implied: false,
            is_squeezed: false,
        };
        columns.push(column);
    }
    Ok(columns)
}

fn column_name(field: String, columns: &[Column]) -> String {
    let is_free = |name: &str| !RECORD_COLUMNS.contains(&name) && columns.iter().all(|column| column.name != name);
    let mut name = field.to_lowercase();
    if !is_free(&name) {
        name = field;
    }
    while !is_free(&name) {
        name.push('_');
    }
    name
}

/// A type with how much it amounts to.
#[derive(Clone, Debug)]
struct Sized {
    node: AvroType,
    nodes: usize,
    depth: usize,
}

impl Sized {
    fn leaf(node: AvroType) -> Self {
        Self { node, nodes: 1, depth: 1 }
    }
}

/// What the types of a schema are called; `None` while one is being read.
#[derive(Default)]
struct Names {
    known: HashMap<String, Option<Sized>>,
}

impl Names {
    fn read(&mut self, json: &Value, namespace: &str, depth: usize) -> Result<Sized, String> {
        if depth > DEPTH_MAX {
            return Err(format!("types lie more than {DEPTH_MAX} deep in each other"));
        }
        match json {
            Value::String(name) => self.named(name, namespace),
            Value::Array(branches) => self.union(branches, namespace, depth),
            Value::Object(object) => self.object(object, namespace, depth),
            _ => Err(format!("{json} is no type")),
        }
    }

    fn named(&self, name: &str, namespace: &str) -> Result<Sized, String> {
        if let Some(primitive) = primitive(name) {
            return Ok(Sized::leaf(primitive));
        }
        let known = self.known.get(&full(name, namespace)).or_else(|| self.known.get(name));
        match known {
            Some(Some(known)) => Ok(known.clone()),
            Some(None) => Err(format!("type {name} contains itself, which no column can")),
            None => Err(format!("there is no type {name}: its definition has to stand before it")),
        }
    }

    fn union(&mut self, branches: &[Value], namespace: &str, depth: usize) -> Result<Sized, String> {
        let mut read = Vec::with_capacity(branches.len());
        for branch in branches {
            if branch.is_array() {
                return Err("a union stands in a union, which Avro does not allow".to_owned());
            }
            read.push(self.read(branch, namespace, depth + 1)?);
        }
        if read.is_empty() {
            return Err("a union has no branches".to_owned());
        }
        around(read, AvroType::Union)
    }

    fn object(&mut self, object: &Map<String, Value>, namespace: &str, depth: usize) -> Result<Sized, String> {
        let kind = object.get("type").ok_or("a type has no \"type\"")?;
        let Value::String(kind) = kind else { return self.read(kind, namespace, depth + 1) };
        let inner = |key: &str| object.get(key).ok_or_else(|| format!("{kind} has no {key:?}"));
        match kind.as_str() {
            "record" | "error" => {
                self.define(object, namespace, |names, namespace| names.record(inner("fields")?, namespace, depth))
            }
            "enum" => self.define(object, namespace, |_, _| symbols(inner("symbols")?)),
            "fixed" => self.define(object, namespace, |_, _| fixed(object, inner("size")?)),
            "array" => around(vec![self.read(inner("items")?, namespace, depth + 1)?], |items| {
                AvroType::Array(Box::new(only(items)))
            }),
            "map" => around(vec![self.read(inner("values")?, namespace, depth + 1)?], |values| {
                AvroType::Map(Box::new(only(values)))
            }),
            name => self.named(name, namespace).map(|below| logical(object, below)),
        }
    }

    /// Reads a type that has a name, under that name.
    fn define(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
        read: impl FnOnce(&mut Self, &str) -> Result<Sized, String>,
    ) -> Result<Sized, String> {
        let text = |key: &str| object.get(key).and_then(Value::as_str);
        let name = text("name").ok_or("a type that needs a name has none")?;
        let name = full(name, text("namespace").unwrap_or(namespace));
        if primitive(&name).is_some() {
            return Err(format!("a type cannot be called {name}"));
        }
        if self.known.insert(name.clone(), None).is_some() {
            return Err(format!("type {name} is defined twice"));
        }
        let namespace = name.rsplit_once('.').map_or("", |(namespace, _)| namespace);
        let read = read(self, namespace)?;
        self.known.insert(name, Some(read.clone()));
        Ok(read)
    }

    fn record(&mut self, fields: &Value, namespace: &str, depth: usize) -> Result<Sized, String> {
        let fields = fields.as_array().ok_or("\"fields\" is no list")?;
        let (mut names, mut read) = (Vec::with_capacity(fields.len()), Vec::with_capacity(fields.len()));
        for field in fields {
            let name = field.get("name").and_then(Value::as_str).ok_or("a field has no name")?;
            if names.iter().any(|known| known == name) {
                return Err(format!("two fields are called {name}"));
            }
            let within = |why: String| format!("column {name}: {why}");
            let kind = field.get("type").ok_or_else(|| within("it has no type".to_owned()))?;
            read.push(self.read(kind, namespace, depth + 1).map_err(within)?);
            names.push(name.to_owned());
        }
        read.push(Sized { node: AvroType::Null, nodes: weight(&names), depth: 0 });
        around(read, |types| AvroType::Record(names.into_iter().zip(types).collect()))
    }
}

/// A type made of others.
fn around(inner: Vec<Sized>, make: impl FnOnce(Vec<AvroType>) -> AvroType) -> Result<Sized, String> {
    let nodes = inner.iter().fold(1, |sum: usize, part| sum.saturating_add(part.nodes));
    let depth = 1 + inner.iter().map(|part| part.depth).max().unwrap_or(0);
    if nodes > NODES_MAX || depth > DEPTH_MAX {
        return Err(format!("it amounts to more than {NODES_MAX} types, or {DEPTH_MAX} in each other"));
    }
    Ok(Sized { node: make(inner.into_iter().map(|part| part.node).collect()), nodes, depth })
}

/// The one part of what has one.
fn only(mut parts: Vec<AvroType>) -> AvroType {
    parts.pop().unwrap_or(AvroType::Null)
}

fn full(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn primitive(name: &str) -> Option<AvroType> {
    Some(match name {
        "null" => AvroType::Null,
        "boolean" => AvroType::Boolean,
        "int" => AvroType::Int,
        "long" => AvroType::Long,
        "float" => AvroType::Float,
        "double" => AvroType::Double,
        "bytes" => AvroType::Bytes,
        "string" => AvroType::String,
        _ => return None,
    })
}

fn symbols(symbols: &Value) -> Result<Sized, String> {
    let text = |symbol: &Value| symbol.as_str().map(str::to_owned);
    let all: Option<Vec<String>> = symbols.as_array().and_then(|symbols| symbols.iter().map(text).collect());
    let all = all.ok_or("\"symbols\" is no list of texts")?;
    let nodes = 1 + weight(&all);
    Ok(Sized { node: AvroType::Enum(all), nodes, depth: 1 })
}

/// What names amount to: each name of a type that is used has its own.
fn weight(names: &[String]) -> usize {
    names.iter().map(|name| 1 + name.len() / 32).sum()
}

fn fixed(object: &Map<String, Value>, size: &Value) -> Result<Sized, String> {
    let size = size.as_u64().and_then(|size| u32::try_from(size).ok()).ok_or("\"size\" is no number of bytes")?;
    Ok(logical(object, Sized::leaf(AvroType::Fixed(size as usize))))
}

/// What a logical type makes of the type below it.
fn logical(object: &Map<String, Value>, below: Sized) -> Sized {
    let Some(name) = object.get("logicalType").and_then(Value::as_str) else { return below };
    let (unit, is_utc) = match name.rsplit_once('-') {
        Some((kind, "millis")) => (TimeUnit::Milliseconds, !kind.starts_with("local")),
        Some((kind, "nanos")) => (TimeUnit::Nanoseconds, !kind.starts_with("local")),
        Some((kind, _)) => (TimeUnit::Microseconds, !kind.starts_with("local")),
        None => (TimeUnit::Microseconds, true),
    };
    let logical = match (name, &below.node) {
        ("decimal", AvroType::Bytes) => decimal(object, None),
        ("decimal", &AvroType::Fixed(size)) => decimal(object, Some(size)),
        ("date", AvroType::Int) => Some(AvroType::Date),
        ("time-millis", AvroType::Int) | ("time-micros", AvroType::Long) => Some(AvroType::Time(unit)),
        (
            "timestamp-millis"
            | "timestamp-micros"
            | "timestamp-nanos"
            | "local-timestamp-millis"
            | "local-timestamp-micros"
            | "local-timestamp-nanos",
            AvroType::Long,
        ) => Some(AvroType::Timestamp { unit, is_utc }),
        _ => None,
    };
    logical.map_or(below, Sized::leaf)
}

/// A decimal, if it is one that columns can have.
fn decimal(object: &Map<String, Value>, fixed: Option<usize>) -> Option<AvroType> {
    let number = |key: &str| object.get(key).and_then(Value::as_u64).and_then(|number| u8::try_from(number).ok());
    let precision = number("precision").filter(|precision| (1..=ColumnType::PRECISION_MAX).contains(precision))?;
    let scale = if object.contains_key("scale") { number("scale")? } else { 0 };
    (scale <= precision).then_some(AvroType::Decimal { precision, scale, fixed })
}
