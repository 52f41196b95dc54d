//! Fixed-width ASCII fields: writing numbers and reading fields with an error that names the one that is wrong.

/// Why bytes are not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} at byte {position} is missing or malformed")]
pub struct FieldError {
    /// The field's name.
    pub field: &'static str,
    /// Where it starts (or should).
    pub position: usize,
}

/// Appends the last `width` decimal digits of `value`, zero padded. Callers' types keep values within their width.
pub(crate) fn put_digits(out: &mut Vec<u8>, width: usize, value: u64) {
    let start = out.len();
    out.resize(start + width, b'0');
    let mut rest = value;
    for digit in out[start..].iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).expect("a decimal digit fits a byte");
        rest /= 10;
    }
    debug_assert_eq!(rest, 0, "{value} has more than {width} digits");
}

/// Reads fields one after the other.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    record: &'a [u8],
    position: usize,
    /// Where the last field that was asked for starts.
    field_start: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(record: &'a [u8]) -> Self {
        Self { record, position: 0, field_start: 0 }
    }

    /// Bytes that no field has taken yet.
    pub(crate) fn remaining(&self) -> usize {
        self.record.len() - self.position
    }

    /// The error for the field that was read last.
    pub(crate) fn error(&self, field: &'static str) -> FieldError {
        FieldError { field, position: self.field_start }
    }

    fn take(&mut self, field: &'static str, width: usize) -> Result<&'a [u8], FieldError> {
        self.field_start = self.position;
        let bytes = self.record[self.position..].get(..width).ok_or_else(|| self.error(field))?;
        self.position += width;
        Ok(bytes)
    }

    /// A number of exactly `width` digits, at most sixteen.
    pub(crate) fn digits(&mut self, field: &'static str, width: usize) -> Result<u64, FieldError> {
        let bytes = self.take(field, width)?;
        bytes.iter().try_fold(0_u64, |value, byte| {
            let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0')).ok_or_else(|| self.error(field))?;
            value.checked_mul(10).and_then(|value| value.checked_add(digit)).ok_or_else(|| self.error(field))
        })
    }

    /// One upper-case letter.
    pub(crate) fn letter(&mut self, field: &'static str) -> Result<u8, FieldError> {
        let byte = self.character(field)?;
        if byte.is_ascii_uppercase() { Ok(byte) } else { Err(self.error(field)) }
    }

    /// One printable character or a space.
    pub(crate) fn character(&mut self, field: &'static str) -> Result<u8, FieldError> {
        self.text::<1>(field).map(|[byte]| byte)
    }

    /// `N` printable characters or spaces.
    pub(crate) fn text<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], FieldError> {
        let bytes = self.take(field, N)?;
        let text: [u8; N] = bytes.try_into().map_err(|_| self.error(field))?;
        let printable = text.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
        if printable { Ok(text) } else { Err(self.error(field)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_zero_padded() {
        let mut out = b"x".to_vec();
        put_digits(&mut out, 5, 42);
        put_digits(&mut out, 2, 99);
        assert_eq!(out, b"x0004299");
    }

    #[test]
    fn errors_name_the_field_and_its_start() {
        let mut reader = Reader::new(b"12a4");
        assert_eq!(reader.digits("first", 2), Ok(12));
        assert_eq!(reader.digits("second", 2), Err(FieldError { field: "second", position: 2 }));
        assert_eq!(reader.text::<1>("third"), Err(FieldError { field: "third", position: 4 }));
    }

    #[test]
    fn letters_and_text_are_printable_ascii() {
        assert!(Reader::new(b"a").letter("lower").is_err());
        assert!(Reader::new(b"\x1b").character("escape").is_err());
        assert_eq!(Reader::new(b"A b").text("text"), Ok(*b"A b"));
    }
}
