//! Commands in the form in which Redis reads them: a count, then each word behind its length.

/// Write one command at the end of `out`.
pub fn write_command<'a>(out: &mut Vec<u8>, words: impl ExactSizeIterator<Item = &'a [u8]>) {
    write_length(out, b'*', words.len());
    for word in words {
        write_length(out, b'$', word.len());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

fn write_length(out: &mut Vec<u8>, sign: u8, length: usize) {
    out.push(sign);
    out.extend_from_slice(length.to_string().as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::write_command;

    #[test]
    fn a_command_is_its_words_behind_their_lengths() {
        let mut out = Vec::new();

        write_command(&mut out, [b"SET".as_slice(), b"key", b"\r\n"].into_iter());

        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$2\r\n\r\n\r\n");
    }
}
