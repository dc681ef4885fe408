//! A quick look at JSON text before a fast reader is trusted with it.

/// A run of digits this long may be an integer that does not fit 64 bits: the shortest is
/// `-9223372036854775809`.
const WIDE: usize = 19;
const TAG: &[u8] = b"\"__type__\"";

/// Whether a reader that knows 64-bit integers and no type tags reads `json` as Python would: no
/// run of 19 digits and no string `__type__`.
///
/// ```
/// assert!(celery_core::is_plain(br#"{"n": 12, "x": 0.5}"#));
/// assert!(!celery_core::is_plain(br#"{"__type__": "uuid"}"#));
/// assert!(!celery_core::is_plain(b"[123456789012345678901]"));
/// ```
#[must_use]
pub fn is_plain(json: &[u8]) -> bool {
    let mut digits = 0_usize;
    for (place, &byte) in json.iter().enumerate() {
        if byte.is_ascii_digit() {
            digits += 1;
            if digits == WIDE {
                return false;
            }
        } else {
            digits = 0;
            if byte == b'"' && json.get(place..).is_some_and(|rest| rest.starts_with(TAG)) {
                return false;
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn eighteen_digits_are_plain_and_nineteen_are_not() {
        assert!(is_plain(b"[999999999999999999]"));
        assert!(!is_plain(b"[9999999999999999999]"));
    }

    #[test]
    fn digits_do_not_add_up_over_what_separates_them() {
        assert!(is_plain(b"[1234567890123, 1234567890123]"));
    }

    #[test]
    fn a_tag_is_found_anywhere() {
        assert!(!is_plain(br#"[1, {"a": {"__type__": "bytes"}}]"#));
        assert!(is_plain(br#"["__types__"]"#));
    }
}
