//! Which images a Dockerfile takes from elsewhere, by the names that they will have in the build: build arguments are
//! put in as the builders put them in. What the builder alone can know is told as such. It fetches nothing.

use std::collections::BTreeMap;

use super::dockerfile::Dockerfile;

/// Arguments that `BuildKit` sets itself, whatever the Dockerfile says of them.
const OF_THE_BUILDER: &[&str] = &[
    "BUILDARCH",
    "BUILDOS",
    "BUILDPLATFORM",
    "BUILDVARIANT",
    "TARGETARCH",
    "TARGETOS",
    "TARGETPLATFORM",
    "TARGETVARIANT",
];

/// An image that is taken from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Taken {
    /// The line, counted from 1.
    pub(super) line: usize,
    /// As it is written there.
    pub(super) written: String,
    /// Its name; `None` where the builder alone knows it.
    pub(super) name: Option<String>,
}

/// What is known of the arguments before the first stage: `None` for those that the builder sets, an empty one for those
/// without a value.
type Known = BTreeMap<String, Option<Value>>;

/// An argument's value; `None` where it is declared and has none.
type Value = Option<String>;

/// The images that `dockerfile` takes from elsewhere where these build arguments are given, each once.
pub(super) fn taken(dockerfile: &Dockerfile, given: &BTreeMap<String, String>) -> Vec<Taken> {
    let known = known(dockerfile, given);
    let mut stages: Vec<&str> = Vec::new();
    let mut all: Vec<Taken> = Vec::new();
    for mention in dockerfile.mentions() {
        let name = if mention.begins {
            expand(mention.written, &known)
        } else {
            // Only the base's name has arguments put in.
            (!mention.written.contains('$')).then(|| mention.written.to_owned())
        };
        let is_stage = |name: &str| {
            stages.iter().any(|stage| stage.eq_ignore_ascii_case(name))
                || (!mention.begins && name.parse::<u32>().is_ok())
        };
        let elsewhere = name.as_deref().is_none_or(|name| name != "scratch" && !is_stage(name));
        let again = all.iter().any(|one| one.name == name && (name.is_some() || one.written == mention.written));
        if elsewhere && !again {
            // A blank one is an error that the builder tells better.
            let name = name.filter(|name| !name.is_empty());
            all.push(Taken { line: mention.line, written: mention.written.to_owned(), name });
        }
        stages.extend(mention.stage);
    }
    all
}

/// The image that the last stage begins from, through the stages before it; as it is written where the builder alone
/// knows its name.
pub(super) fn last(dockerfile: &Dockerfile, given: &BTreeMap<String, String>) -> Option<String> {
    let known = known(dockerfile, given);
    let mut bases: Vec<(Option<&str>, String)> = Vec::new();
    for mention in dockerfile.mentions().into_iter().filter(|mention| mention.begins) {
        let name = expand(mention.written, &known).unwrap_or_else(|| mention.written.to_owned());
        let stage = bases.iter().find(|(stage, _)| stage.is_some_and(|stage| stage.eq_ignore_ascii_case(&name)));
        let name = stage.map_or(name, |(_, base)| base.clone());
        bases.push((mention.stage, name));
    }
    bases.pop().map(|(_, name)| name)
}

fn known(dockerfile: &Dockerfile, given: &BTreeMap<String, String>) -> Known {
    let mut known: Known = OF_THE_BUILDER.iter().map(|name| ((*name).to_owned(), None)).collect();
    for (name, default) in dockerfile.arguments() {
        let value = match (given.get(&name), default) {
            (Some(given), _) => Some(Some(given.clone())),
            (None, _) if OF_THE_BUILDER.contains(&name.as_str()) => None,
            // A default may name those before it.
            (None, Some(default)) => expand(&default, &known).map(Some),
            (None, None) => Some(None),
        };
        known.insert(name, value);
    }
    known
}

/// A word with its variables put in; `None` where the builder alone knows one, or how it is meant.
fn expand(word: &str, known: &Known) -> Option<String> {
    let mut done = String::new();
    let mut rest = word;
    let mut quoted = false;
    while let Some(letter) = rest.chars().next() {
        rest = &rest[letter.len_utf8()..];
        match letter {
            '"' => quoted = !quoted,
            '\'' if !quoted => {
                let (literal, after) = rest.split_once('\'')?;
                done.push_str(literal);
                rest = after;
            }
            '\\' => {
                let escaped = rest.chars().next()?;
                done.push(escaped);
                rest = &rest[escaped.len_utf8()..];
            }
            '$' => {
                let (text, after) = variable(rest, known)?;
                done.push_str(&text);
                rest = after;
            }
            letter => done.push(letter),
        }
    }
    Some(done)
}

