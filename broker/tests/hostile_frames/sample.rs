//! Requests made from their schemas, with every array and text filled, and the places of their lengths.

use millpond::api::schema::{Field, Kind, Schema};

/// A request body.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    pub(crate) bytes: Vec<u8>,
    pub(crate) lengths: Vec<Length>,
}

/// A length or count in a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Length {
    pub(crate) field: &'static str,
    pub(crate) at: usize,
    pub(crate) width: Width,
}

/// How a length is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    Short,
    Long,
    Varint,
}

impl Sample {
    /// A request of this version with `count` items in every array.
    pub(crate) fn of(schema: &Schema, version: i16, count: usize) -> Self {
        let mut writer =
            Writer { sample: Self::default(), flexible: schema.is_flexible(version), version, count, made: 0 };
        writer.record(schema.fields);
        writer.sample
    }

    /// The same with another number in place of one length.
    pub(crate) fn with_length(&self, length: Length, number: &[u8]) -> Vec<u8> {
        let old = match length.width {
            Width::Short => 2,
            Width::Long => 4,
            // All lengths of samples are below 128.
            Width::Varint => 1,
        };
        let mut bytes = self.bytes.clone();
        bytes.splice(length.at..length.at + old, number.iter().copied());
        bytes
    }
}

struct Writer {
    sample: Sample,
    flexible: bool,
    version: i16,
    count: usize,
    /// So that no two values are the same.
    made: u8,
}

impl Writer {
    fn record(&mut self, fields: &'static [Field]) {
        let present = fields.iter().filter(|field| field.is_in(self.version));
        let (tagged, plain): (Vec<_>, Vec<_>) = present.partition(|field| field.tag.is_some());
        for field in plain {
            self.value(field.name, &field.kind);
        }
        if self.flexible {
            self.tagged(&tagged);
        }
    }

    /// Known tagged fields and an unknown one.
    fn tagged(&mut self, fields: &[&'static Field]) {
        self.varint(fields.len() + 1);
        for field in fields {
            self.varint(usize::try_from(field.tag.unwrap()).unwrap());
            let size_at = self.sample.bytes.len();
            self.length(field.name, Width::Varint, 0);
            self.value(field.name, &field.kind);
            let size = self.sample.bytes.len() - size_at - 1;
            self.sample.bytes[size_at] = u8::try_from(size).unwrap();
        }
        self.varint(100);
        self.length("unknown tag", Width::Varint, 2);
        self.sample.bytes.extend([0xab, 0xcd]);
    }

    fn value(&mut self, name: &'static str, kind: &'static Kind) {
        self.made = self.made.wrapping_add(1);
        match kind {
            // One byte may be a boolean, which is encoded as 1.
            Kind::Fixed(1) => self.sample.bytes.push(1),
            Kind::Fixed(size) => self.sample.bytes.extend(std::iter::repeat_n(self.made, *size)),
            Kind::String => self.blob(name, Width::Short),
            Kind::Bytes => self.blob(name, Width::Long),
            Kind::Values { item, .. } => {
                self.count(name);
                (0..self.count).for_each(|_| self.value(name, item));
            }
            Kind::Records { fields, .. } => {
                self.count(name);
                (0..self.count).for_each(|_| self.record(fields));
            }
            Kind::Record(fields) => self.record(fields),
            Kind::Optional(fields) => {
                self.sample.bytes.push(1);
                self.record(fields);
            }
        }
    }

    fn count(&mut self, name: &'static str) {
        let width = if self.flexible { Width::Varint } else { Width::Long };
        self.length(name, width, self.count + usize::from(self.flexible));
    }

    fn blob(&mut self, name: &'static str, width: Width) {
        let text = format!("v{}", self.made);
        let width = if self.flexible { Width::Varint } else { width };
        self.length(name, width, text.len() + usize::from(self.flexible));
        self.sample.bytes.extend(text.as_bytes());
    }

    fn length(&mut self, field: &'static str, width: Width, number: usize) {
        self.sample.lengths.push(Length { field, at: self.sample.bytes.len(), width });
        match width {
            Width::Short => self.sample.bytes.extend(u16::try_from(number).unwrap().to_be_bytes()),
            Width::Long => self.sample.bytes.extend(u32::try_from(number).unwrap().to_be_bytes()),
            Width::Varint => self.varint(number),
        }
    }

    fn varint(&mut self, number: usize) {
        self.sample.bytes.extend(varint(u32::try_from(number).unwrap()));
    }
}

pub(crate) fn varint(mut number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = number.to_le_bytes()[0];
        number >>= 7;
        if number == 0 {
            bytes.push(low & 0x7f);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
