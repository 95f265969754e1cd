//! When a certificate ends: the one field of X.509 that nobody else here reads (pure).

use jiff::Timestamp;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// `notAfter` of a certificate in DER (RFC 5280, sections 4.1 and 4.1.2.5); `None` where that cannot be read.
pub(super) fn not_after(der: &[u8]) -> Option<Timestamp> {
    let mut certificate = Elements(Elements(der).expect(SEQUENCE)?);
    let mut fields = Elements(certificate.expect(SEQUENCE)?);
    // Version (absent in version 1) and serial number, or the serial number alone.
    if fields.next()?.0 == VERSION {
        fields.next()?;
    }
    let (_signature, _issuer) = (fields.expect(SEQUENCE)?, fields.expect(SEQUENCE)?);
    let mut validity = Elements(fields.expect(SEQUENCE)?);
    validity.next()?;
    let (tag, text) = validity.next()?;
    time(tag, std::str::from_utf8(text).ok()?)
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ`.
fn time(tag: u8, text: &str) -> Option<Timestamp> {
    let text = match tag {
        // Two digits are 1950 to 2049.
        UTC_TIME => format!("{}{text}", if text.get(..2)? < "50" { "20" } else { "19" }),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let [year, month, day] = [text.get(..4)?, text.get(4..6)?, text.get(6..8)?];
    let [hour, minute, rest] = [text.get(8..10)?, text.get(10..12)?, text.get(12..)?];
    format!("{year}-{month}-{day}T{hour}:{minute}:{rest}").parse().ok()
}

/// DER elements, one after the other: a tag, a length, the contents.
struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (digits.iter().fold(0, |length, digit| (length << 8) | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, contents))
    }

    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, contents)| contents)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(year: i32) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["scaler".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 2, 28);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn both_ways_of_writing_a_year() {
        for year in [2031, 2049, 2050, 2099] {
            let expected = format!("{year}-02-28T00:00:00Z").parse().ok();
            assert_eq!(not_after(&certificate(year)), expected);
        }
        assert_eq!(time(UTC_TIME, "500101000000Z"), "1950-01-01T00:00:00Z".parse().ok());
    }

    #[test]
    fn what_is_cut_off_has_no_end() {
        let whole = certificate(2031);
        for length in 0..120 {
            assert_eq!(not_after(&whole[..length]), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(mut bytes: Vec<u8>, at in 0_usize..200, byte: u8) {
            not_after(&bytes);
            bytes = certificate(2031);
            bytes[at] = byte;
            not_after(&bytes);
        }
    }
}