/// What follows a dollar sign: what it stands for, and what comes after it.
fn variable<'a>(text: &'a str, known: &Known) -> Option<(String, &'a str)> {
    let Some(inner) = text.strip_prefix('{') else {
        let (name, after) = text.split_at(name_length(text));
        // A dollar sign without a name is one.
        return if name.is_empty() {
            Some(("$".to_owned(), after))
        } else {
            Some((value(name, known)?.unwrap_or_default(), after))
        };
    };
    let end = closing(inner)?;
    let (inner, after) = (&inner[..end], &inner[end + 1..]);
    let (name, modifier) = inner.split_at(name_length(inner));
    if name.is_empty() {
        return None;
    }
    let value = value(name, known)?;
    let (empty_counts, operator) = match modifier.strip_prefix(':') {
        Some(operator) => (false, operator),
        None => (true, modifier),
    };
    let there = value.clone().filter(|value| empty_counts || !value.is_empty());
    let text = match operator.chars().next() {
        None if modifier.is_empty() => value.unwrap_or_default(),
        Some('-') => match there {
            Some(value) => value,
            None => expand(&operator[1..], known)?,
        },
        Some('+') => match there {
            Some(_) => expand(&operator[1..], known)?,
            None => String::new(),
        },
        Some('?') => there?,
        _ => return None,
    };
    Some((text, after))
}

/// An argument's value; `None` where the builder alone knows it. What nobody has declared has none.
fn value(name: &str, known: &Known) -> Option<Value> {
    known.get(name).cloned().unwrap_or(Some(None))
}

fn name_length(text: &str) -> usize {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        0
    } else {
        text.find(|letter| !is_name(letter)).unwrap_or(text.len())
    }
}

/// Where the brace is that closes what has been opened.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_u32;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn names_are_what_the_builder_makes_of_them() {
        let arguments = "ARG BASE=a:1\nARG BASE_IMAGE=b:2\nARG NONE\nARG EMPTY=\nARG OF=${BASE}-x\n";
        for (written, expected) in [
            ("$BASE", Some("a:1")),
            ("$BASE_IMAGE", Some("b:2")),
            ("${BASE}_IMAGE", Some("a:1_IMAGE")),
            ("${BASE_IMAGE}", Some("b:2")),
            ("r/$BASE", Some("r/a:1")),
            ("$OF", Some("a:1-x")),
            ("${BASE:-c}", Some("a:1")),
            ("${NONE:-c}", Some("c")),
            ("${NONE-c}", Some("c")),
            ("${EMPTY:-c}", Some("c")),
            ("x${EMPTY-c}", Some("x")),
            ("${UNDECLARED:-c:3}", Some("c:3")),
            ("${NONE:-${BASE}}", Some("a:1")),
            ("${BASE:+c}", Some("c")),
            ("x${NONE:+c}", Some("x")),
            ("x${EMPTY+c}", Some("xc")),
            ("x$NONE", Some("x")),
            ("${BASE:?needed}", Some("a:1")),
            ("\"r/${BASE}\"", Some("r/a:1")),
            ("${NONE}", None),
            ("${NONE:?needed}", None),
            ("${BASE%:*}", None),
            ("${BASE", None),
            ("a:$TARGETARCH", None),
            ("a:${TARGETARCH:-amd64}", None),
        ] {
            let text = format!("{arguments}FROM {written}\n");
            let found = taken(&Dockerfile::read(&text), &given(&[]));
            let [one] = &found[..] else { panic!("{written} is one image: {found:?}") };
            assert_eq!(one.name.as_deref(), expected, "{written}");
            assert_eq!((one.line, one.written.as_str()), (6, written), "with its place");
        }
    }

    #[test]
    fn what_is_given_counts_where_it_is_declared() {
        let text = "ARG BASE=a\nFROM $BASE\nFROM ${OTHER:-b}\nFROM c:$TARGETARCH\n";
        let all = given(&[("BASE", "x"), ("OTHER", "y")]);
        let names: Vec<_> = taken(&Dockerfile::read(text), &all).into_iter().map(|one| one.name).collect();
        assert_eq!(names, [Some("x".to_owned()), Some("b".to_owned()), None], "as the builder does it");
    }

    #[test]
    fn images_from_elsewhere_are_known_from_stages() {
        let text = "ARG A=x:1\nARG S=one\nFROM $A AS one\nCOPY --from=tool:2 /t /t\nFROM $S AS two\nCOPY --from=0 /a /b\n\
                    COPY --from=ONE /a /b\nRUN --mount=type=bind,from=tool:3,target=/t --mount=type=cache,target=/c make\n\
                    RUN --mount=type=bind,from=two,target=/t make\nCOPY --from=$A /a /b\nFROM scratch\nFROM $A\nFROM two\n";
        let dockerfile = Dockerfile::read(text);
        let found: Vec<_> =
            taken(&dockerfile, &given(&[])).into_iter().map(|one| (one.line, one.written, one.name)).collect();
        let known = |line, written: &str, name: Option<&str>| (line, written.to_owned(), name.map(str::to_owned));
        let expected = [
            known(3, "$A", Some("x:1")),
            known(4, "tool:2", Some("tool:2")),
            known(8, "tool:3", Some("tool:3")),
            known(10, "$A", None),
        ];
        assert_eq!(found, expected, "bases, and what is copied or mounted from, stages aside");
        assert_eq!(last(&dockerfile, &given(&[])).as_deref(), Some("x:1"), "the last one begins from it, too");
        assert_eq!(
            last(&Dockerfile::read("FROM a:$TARGETARCH"), &given(&[])).as_deref(),
            Some("a:$TARGETARCH"),
            "as written"
        );
    }
}
