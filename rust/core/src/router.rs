//! Which routing rule a task name falls under: exact names first, then patterns in order.

use std::collections::HashMap;

use regex::Regex;

use crate::error::Error;
use crate::pattern::Glob;

/// Task names are few; a caller that makes them up must not fill the memory.
const MEMO: usize = 1024;

/// One routing rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule<'a> {
    /// A task name.
    Exact(&'a str),
    /// A glob, see [`Glob`].
    Glob(&'a str),
    /// A regular expression, matched from the start of the name like Python's `re.match`; only that `$` is the very
    /// end, also before a final line break, which no task name has.
    Regex(&'a str),
}

enum Pattern {
    Glob(Glob),
    Regex(Regex),
}

/// Compiled rules and a bounded memo of answers.
pub struct Router {
    exact: HashMap<String, usize>,
    patterns: Vec<(usize, Pattern)>,
    memo: HashMap<String, Option<usize>>,
}

impl Router {
    /// Compile rules; their places are what [`Router::lookup`] answers.
    ///
    /// # Errors
    /// When a regex cannot be compiled here, or might mean something else in Python.
    pub fn new<'a>(rules: impl IntoIterator<Item = Rule<'a>>) -> Result<Self, Error> {
        let mut router = Self {
            exact: HashMap::new(),
            patterns: Vec::new(),
            memo: HashMap::new(),
        };
        for (place, rule) in rules.into_iter().enumerate() {
            match rule {
                Rule::Exact(name) => {
                    router.exact.entry(name.to_owned()).or_insert(place);
                }
                Rule::Glob(pattern) => router.patterns.push((place, Pattern::Glob(Glob::new(pattern)))),
                Rule::Regex(pattern) => router.patterns.push((place, Pattern::Regex(compile(pattern)?))),
            }
        }
        Ok(router)
    }

    /// The place of the first rule that `task` falls under.
    pub fn lookup(&mut self, task: &str) -> Option<usize> {
        if let Some(&place) = self.exact.get(task) {
            return Some(place);
        }
        if self.patterns.is_empty() {
            return None;
        }
        if let Some(&answer) = self.memo.get(task) {
            return answer;
        }
        let answer = self
            .patterns
            .iter()
            .find(|(_, pattern)| pattern.matches(task))
            .map(|&(place, _)| place);
        if self.memo.len() == MEMO {
            self.memo.clear();
        }
        self.memo.insert(task.to_owned(), answer);
        answer
    }
}

impl Pattern {
    fn matches(&self, task: &str) -> bool {
        match self {
            Self::Glob(glob) => glob.matches(task),
            Self::Regex(regex) => regex.is_match(task),
        }
    }
}

fn compile(pattern: &str) -> Result<Regex, Error> {
    let refused = |reason: String| Error::Regex {
        pattern: pattern.to_owned(),
        reason,
    };
    if let Some(syntax) = differs_from_python(pattern) {
        return Err(refused(format!("{syntax} means something else in Python")));
    }
    // Compiled alone first, so that an unbalanced parenthesis cannot escape the group around it.
    Regex::new(pattern)
        .and_then(|_| Regex::new(&format!(r"\A(?:{pattern})")))
        .map_err(|error| refused(last_line(&error.to_string())))
}

/// Syntax that both languages accept and read differently.
fn differs_from_python(pattern: &str) -> Option<&'static str> {
    const SYNTAX: [&str; 9] = ["&&", "--", "~~", "[[", r"\<", r"\>", r"\b{", "(?x", "(?U"];
    SYNTAX.into_iter().find(|syntax| pattern.contains(syntax))
}

/// The compiler draws the pattern on several lines and ends with the reason.
fn last_line(text: &str) -> String {
    text.lines()
        .last()
        .unwrap_or_default()
        .trim_start_matches("error: ")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_names_come_before_patterns_and_patterns_in_order() {
        let rules = [
            Rule::Glob("a.*"),
            Rule::Regex(r"a\.b"),
            Rule::Exact("a.b"),
            Rule::Exact("a.b"),
            Rule::Glob("*"),
        ];
        let mut router = Router::new(rules).expect("rules");
        assert_eq!(router.lookup("a.b"), Some(2));
        assert_eq!(router.lookup("a.c"), Some(0));
        assert_eq!(router.lookup("x"), Some(4));
    }

    #[test]
    fn a_regex_is_held_at_the_start_only() {
        let mut router = Router::new([Rule::Regex("b|ab")]).expect("rules");
        assert_eq!(router.lookup("abc"), Some(0));
        assert_eq!(router.lookup("cab"), None);
    }

    #[test]
    fn the_memo_is_bounded() {
        let mut router = Router::new([Rule::Glob("x*")]).expect("rules");
        for number in 0..5000 {
            assert_eq!(router.lookup(&format!("y{number}")), None);
        }
        assert!(router.memo.len() <= MEMO);
    }

    #[test]
    fn a_regex_that_cannot_be_compiled_or_trusted_is_refused() {
        for pattern in ["(", r"(?=a)", r"(a)\1", "a)|(b", "[a&&b]", "[[a]"] {
            assert!(Router::new([Rule::Regex(pattern)]).is_err(), "{pattern}");
        }
    }
}
