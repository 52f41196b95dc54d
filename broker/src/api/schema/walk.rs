//! One pass over a frame along its schema. Reads the slice, allocates nothing, recurses as deep as the schema.

use std::fmt;

use super::{Field, Kind, Schema};

/// What a record with unknown tagged fields costs the decoder: a map of its own, whose first node has this many bytes
/// (eleven entries of 36 bytes and the node's head), and more for each entry, as nodes may be half full.
const TAG_MAP_MEMORY: usize = 512;
const TAG_MEMORY: usize = 128;

/// Why a frame is not what it says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The field at which it shows.
    pub field: &'static str,
    /// What is wrong there.
    pub problem: Problem,
}

/// The ways in which a frame can be malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The frame ends inside the field.
    Truncated,
    /// A length or count is negative.
    Negative,
    /// A length or count is more than the bytes that are left.
    TooLong {
        /// What the frame says.
        claimed: usize,
        /// What is left of it.
        left: usize,
    },
    /// A varint has more than 32 bits.
    Varint,
    /// The byte that says whether a record is there is neither yes nor no.
    Presence,
    /// A tagged field has not the size that it says, or is not of this version.
    Tag(u32),
    /// The decoded request would take more memory than is allowed.
    Memory,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.field)?;
        match self.problem {
            Problem::Truncated => f.write_str("the frame ends here"),
            Problem::Negative => f.write_str("negative length"),
            Problem::TooLong { claimed, left } => write!(f, "claims {claimed} where {left} bytes are left"),
            Problem::Varint => f.write_str("varint of more than 32 bits"),
            Problem::Presence => f.write_str("neither present nor absent"),
            Problem::Tag(tag) => write!(f, "tagged field {tag} of a wrong size or version"),
            Problem::Memory => f.write_str("would take too much memory"),
        }
    }
}

impl std::error::Error for Malformed {}

/// What a walk over a good frame found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walked {
    /// Bytes consumed. What follows them is ignored, as Kafka does.
    pub consumed: usize,
    /// Most bytes that the decoded request takes beside the frame and its outermost struct.
    pub memory: usize,
}

impl Schema {
    /// Checks a request body of this version.
    pub fn check(&self, body: &[u8], version: i16, memory_max: usize) -> Result<Walked, Malformed> {
        let mut walk = Walk { rest: body, version, flexible: self.is_flexible(version), memory: 0, memory_max };
        walk.record(self.name, self.fields)?;
        Ok(Walked { consumed: body.len() - walk.rest.len(), memory: walk.memory })
    }
}

/// Splits a request header behind its correlation id: the client id (null counts as empty) and the length of the rest of
/// the header. The client id has a 16-bit length in every version (KIP-482 left it so, for `ApiVersions`' sake).
pub(crate) fn header(rest: &[u8], flexible: bool) -> Result<(&[u8], usize), Malformed> {
    let mut walk = Walk { rest, version: 0, flexible: false, memory: 0, memory_max: usize::MAX };
    let client_id = match walk.length(Width::Short, "client_id")? {
        Some(length) => walk.take(length, "client_id")?,
        None => &[],
    };
    if flexible {
        walk.tagged("header", &[])?;
    }
    Ok((client_id, rest.len() - walk.rest.len()))
}

/// How wide a length is where it is not a varint.
#[derive(Clone, Copy)]
enum Width {
    Short,
    Long,
}

struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    flexible: bool,
    memory: usize,
    memory_max: usize,
}

impl<'a> Walk<'a> {
    fn record(&mut self, name: &'static str, fields: &'static [Field]) -> Result<(), Malformed> {
        for field in fields {
            if field.tag.is_none() && field.is_in(self.version) {
                self.value(field.name, &field.kind)?;
            }
        }
        if self.flexible { self.tagged(name, fields) } else { Ok(()) }
    }

    fn value(&mut self, name: &'static str, kind: &'static Kind) -> Result<(), Malformed> {
        match kind {
            Kind::Fixed(size) => self.take(*size, name).map(drop),
            Kind::String => self.blob(Width::Short, name),
            Kind::Bytes => self.blob(Width::Long, name),
            Kind::Values { memory, item } => self.items(name, *memory, |walk| walk.value(name, item)),
            Kind::Records { memory, fields } => self.items(name, *memory, |walk| walk.record(name, fields)),
            Kind::Record(fields) => self.record(name, fields),
            Kind::Optional(fields) => match self.take(1, name)?[0] {
                1 => self.record(name, fields),
                0xff => Ok(()),
                _ => Err(Malformed { field: name, problem: Problem::Presence }),
            },
        }
    }

