//! Stock data in the shape of NYSE's Daily TAQ, made from a seed: the records of one trading day of an invented market.
//!
//! | file | what it holds |
//! |---|---|
//! | `layout` | the bytes of a trade and of a quote; writing and reading them |
//! | `field` | fixed-width ASCII fields |
//! | `random` | the pinned source of chance |
//! | `market` | symbols, traders, and prices that walk |
//! | `session` | the day's clock |
//! | `generator` | puts them together into a sequence of records |

mod field;
mod generator;
mod layout;
mod market;
mod random;
mod session;

pub use field::FieldError;
pub use generator::{Event, Generator, GeneratorOptions};
pub use layout::{
    Parties, Price, QUOTE_BYTES, Quote, RECEIVERS_MAX, Side, Symbol, TRADE_BYTES, TimeOfDay, Trade, TraderId,
};
pub use session::Hours;
pub(crate) use session::{CLOSE_MS, OPENING_MS};
