//! The types that columns have. They are written as PostgreSQL writes them.

use std::fmt;

/// The type of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// True or false.
    Boolean,
    /// 32 bits.
    Int,
    /// 64 bits.
    BigInt,
    /// 64 bits of floating point.
    Double,
    /// Decimal digits, exactly.
    Decimal {
        /// How many digits, 1 to 38.
        precision: u8,
        /// How many of them behind the point.
        scale: u8,
    },
    /// UTF-8.
    Text,
    /// Bytes.
    Bytea,
    /// A day.
    Date,
    /// A time of day, in nanoseconds.
    Time,
    /// A moment, or (Avro only) what a clock on a wall shows.
    Timestamp {
        /// How finely.
        unit: TimeUnit,
        /// Whether it is a moment, in UTC.
        is_utc: bool,
    },
    /// Any number of one type.
    List(Box<ColumnType>),
    /// Any number of one type, by text.
    Map(Box<ColumnType>),
    /// Several by name.
    Struct(Vec<(String, ColumnType)>),
}

/// What timestamps are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeUnit {
    /// Thousandths of a second.
    Milliseconds,
    /// Millionths.
    Microseconds,
    /// Thousandths of those.
    Nanoseconds,
}

impl TimeUnit {
    /// Digits behind the second.
    pub fn digits(self) -> u32 {
        match self {
            Self::Milliseconds => 3,
            Self::Microseconds => 6,
            Self::Nanoseconds => 9,
        }
    }

    /// How many make a second.
    pub fn per_second(self) -> i64 {
        10_i64.pow(self.digits())
    }
}

impl ColumnType {
    /// The most digits of a decimal.
    pub const PRECISION_MAX: u8 = 38;

    /// A moment, as finely as PostgreSQL has them.
    pub const TIMESTAMP: Self = Self::Timestamp { unit: TimeUnit::Microseconds, is_utc: true };
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("boolean"),
            Self::Int => f.write_str("int"),
            Self::BigInt => f.write_str("bigint"),
            Self::Double => f.write_str("double"),
            Self::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Self::Text => f.write_str("text"),
            Self::Bytea => f.write_str("bytea"),
            Self::Date => f.write_str("date"),
            Self::Time => f.write_str("time"),
            Self::Timestamp { is_utc: false, .. } => f.write_str("timestamp without time zone"),
            Self::Timestamp { unit: TimeUnit::Microseconds, .. } => f.write_str("timestamp"),
            Self::Timestamp { unit, .. } => write!(f, "timestamp({})", unit.digits()),
            Self::List(item) => write!(f, "{item}[]"),
            Self::Map(value) => write!(f, "map(text, {value})"),
            Self::Struct(fields) => {
                f.write_str("struct(")?;
                for (at, (name, field)) in fields.iter().enumerate() {
                    write!(f, "{}{name} {field}", if at == 0 { "" } else { ", " })?;
                }
                f.write_str(")")
            }
        }
    }
}
