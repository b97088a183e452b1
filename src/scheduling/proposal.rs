//! The ids of proposed Appointments: all that a proposal says, signed, so that it costs no row
//! and nobody can make one.
//!
//! `offer.` and base-62 digits of: a packed head, what is booked, and the first 80 bits of the
//! signature. At most 64 characters; four Schedules and a patient fit while their numbers are
//! below 2³³.

/// Before every token. No id that the server assigns has a dot.
pub const PREFIX: &str = "offer.";

/// The longest id that FHIR allows.
const ID: usize = 64;
/// Bytes of the signature that are kept.
const SEAL: usize = 10;
/// What is signed begins with this, so that the key may serve other purposes too.
const DOMAIN: &[u8] = b"rotunda proposed appointment 1\0";
/// Nobody issued a token before: minutes from 1970 to 2024.
const FIRST_MINUTE: i64 = 28_401_120;
/// A resource's number has its type above these bits (`store`); the types here are known.
const NUMBER_BITS: u32 = 44;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A proposal as it goes out and comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What is booked, the leader first. From one to seven.
    pub parts: Vec<Part>,
    /// Seconds since 1970.
    pub start: i64,
    /// Seconds.
    pub duration: i64,
    /// For whom: its number in the store, without the type.
    pub patient: Option<i64>,
    /// When it was made, in seconds; kept to the minute.
    pub issued: i64,
}

/// One Schedule of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Its number in the store, without the type.
    pub schedule: i64,
    /// Which of its visits; none is one of its openings.
    pub visit: Option<usize>,
    /// Seconds from the start of the appointment to that of this part.
    pub offset: i64,
    /// Its duration in seconds, if it is not that of the appointment.
    pub duration: Option<i64>,
}

impl Part {
    /// A Schedule from the start to the end.
    pub const fn new(schedule: i64, visit: Option<usize>) -> Self {
        Self {
            schedule,
            visit,
            offset: 0,
            duration: None,
        }
    }
}

/// Why a text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsealed {
    /// An ordinary id, or one that somebody made up.
    NotOurs,
    /// It was one; its time is over.
    Expired,
}

/// The signature of some bytes, made with a key that only the server has (HMAC-SHA-256).
pub type Sign<'a> = &'a dyn Fn(&[u8]) -> [u8; 32];

/// The number of a resource without its type.
pub const fn number(rid: i64) -> i64 {
    rid & ((1 << NUMBER_BITS) - 1)
}

impl Token {
    /// As text. None if it does not fit into an id: more than seven Schedules, or numbers and
    /// offsets beyond all measure.
    pub fn seal(&self, sign: Sign) -> Option<String> {
        let mut bytes = self.packed()?;
        let seal = seal(&bytes, sign);
        bytes.extend_from_slice(&seal);
        let text = format!("{PREFIX}{}", base62(bytes));
        (text.len() <= ID).then_some(text)
    }

    /// What a text says, unless it is older than `ttl` seconds.
    pub fn open(text: &str, sign: Sign, now: i64, ttl: i64) -> Result<Self, Unsealed> {
        let digits = text.strip_prefix(PREFIX).ok_or(Unsealed::NotOurs)?;
        let bytes = Some(digits)
            .filter(|_| text.len() <= ID)
            .and_then(from_base62)
            .ok_or(Unsealed::NotOurs)?;
        let (packed, given) = bytes.split_last_chunk::<SEAL>().ok_or(Unsealed::NotOurs)?;
        if !is_same(given, &seal(packed, sign)) {
            return Err(Unsealed::NotOurs);
        }
        let token = Self::unpacked(packed).ok_or(Unsealed::NotOurs)?;
        // The minute begins up to a minute before the token was made.
        if now >= token.issued.saturating_add(ttl).saturating_add(60) {
            return Err(Unsealed::Expired);
        }
        Ok(token)
    }

    /// The first byte is not 0.
    fn packed(&self) -> Option<Vec<u8>> {
        let mut bits = Bits::default();
        let count = u64::try_from(self.parts.len()).ok()?;
        bits.put(1, 1)?;
        bits.put(count.checked_sub(1)?, 3)?;
        bits.put(u64::from(self.patient.is_some()), 1)?;
        bits.put_time(self.start, 28, 37)?;
        bits.put_time(self.duration, 12, 26)?;
        let issued = self.issued.div_euclid(60).checked_sub(FIRST_MINUTE)?;
        bits.put(u64::try_from(issued).ok()?, 26)?;
        let schedules: Vec<u64> = (self.parts.iter())
            .map(|part| u64::try_from(part.schedule).ok())
            .collect::<Option<_>>()?;
        let widest = schedules.iter().copied().map(width).max()?;
        bits.put(u64::from(widest), 6)?;
        for (part, schedule) in self.parts.iter().zip(schedules) {
            bits.put(schedule, widest)?;
            let is_plain = part.visit == Some(0) && part.offset == 0 && part.duration.is_none();
            bits.put(u64::from(!is_plain), 1)?;
            if is_plain {
                continue;
            }
            // 0 is an opening.
            let visit = part.visit.map_or(Some(0), |at| at.checked_add(1))?;
            bits.put(u64::try_from(visit).ok()?, 5)?;
            let is_whole = part.offset == 0 && part.duration.is_none();
            bits.put(u64::from(!is_whole), 1)?;
            if !is_whole {
                bits.put(u64::from(part.offset < 0), 1)?;
                let offset = i64::try_from(part.offset.unsigned_abs()).ok()?;
                bits.put_time(offset, 9, 26)?;
                bits.put(u64::from(part.duration.is_some()), 1)?;
                if let Some(duration) = part.duration {
                    bits.put_time(duration, 9, 26)?;
                }
            }
        }
        if let Some(patient) = self.patient {
            let patient = u64::try_from(patient).ok()?;
            bits.put(u64::from(width(patient)), 6)?;
            bits.put(patient, width(patient))?;
        }
        Some(bits.bytes)
    }

