//! Random UUIDs as text; whoever asks brings the random bytes.

/// A UUID of version 4.
#[must_use]
pub fn uuid4(random: u128) -> String {
    const VERSION: u128 = 0x4 << 76;
    const VARIANT: u128 = 0x2 << 62;
    const FIXED: u128 = (0xF << 76) | (0x3 << 62);
    let number = (random & !FIXED) | VERSION | VARIANT;
    let mut text = String::with_capacity(36);
    for place in (0..32).rev() {
        if matches!(place, 11 | 15 | 19 | 23) {
            text.push('-');
        }
        let digit = u32::try_from((number >> (4 * place)) & 0xF).unwrap_or_default();
        text.push(char::from_digit(digit, 16).unwrap_or_default());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::uuid4;

    #[test]
    fn version_and_variant_stand_where_they_must() {
        assert_eq!(uuid4(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid4(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }

    #[test]
    fn all_else_is_random() {
        assert_eq!(
            uuid4(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef),
            "01234567-89ab-4def-8123-456789abcdef"
        );
    }
}
