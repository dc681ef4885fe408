//! ISO 8601 → epoch seconds, in the forms that Python's `datetime.fromisoformat` reads.

use crate::error::Error;

const DAY: i64 = 86_400;

/// Epoch seconds of an ISO 8601 date or date and time; without an offset it is UTC.
///
/// Dates are `2030-01-02`, `20300102` or by week (`2030-W01-3`); times follow after any one
/// letter, basic or extended, with a fraction after a dot or comma (cut after microseconds), and
/// end with `Z`, an offset such as `+02:00`, or nothing.
///
/// # Errors
/// When the text is none of these, or names a day or time that does not exist.
///
/// ```
/// assert_eq!(celery_core::parse_timestamp("1970-01-02T00:00:00,5Z"), Ok(86400.5));
/// ```
pub fn parse_timestamp(text: &str) -> Result<f64, Error> {
    let micros = read(text).ok_or_else(|| Error::Timestamp {
        got: text.chars().take(200).collect(),
    })?;
    // Each part is exact or nearly so: years have four digits.
    #[allow(clippy::cast_precision_loss)]
    Ok((micros / 1_000_000) as f64 + (micros % 1_000_000) as f64 / 1e6)
}

fn read(text: &str) -> Option<i64> {
    let mut reader = Reader { rest: text.as_bytes() };
    let days = reader.date()?;
    if reader.rest.is_empty() {
        return Some(days * DAY * 1_000_000);
    }
    reader.separator(text)?;
    let time = reader.time()?;
    let offset = if reader.take(b'+') {
        reader.time()?
    } else if reader.take(b'-') {
        -reader.time()?
    } else {
        let _ = reader.take(b'Z') || reader.take(b'z');
        0
    };
    reader.rest.is_empty().then_some(days * DAY * 1_000_000 + time - offset)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn take(&mut self, byte: u8) -> bool {
        let there = self.rest.first() == Some(&byte);
        if there {
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
        there
    }

    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.rest.split_at_checked(count)?;
        let mut value = 0;
        for digit in digits {
            value = value * 10 + i64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
        }
        self.rest = rest;
        Some(value)
    }

    fn within(&mut self, low: i64, high: i64) -> Option<i64> {
        self.digits(2).filter(|value| (low..=high).contains(value))
    }

    /// Days since 1970-01-01.
    fn date(&mut self) -> Option<i64> {
        let year = self.digits(4).filter(|&year| year >= 1)?;
        let extended = self.take(b'-');
        if self.take(b'W') {
            return self.week(year, extended);
        }
        let month = self.within(1, 12)?;
        if self.take(b'-') != extended {
            return None;
        }
        let day = self.within(1, days_in(year, month))?;
        Some(days_before(year, month) + day - 1)
    }

    fn week(&mut self, year: i64, extended: bool) -> Option<i64> {
        // The week with the fourth of January is the first; days count from Monday. 1970-01-01 was a Thursday.
        let fourth = days_before(year, 1) + 3;
        let first_monday = fourth - (fourth + 3).rem_euclid(7);
        let next_fourth = days_before(year + 1, 1) + 3;
        let next_monday = next_fourth - (next_fourth + 3).rem_euclid(7);
        let week = self.within(1, (next_monday - first_monday) / 7)?;
        let day_follows = match self.rest.first() {
            Some(b'-') if extended => self.take(b'-'),
            Some(byte) if !extended => byte.is_ascii_digit(),
            _ => false,
        };
        let day = if day_follows {
            self.digits(1).filter(|day| (1..=7).contains(day))?
        } else {
            1
        };
        let days = first_monday + (week - 1) * 7 + day - 1;
        (days >= days_before(1, 1) && days < days_before(10_000, 1)).then_some(days)
    }

    /// One letter of any kind between date and time.
    fn separator(&mut self, text: &str) -> Option<()> {
        let letter = text.get(text.len() - self.rest.len()..)?.chars().next()?;
        self.rest = self.rest.get(letter.len_utf8()..)?;
        Some(())
    }

    /// Microseconds since midnight; also of an offset, which has the same form.
    fn time(&mut self) -> Option<i64> {
        let hour = self.within(0, 23)?;
        let extended = self.take(b':');
        if !extended && !self.digit_follows() {
            return Some(hour * 3600 * 1_000_000);
        }
        let minute = self.within(0, 59)?;
        let more = if extended {
            self.take(b':')
        } else {
            self.digit_follows()
        };
        let mut micros = (hour * 3600 + minute * 60) * 1_000_000;
        if more {
            micros += self.within(0, 59)? * 1_000_000;
            if self.take(b'.') || self.take(b',') {
                micros += self.fraction()?;
            }
        }
        Some(micros)
    }

    fn digit_follows(&self) -> bool {
        self.rest.first().is_some_and(u8::is_ascii_digit)
    }

    fn fraction(&mut self) -> Option<i64> {
        let count = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        let first_six = digits
            .iter()
            .map(|digit| i64::from(digit - b'0'))
            .chain(std::iter::repeat(0))
            .take(6);
        (count > 0).then(|| first_six.fold(0, |value, digit| value * 10 + digit))
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to the first day of a month.
fn days_before(year: i64, month: i64) -> i64 {
    let past = year - 1;
    let to_year = past * 365 + past / 4 - past / 100 + past / 400 - 719_162;
    (1..month).fold(to_year, |days, earlier| days + days_in(year, earlier))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_the_usual_forms_are_read() {
        for (text, seconds) in [
            ("1970-01-01", 0.0),
            ("19700102", 86400.0),
            ("1970-W01-4", 0.0),
            ("1970W014T00", 0.0),
            ("2026-11-22T12:56:51.774076+00:00", 1_795_352_211.774_076),
            ("2030-01-02T03:04:05", 1_893_553_445.0),
            ("2030-01-02T03:04:05+02:00", 1_893_546_245.0),
            ("2030-01-02 03:04:05Z", 1_893_553_445.0),
            ("20300102T030405,25-0130", 1_893_558_845.25),
            ("2000-02-29T23:59", 951_868_740.0),
            ("1969-12-31T23:59:59.9999999", -0.000_001),
        ] {
            assert_eq!(parse_timestamp(text), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "soon",
            "2030",
            "2030-01",
            "2030-1-2",
            "2030-02-30",
            "1900-02-29",
            "2030-01-02T",
            "2030-01-02T24:00",
            "2030-01-02T03:04:60",
            "2030-01-02T03:04:05+24:00",
            "2030-01-02T03:04:05.",
            "2030-01-02T03:04:05+",
            "2030-01-02T03:04:05Zx",
            "2030-0102",
            "0000-01-01",
            "2030-W53-1",
            "2030-W00-1",
            "2030-01-02T0",
            "+2030-01-02",
            "2030-01-02T03:04:05 +02:00",
            "１970-01-01",
        ] {
            assert!(parse_timestamp(text).is_err(), "{text}");
        }
    }
}
