//! Epoch seconds → ISO 8601, as Python's `datetime` writes a time in UTC.

const DAY: i64 = 86_400;
const MICROS: i64 = 1_000_000;

/// A day from the ends of Python's calendar, so that the time exists in every time zone.
const FIRST: f64 = -62_135_510_400.0;
const LAST: f64 = 253_402_214_400.0;

/// Microseconds are rounded to the nearest, ties to even, and left out when there are none. What
/// Python's calendar lacks is a day from its end; NaN is its begin.
///
/// ```
/// assert_eq!(celery_core::write_timestamp(86400.5), "1970-01-02T00:00:00.500000+00:00");
/// ```
#[must_use]
pub fn write_timestamp(seconds: f64) -> String {
    let within = if seconds.is_nan() {
        FIRST
    } else {
        seconds.clamp(FIRST, LAST)
    };
    let whole = within.trunc();
    // Both are far within what an i64 holds.
    #[allow(clippy::cast_possible_truncation)]
    let total = whole as i64 * MICROS + ((within - whole) * 1e6).round_ties_even() as i64;
    let (second, micros) = (total.div_euclid(MICROS), total.rem_euclid(MICROS));
    let (year, month, day) = date_of(second.div_euclid(DAY));
    let of_day = second.rem_euclid(DAY);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if micros == 0 {
        text + "+00:00"
    } else {
        format!("{text}.{micros:06}+00:00")
    }
}

/// The date so many days after 1970-01-01. Years are counted from March, so that a leap day is a year's last.
fn date_of(days: i64) -> (i64, i64, i64) {
    const TO_1970: i64 = 719_468; // from 0000-03-01
    const ERA: i64 = 146_097; // 400 years
    let since = days + TO_1970;
    let of_era = since.rem_euclid(ERA);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / (ERA - 1)) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = since.div_euclid(ERA) * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::write_timestamp;
    use crate::parse_timestamp;

    #[test]
    fn times_are_written_in_utc() {
        for (seconds, text) in [
            (0.0, "1970-01-01T00:00:00+00:00"),
            (-0.000_001, "1969-12-31T23:59:59.999999+00:00"),
            (951_868_740.0, "2000-02-29T23:59:00+00:00"),
            (1_795_352_211.774_076, "2026-11-22T12:56:51.774076+00:00"),
            (1_795_352_211.999_999_9, "2026-11-22T12:56:52+00:00"),
            (f64::INFINITY, "9999-12-31T00:00:00+00:00"),
            (f64::NEG_INFINITY, "0001-01-02T00:00:00+00:00"),
            (f64::NAN, "0001-01-02T00:00:00+00:00"),
        ] {
            assert_eq!(write_timestamp(seconds), text);
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for day in (-700_000..2_900_000).step_by(97) {
            let seconds = f64::from(day) * 86_400.0 + 1.0;
            assert_eq!(parse_timestamp(&write_timestamp(seconds)), Ok(seconds));
        }
    }
}
