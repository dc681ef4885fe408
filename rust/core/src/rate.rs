//! Rates as users write them: `10/m` → tokens per second.

use crate::error::{Error, Quoted};

/// Tokens per second of a text such as `10/m`, `0.5/s`, `1/d` or `10`; empty or zero is 0.0: no limit.
///
/// # Errors
/// When the text is not a finite number from zero up, with a unit s, m, h or d behind a slash.
///
/// ```
/// assert_eq!(celery_core::parse_rate("30/m"), Ok(0.5));
/// assert!(celery_core::parse_rate("5/x").is_err());
/// ```
pub fn parse_rate(text: &str) -> Result<f64, Error> {
    let refused = || Error::Rate {
        got: Quoted(text).to_string(),
    };
    let trimmed = text.trim_ascii();
    if trimmed.is_empty() {
        return Ok(0.0);
    }
    let (number, seconds) = match trimmed.split_once('/') {
        None => (trimmed, 1.0),
        Some((number, "s")) => (number, 1.0),
        Some((number, "m")) => (number, 60.0),
        Some((number, "h")) => (number, 3600.0),
        Some((number, "d")) => (number, 86400.0),
        Some(_) => return Err(refused()),
    };
    let count: f64 = number.parse().map_err(|_| refused())?;
    usable(count / seconds).ok_or_else(refused)
}

/// A rate that came as a number.
///
/// # Errors
/// When it is negative, infinite or not a number.
pub fn checked_rate(rate: f64) -> Result<f64, Error> {
    usable(rate).ok_or_else(|| Error::Rate { got: rate.to_string() })
}

fn usable(rate: f64) -> Option<f64> {
    // Adding zero turns -0.0 into 0.0.
    (rate.is_finite() && rate >= 0.0).then_some(rate + 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_seconds_minutes_hours_and_days() {
        for (text, rate) in [
            ("2/s", 2.0),
            ("30/m", 0.5),
            ("36/h", 0.01),
            ("864/d", 0.01),
            ("10", 10.0),
            (" 0.5/s ", 0.5),
        ] {
            assert_eq!(parse_rate(text), Ok(rate), "{text}");
        }
    }

    #[test]
    fn nothing_and_zero_are_no_limit() {
        for text in ["", " ", "0", "0/m", "-0", "0.0/d"] {
            assert_eq!(parse_rate(text).map(f64::to_bits), Ok(0), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "5/x", "abc", "-1", "-1/m", "nan", "inf", "1e999", "10/", "/m", "1/m/s", "5/M", "1_0", "5 / m",
        ] {
            assert!(parse_rate(text).is_err(), "{text}");
        }
        assert!(checked_rate(f64::NAN).is_err());
        assert!(checked_rate(-1.0).is_err());
        assert!(checked_rate(f64::INFINITY).is_err());
    }
}