    fn blob(&mut self, width: Width, name: &'static str) -> Result<(), Malformed> {
        match self.length(width, name)? {
            Some(length) => self.take(length, name).map(drop),
            None => Ok(()),
        }
    }

    fn items(
        &mut self,
        name: &'static str,
        memory: usize,
        mut item: impl FnMut(&mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        // Every item has at least one byte, so the count is within the bytes that are left, and bounds this loop.
        let Some(count) = self.length(Width::Long, name)? else { return Ok(()) };
        self.charge(count.saturating_mul(memory), name)?;
        (0..count).try_for_each(|_| item(self))
    }

    /// The tagged section at the end of a record: known fields in place, unknown ones by their size.
    fn tagged(&mut self, name: &'static str, fields: &'static [Field]) -> Result<(), Malformed> {
        let count = self.varint(name)?;
        let mut unknown = 0;
        for _ in 0..count {
            let tag = self.varint(name)?;
            let size = self.varint(name)? as usize;
            let value = self.take(size, name)?;
            if let Some(field) = fields.iter().find(|field| field.tag == Some(tag)) {
                self.tagged_value(field, tag, value)?;
                continue;
            }
            self.charge(if unknown == 0 { TAG_MAP_MEMORY } else { TAG_MEMORY }, name)?;
            unknown += 1;
        }
        Ok(())
    }

    /// The codec decodes a known tagged field without looking at its size, so the two must agree.
    fn tagged_value(&mut self, field: &'static Field, tag: u32, value: &'a [u8]) -> Result<(), Malformed> {
        let wrong = Malformed { field: field.name, problem: Problem::Tag(tag) };
        if !field.is_in(self.version) {
            return Err(wrong);
        }
        let behind = std::mem::replace(&mut self.rest, value);
        self.value(field.name, &field.kind)?;
        let left = std::mem::replace(&mut self.rest, behind);
        if left.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// A length or count, at most the bytes that are left; none if it says null.
    fn length(&mut self, width: Width, name: &'static str) -> Result<Option<usize>, Malformed> {
        let signed = if self.flexible {
            i64::from(self.varint(name)?) - 1
        } else {
            match width {
                Width::Short => i64::from(i16::from_be_bytes(self.take_array(name)?)),
                Width::Long => i64::from(i32::from_be_bytes(self.take_array(name)?)),
            }
        };
        if signed == -1 {
            return Ok(None);
        }
        let claimed = usize::try_from(signed).map_err(|_| Malformed { field: name, problem: Problem::Negative })?;
        let left = self.rest.len();
        if claimed > left {
            return Err(Malformed { field: name, problem: Problem::TooLong { claimed, left } });
        }
        Ok(Some(claimed))
    }

    fn varint(&mut self, name: &'static str) -> Result<u32, Malformed> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.take_array(name)?;
            // The fifth byte has room for four bits, and nothing may follow it.
            if shift == 28 && byte > 0x0f {
                break;
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed { field: name, problem: Problem::Varint })
    }

    fn charge(&mut self, memory: usize, name: &'static str) -> Result<(), Malformed> {
        self.memory = self.memory.saturating_add(memory);
        if self.memory > self.memory_max {
            return Err(Malformed { field: name, problem: Problem::Memory });
        }
        Ok(())
    }

    fn take(&mut self, size: usize, name: &'static str) -> Result<&'a [u8], Malformed> {
        let truncated = Malformed { field: name, problem: Problem::Truncated };
        let (taken, rest) = self.rest.split_at_checked(size).ok_or(truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn take_array<const N: usize>(&mut self, name: &'static str) -> Result<[u8; N], Malformed> {
        let truncated = Malformed { field: name, problem: Problem::Truncated };
        let (taken, rest) = self.rest.split_first_chunk().ok_or(truncated)?;
        self.rest = rest;
        Ok(*taken)
    }
}
