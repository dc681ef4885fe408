//! Glob and topic patterns.

/// A compiled glob with the meaning of Python's `fnmatch.fnmatchcase`: `*` any run, `?` any one
/// letter, `[...]` one of a set, `[!...]` one not in it. A bracket that is never closed is a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    /// The letters that every match begins with: most texts differ there already.
    prefix: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Run,
    One,
    Letter(char),
    Set { negated: bool, ranges: Vec<(char, char)> },
}

impl Part {
    fn accepts(&self, letter: char) -> bool {
        match self {
            Self::Run => false,
            Self::One => true,
            Self::Letter(own) => *own == letter,
            Self::Set { negated, ranges } => {
                ranges.iter().any(|&(low, high)| low <= letter && letter <= high) != *negated
            }
        }
    }
}

impl Glob {
    /// Compile a pattern; every text is one.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = pattern;
        while let Some(letter) = rest.chars().next() {
            rest = rest.get(letter.len_utf8()..).unwrap_or_default();
            match letter {
                '*' if parts.last() == Some(&Part::Run) => {}
                '*' => parts.push(Part::Run),
                '?' => parts.push(Part::One),
                '[' => match split_set(rest) {
                    Some((set, after)) => {
                        parts.push(compile_set(set));
                        rest = after;
                    }
                    None => parts.push(Part::Letter('[')),
                },
                _ => parts.push(Part::Letter(letter)),
            }
        }
        let first = parts.iter().position(|part| !matches!(part, Part::Letter(_)));
        let rest = parts.split_off(first.unwrap_or(parts.len()));
        let letter = |part: &Part| {
            if let Part::Letter(letter) = part {
                Some(*letter)
            } else {
                None
            }
        };
        Self {
            prefix: parts.iter().filter_map(letter).collect(),
            parts: rest,
        }
    }

    /// Whether the pattern stands for the whole of `text`.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let Some(rest) = text.strip_prefix(&self.prefix) else {
            return false;
        };
        let letters: Vec<char> = rest.chars().collect();
        stands_for(
            &self.parts,
            &letters,
            |part| *part == Part::Run,
            |part, letter| part.accepts(*letter),
        )
    }
}

/// The inside of a set and what follows it. A `]` that comes first, or after `!`, is a member.
fn split_set(rest: &str) -> Option<(&str, &str)> {
    let mut from = usize::from(rest.starts_with('!'));
    from += usize::from(rest.get(from..)?.starts_with(']'));
    let end = from + rest.get(from..)?.find(']')?;
    Some((rest.get(..end)?, rest.get(end + 1..)?))
}

fn compile_set(set: &str) -> Part {
    let (negated, members) = match set.strip_prefix('!') {
        Some(members) => (true, members),
        None => (false, set),
    };
    let letters: Vec<char> = members.chars().collect();
    let mut ranges = Vec::new();
    let mut rest = letters.as_slice();
    loop {
        rest = match rest {
            [low, '-', high, after @ ..] => {
                // A range that runs backwards holds nothing, as in Python.
                if low <= high {
                    ranges.push((*low, *high));
                }
                after
            }
            [letter, after @ ..] => {
                ranges.push((*letter, *letter));
                after
            }
            [] => return Part::Set { negated, ranges },
        };
    }
}

/// Whether `routing_key` matches an AMQP topic pattern: `*` is one word, `#` any number of words.
///
/// ```
/// use celery_core::topic_matches;
/// assert!(topic_matches("logs.#", "logs"));
/// assert!(!topic_matches("logs.*", "logs"));
/// ```
#[must_use]
pub fn topic_matches(pattern: &str, routing_key: &str) -> bool {
    let (pattern, key) = (words(pattern), words(routing_key));
    stands_for(
        &pattern,
        &key,
        |word| *word == "#",
        |part, word| *part == "*" || part == word,
    )
}

/// Empty text has no words, not one empty word.
fn words(text: &str) -> Vec<&str> {
    if text.is_empty() {
        Vec::new()
    } else {
        text.split('.').collect()
    }
}

/// Whether `parts`, some of which are runs of anything, stand for all of `items`.
///
/// When an item does not fit, the latest run takes one more: going further back could not help, so
/// the time is at most the product of the lengths.
fn stands_for<P, I>(parts: &[P], items: &[I], is_run: impl Fn(&P) -> bool, accepts: impl Fn(&P, &I) -> bool) -> bool {
    let (mut part, mut item) = (0, 0);
    let mut latest_run: Option<(usize, usize)> = None;
    loop {
        match (parts.get(part), items.get(item)) {
            (None, None) => return true,
            (Some(run), _) if is_run(run) => {
                latest_run = Some((part, item));
                part += 1;
            }
            (Some(single), Some(one)) if accepts(single, one) => {
                part += 1;
                item += 1;
            }
            _ => match latest_run {
                Some((run, start)) if start < items.len() => {
                    latest_run = Some((run, start + 1));
                    part = run + 1;
                    item = start + 1;
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(pattern: &str, text: &str) -> bool {
        Glob::new(pattern).matches(text)
    }

    #[test]
    fn globs_mean_what_fnmatch_means() {
        for (pattern, text) in [
            ("proj.*", "proj.tasks.add"),
            ("*", ""),
            ("a?c", "abc"),
            ("[a-c]x", "bx"),
            ("[!a-c]x", "dx"),
            ("[]]", "]"),
            ("[!]]", "a"),
            ("[", "["),
            ("[!", "[!"),
            ("[a-]", "-"),
            ("[!z-a]", "q"),
            ("*.add", "a.b.add"),
            ("*a*b*c*", "xxaxxbxxcxx"),
        ] {
            assert!(glob(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("proj.*", "proj"),
            ("a?c", "ac"),
            ("[a-c]", "d"),
            ("[z-a]", "m"),
            ("A", "a"),
            ("", "x"),
        ] {
            assert!(!glob(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        assert!(!glob(&"*a".repeat(200), &"a".repeat(199)));
    }

    #[test]
    fn topics_count_words() {
        for (pattern, key) in [
            ("#", ""),
            ("#", "a.b"),
            ("a.#", "a"),
            ("a.#.c", "a.b.b.c"),
            ("*.*", "a.b"),
            ("", ""),
            ("#.#", ""),
        ] {
            assert!(topic_matches(pattern, key), "{pattern} {key}");
        }
        for (pattern, key) in [
            ("*", ""),
            ("a.*", "a"),
            ("a", "a.b"),
            ("a.#.c", "a.b"),
            ("", "a"),
            ("*", "a.b"),
        ] {
            assert!(!topic_matches(pattern, key), "{pattern} {key}");
        }
    }
}
