//! Topic ids: 128 bits made from what they name and taken apart again, so that no table is needed.
//!
//! | bytes | |
//! |---|---|
//! | 0 | `0x4d` |
//! | 1 | spelling |
//! | 2–9 | the volume, big endian |
//! | 10–13 | topic number, big endian |
//! | 14–15 | CRC-16/CCITT (polynomial `0x1021`, from `0xffff`) of bytes 0–13, big endian |
//!
//! Clients keep ids, so this never changes. Two spellings of a topic have two ids: Java clients stop when two names carry
//! one.

use millpond_storage::TopicNumber;
use millpond_storage::state::VolumeId;
use uuid::Uuid;

const MARK: u8 = 0x4d;

/// How a topic is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Spelling {
    /// By its plain or dotted name.
    Plain = 0,
    /// By a path.
    Path = 1,
}

impl Spelling {
    /// All of them, by their number.
    pub const ALL: [Self; 2] = [Self::Plain, Self::Path];
}

/// What a topic id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicIdParts {
    /// How the topic is spelled.
    pub spelling: Spelling,
    /// The volume that it is in.
    pub volume: VolumeId,
    /// Its number there.
    pub number: TopicNumber,
}

impl TopicIdParts {
    /// The id.
    pub fn id(&self) -> Uuid {
        let mut bytes = [0; 16];
        bytes[0] = MARK;
        bytes[1] = self.spelling as u8;
        bytes[2..10].copy_from_slice(&self.volume.0.to_be_bytes());
        bytes[10..14].copy_from_slice(&self.number.0.to_be_bytes());
        let sum = crc16(&bytes[..14]);
        bytes[14..].copy_from_slice(&sum.to_be_bytes());
        Uuid::from_bytes(bytes)
    }

    /// What an id names; none if no topic ever has this id.
    pub fn of(id: &Uuid) -> Option<Self> {
        let [MARK, spelling, volume @ .., n0, n1, n2, n3, s0, s1] = *id.as_bytes() else { return None };
        if crc16(&id.as_bytes()[..14]) != u16::from_be_bytes([s0, s1]) {
            return None;
        }
        Some(Self {
            spelling: *Spelling::ALL.get(usize::from(spelling))?,
            volume: VolumeId(u64::from_be_bytes(volume)),
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

    fn parts(spelling: Spelling, volume: u64, number: u32) -> TopicIdParts {
        TopicIdParts { spelling, volume: VolumeId(volume), number: TopicNumber(number) }
    }

    #[test]
    fn an_id_is_taken_apart_again() {
        for spelling in Spelling::ALL {
            for (volume, number) in [(1, 16), (u64::MAX, u32::MAX), (0, 0)] {
                let parts = parts(spelling, volume, number);
                assert_eq!(TopicIdParts::of(&parts.id()), Some(parts));
            }
        }
    }

    #[test]
    fn ids_stay_as_they_are_for_ever() {
        let id = parts(Spelling::Plain, 1, 16).id();
        assert_eq!(id.as_bytes()[..14], [0x4d, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 16]);
        assert_eq!(crc16(b"123456789"), 0x29b1, "the published check value of this CRC");
        assert_ne!(id, parts(Spelling::Path, 1, 16).id());
    }

    #[test]
    fn no_single_changed_bit_makes_another_id() {
        let id = parts(Spelling::Plain, 1, 16).id();
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
