//! Topic ids: 128 bits made from what they name and taken apart again, so that no table is needed.
//!
//! | bytes | |
//! |---|---|
//! | 0 | `0x4d` |
//! | 1 | spelling: the form in the low four bits, in the high four whose name it is |
//! | 2–9 | the number of the volume or snapshot ([`Scope::number`]), big endian |
//! | 10–13 | topic number, big endian |
//! | 14–15 | CRC-16/CCITT (polynomial `0x1021`, from `0xffff`) of bytes 0–13, big endian |
//!
//! Clients keep ids, so this never changes. Two spellings of a topic have two ids: Java clients stop when two names carry
//! one.

use millpond_storage::TopicNumber;
use uuid::Uuid;

use crate::scope::Scope;

const MARK: u8 = 0x4d;
/// Whose name it is stands above these bits.
const FORM_BITS: u8 = 4;

/// The form of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// Plain in volume `default`, `<volume>.<stream>.<topic>` elsewhere.
    Dotted = 0,
    /// `<mount>/<stream>:<topic>`.
    Path = 1,
    /// `<volume>.-<snapshot>.<stream>.<topic>`.
    Alias = 2,
    /// On a listener of its own: plain, or `<stream>.<topic>`.
    Short = 3,
    /// `<mount>/.snapshot/<snapshot>/<stream>:<topic>`.
    SnapshotPath = 4,
}

impl Form {
    /// All of them, by their number.
    pub const ALL: [Self; 5] = [Self::Dotted, Self::Path, Self::Alias, Self::Short, Self::SnapshotPath];
}

/// How a topic is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Spelling {
    /// The form of the name.
    pub form: Form,
    /// Whose name it is: 0 that of the topic's own volume, n that of the nth volume it was cloned from. At most 15.
    pub whose: u8,
}

impl Spelling {
    /// How many volumes a name can be of: the topic's own, and those that it was cloned from.
    pub const NAMES_MAX: usize = 16;

    /// A form of the own name.
    pub const fn own(form: Form) -> Self {
        Self { form, whose: 0 }
    }

    /// The spelling as an id has it.
    pub fn number(self) -> u8 {
        self.form as u8 | (self.whose << FORM_BITS)
    }

    fn of_number(number: u8) -> Option<Self> {
        let form = *Form::ALL.get(usize::from(number & ((1 << FORM_BITS) - 1)))?;
        Some(Self { form, whose: number >> FORM_BITS })
    }
}

/// What a topic id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicIdParts {
    /// How the topic is spelled.
    pub spelling: Spelling,
    /// The volume or snapshot that it is in.
    pub home: Scope,
    /// Its number there.
    pub number: TopicNumber,
}

impl TopicIdParts {
    /// The id.
    pub fn id(&self) -> Uuid {
        let mut bytes = [0; 16];
        bytes[0] = MARK;
        bytes[1] = self.spelling.number();
        bytes[2..10].copy_from_slice(&self.home.number().to_be_bytes());
        bytes[10..14].copy_from_slice(&self.number.0.to_be_bytes());
        let sum = crc16(&bytes[..14]);
        bytes[14..].copy_from_slice(&sum.to_be_bytes());
        Uuid::from_bytes(bytes)
    }

    /// What an id names; none if no topic ever has this id.
    pub fn of(id: &Uuid) -> Option<Self> {
        let [MARK, spelling, home @ .., n0, n1, n2, n3, s0, s1] = *id.as_bytes() else { return None };
        if crc16(&id.as_bytes()[..14]) != u16::from_be_bytes([s0, s1]) {
            return None;
        }
        Some(Self {
            spelling: Spelling::of_number(spelling)?,
            home: Some(Scope::of_number(u64::from_be_bytes(home))).filter(|home| *home != Scope::Everything)?,
            number: TopicNumber(u32::from_be_bytes([n0, n1, n2, n3])),
        })
    }
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |sum, byte| (sum << 8) ^ CRC16[usize::from((sum >> 8) as u8 ^ byte)])
}

/// What each byte adds to the sum: ids are taken apart for every topic of every Fetch.
const CRC16: [u16; 256] = {
    let mut table = [0_u16; 256];
    let mut byte = 0_u16;
    while byte < 256 {
        let mut sum = byte << 8;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 0x8000 == 0 { sum << 1 } else { (sum << 1) ^ 0x1021 };
            bit += 1;
        }
        table[byte as usize] = sum;
        byte += 1;
    }
    table
};

/// 128 bits as Kafka's clients write them: URL-safe Base64 without padding.
pub fn text(bytes: &[u8; 16]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut left = u128::from_be_bytes(*bytes);
    // 128 bits are 21 digits of six bits and one of two, which stand at its top.
    (0..22)
        .map(|_| {
            let digit = DIGITS[(left >> 122) as usize];
            left <<= 6;
            char::from(digit)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    use millpond_storage::state::{PinId, VolumeId};

    fn parts(form: Form, home: Scope, number: u32) -> TopicIdParts {
        TopicIdParts { spelling: Spelling::own(form), home, number: TopicNumber(number) }
    }

    #[test]
    fn an_id_is_taken_apart_again() {
        let homes = [Scope::Volume(VolumeId(1)), Scope::Volume(VolumeId((1 << 63) - 1)), Scope::Snapshot(PinId(0))];
        for (home, form) in homes.into_iter().flat_map(|home| Form::ALL.map(|form| (home, form))) {
            for (whose, number) in [(0, 16), (1, u32::MAX), (15, 0)] {
                let parts = TopicIdParts { spelling: Spelling { form, whose }, home, number: TopicNumber(number) };
                assert_eq!(TopicIdParts::of(&parts.id()), Some(parts));
            }
        }
        assert_eq!(TopicIdParts::of(&parts(Form::Dotted, Scope::Everything, 16).id()), None, "no topic is everywhere");
    }

    #[test]
    fn ids_stay_as_they_are_for_ever() {
        let home = Scope::Volume(VolumeId(1));
        let id = parts(Form::Dotted, home, 16).id();
        assert_eq!(id.as_bytes()[..14], [0x4d, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 16]);
        assert_eq!(parts(Form::Path, home, 16).id().as_bytes()[1], 1);
        let inherited =
            TopicIdParts { spelling: Spelling { form: Form::Path, whose: 2 }, ..parts(Form::Path, home, 16) };
        assert_eq!(inherited.id().as_bytes()[1], 0x21);
        assert_eq!(
            parts(Form::Alias, Scope::Snapshot(PinId(3)), 16).id().as_bytes()[..10],
            [0x4d, 2, 0x80, 0, 0, 0, 0, 0, 0, 3]
        );
        assert_eq!(crc16(b"123456789"), 0x29b1, "the published check value of this CRC");
    }

    #[test]
    fn no_single_changed_bit_makes_another_id() {
        let id = parts(Form::Dotted, Scope::Volume(VolumeId(1)), 16).id();
        for bit in 0..128 {
            let changed = Uuid::from_u128(id.as_u128() ^ (1 << bit));
            assert_eq!(TopicIdParts::of(&changed), None, "bit {bit}");
        }
        assert_eq!(TopicIdParts::of(&Uuid::nil()), None);
    }

    #[test]
    fn text_is_what_java_prints() {
        assert_eq!(text(&[0; 16]), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(text(&[0xff; 16]), "_____________________w");
        assert_eq!(
            text(&[0, 16, 131, 16, 81, 135, 32, 146, 139, 48, 211, 143, 65, 20, 147, 81]),
            "ABCDEFGHIJKLMNOPQRSTUQ"
        );
    }
}