    fn unpacked(bytes: &[u8]) -> Option<Self> {
        let mut bits = Bits {
            bytes: bytes.to_vec(),
            at: 0,
        };
        if bits.take(1)? != 1 {
            return None;
        }
        let count = bits.take(3)? + 1;
        let has_patient = bits.take(1)? == 1;
        let start = bits.take_time(28, 37)?;
        let duration = bits.take_time(12, 26)?;
        let issued = (i64::try_from(bits.take(26)?).ok()? + FIRST_MINUTE) * 60;
        let schedule_width = u32::try_from(bits.take(6)?).ok()?;
        let mut parts = Vec::new();
        for _ in 0..count {
            let schedule = i64::try_from(bits.take(schedule_width)?).ok()?;
            let mut part = Part::new(schedule, Some(0));
            if bits.take(1)? == 1 {
                part.visit = usize::try_from(bits.take(5)?).ok()?.checked_sub(1);
                if bits.take(1)? == 1 {
                    let is_before = bits.take(1)? == 1;
                    let offset = bits.take_time(9, 26)?;
                    part.offset = if is_before { -offset } else { offset };
                    if bits.take(1)? == 1 {
                        part.duration = Some(bits.take_time(9, 26)?);
                    }
                }
            }
            parts.push(part);
        }
        let patient = if has_patient {
            let width = u32::try_from(bits.take(6)?).ok()?;
            Some(i64::try_from(bits.take(width)?).ok()?)
        } else {
            None
        };
        Some(Self {
            parts,
            start,
            duration,
            patient,
            issued,
        })
    }
}

fn seal(packed: &[u8], sign: Sign) -> [u8; SEAL] {
    let signature = sign(&[DOMAIN, packed].concat());
    let mut seal = [0; SEAL];
    seal.copy_from_slice(&signature[..SEAL]);
    seal
}

/// Takes as long for whatever differs.
fn is_same(one: &[u8; SEAL], two: &[u8; SEAL]) -> bool {
    let differs = one.iter().zip(two).fold(0, |sum, (a, b)| sum | (a ^ b));
    std::hint::black_box(differs) == 0
}

/// How many bits a number needs.
const fn width(number: u64) -> u32 {
    u64::BITS - number.leading_zeros()
}

/// Numbers one behind the other, highest bit first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    at: usize,
}

impl Bits {
    /// None if the number does not fit.
    fn put(&mut self, number: u64, width: u32) -> Option<()> {
        if width < 64 && number >> width != 0 {
            return None;
        }
        for bit in (0..width).rev() {
            if self.at.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let last = self.bytes.last_mut()?;
            *last |= u8::try_from(number >> bit & 1).ok()? << (7 - self.at % 8);
            self.at += 1;
        }
        Some(())
    }

    fn take(&mut self, width: u32) -> Option<u64> {
        let mut number = 0;
        for _ in 0..width {
            let byte = self.bytes.get(self.at / 8)?;
            number = number << 1 | u64::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(number)
    }

    /// Minutes in `narrow` bits, or seconds in `wide` bits if they are not whole or too many.
    fn put_time(&mut self, seconds: i64, narrow: u32, wide: u32) -> Option<()> {
        let seconds = u64::try_from(seconds).ok()?;
        if seconds.is_multiple_of(60) && (seconds / 60) >> narrow == 0 {
            self.put(0, 1)?;
            return self.put(seconds / 60, narrow);
        }
        self.put(1, 1)?;
        self.put(seconds, wide)
    }

    fn take_time(&mut self, narrow: u32, wide: u32) -> Option<i64> {
        let seconds = if self.take(1)? == 0 {
            self.take(narrow)? * 60
        } else {
            self.take(wide)?
        };
        i64::try_from(seconds).ok()
    }
}

/// The bytes as one number; the first byte is not 0.
fn base62(mut bytes: Vec<u8>) -> String {
    let mut digits = Vec::new();
    while bytes.iter().any(|byte| *byte != 0) {
        let mut rest = 0_u32;
        for byte in &mut bytes {
            let value = rest << 8 | u32::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or(0);
            rest = value % 62;
        }
        digits.push(char::from(DIGITS[rest as usize]));
    }
    digits.into_iter().rev().collect()
}

/// The inverse of [`base62`]; only what it writes.
fn from_base62(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() || text.starts_with('0') {
        return None;
    }
    // Lowest byte first.
    let mut bytes: Vec<u8> = Vec::new();
    for digit in text.bytes() {
        let mut carry = u32::try_from(DIGITS.iter().position(|known| *known == digit)?).ok()?;
        for byte in &mut bytes {
            carry += u32::from(*byte) * 62;
            *byte = u8::try_from(carry & 0xff).unwrap_or(0);
            carry >>= 8;
        }
        if carry > 0 {
            bytes.push(u8::try_from(carry).ok()?);
        }
    }
    bytes.reverse();
    Some(bytes)
}

#[cfg(test)]
mod tests;
