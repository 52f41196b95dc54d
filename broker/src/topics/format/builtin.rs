//! Schemas that have a name: NYSE's Daily TAQ trades in both of their forms.
//!
//! The older form is fixed-width, with a sender and receivers behind a bid or an ask; the newer, since October 2016, has bars between
//! its fields and times in nanoseconds. In both the time is what makes a value a trade: headers and lines that say the end
//! have none. A symbol reads the same in both, and as in the records' key.

use super::Format;

const TAQ: &str = "taq";

const TAQ_FIXED: &str = "time time at 0 length 9 required, exchange text at 9 length 1, \
    symbol text at 10 length 16 squeezed, condition text at 26 length 4, volume int at 30 length 9, \
    price decimal(11,4) at 39 length 11 implied, stop text at 50 length 1, correction int at 51 length 2, \
    sequence bigint at 53 length 16, source text at 69 length 1, facility text at 70 length 1, \
    sender int at 71 length 4 optional, receivers int at 75 length 4 repeat optional";

const TAQ_DELIMITED: &str = "by '|' time time required, exchange text, symbol text, condition text, volume bigint, \
    price decimal(18,6), stop text, correction int, sequence bigint, trade_id text, source text, facility text, \
    participant_time time, facility_time time, trade_through_exempt int";

/// The columns behind a name, if `schema` is one.
pub(super) fn find(format: Format, schema: &str) -> Result<Option<&'static str>, String> {
    match format {
        _ if !schema.eq_ignore_ascii_case(TAQ) => Ok(None),
        Format::FixedWidth => Ok(Some(TAQ_FIXED)),
        Format::Delimited => Ok(Some(TAQ_DELIMITED)),
        _ => Err(format!("taq is a schema of formats fixed-width and delimited, not of {}", format.name())),
    }
}
