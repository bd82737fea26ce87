//! Reads a Dockerfile as far as Gemra must: which local files it wants, whether the classic builder can build it, and
//! where the user's certificates belong in it. It does not judge the rest: that is the engine's.

use std::borrow::Cow;
use std::fmt::Write as _;

/// What in a Dockerfile only `BuildKit` understands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Need {
    /// The line, counted from 1.
    pub(super) line: usize,
    /// What stands there, such as `RUN --mount`.
    pub(super) what: String,
    /// Which kind of need it is.
    pub(super) kind: NeedKind,
}

/// How new a `BuildKit` has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NeedKind {
    /// Every one will do.
    Any,
    /// Text within the Dockerfile: engines before Docker 23 have to fetch a newer frontend for it.
    Heredoc,
    /// A frontend that the Dockerfile names, which is fetched in any case.
    Frontend,
}

/// A place in a Dockerfile that may name an image from elsewhere, or a stage.
#[derive(Debug)]
pub(super) struct Mention<'a> {
    /// The line, counted from 1.
    pub(super) line: usize,
    /// What stands there.
    pub(super) written: &'a str,
    /// True where a stage begins from it.
    pub(super) begins: bool,
    /// The name of that stage.
    pub(super) stage: Option<&'a str>,
}

/// A Dockerfile, cut into instructions.
#[derive(Debug)]
pub(super) struct Dockerfile<'a> {
    text: &'a str,
    instructions: Vec<Instruction>,
}

#[derive(Debug)]
struct Instruction {
    /// In capitals.
    keyword: String,
    /// What follows, continued lines joined.
    rest: String,
    /// The line it begins on, counted from 1.
    line: usize,
    /// The line it ends on.
    end: usize,
}

/// The folder of the context in which the user's certificates lie, one to a file.
pub(super) const CERTIFICATES: &str = ".gemra/certs";

/// Where certificates are made to be trusted: a stage of its own, in front of each stage that begins from a base. A base
/// may end with a plain user, who may not do this, and whose name is known to the engine alone. So the stage proper is
/// left to that user, and only takes the result: COPY writes as root whoever the user is.
const TRUSTING: &str = concat!(
    "USER root\n",
    "COPY .gemra/certs/ /usr/local/share/ca-certificates/gemra/\n",
    "RUN if command -v update-ca-certificates >/dev/null 2>&1; then update-ca-certificates; ",
    "else mkdir -p /etc/ssl/certs && ",
    "cat /usr/local/share/ca-certificates/gemra/*.crt >>/etc/ssl/certs/ca-certificates.crt; fi\n",
);
/// What the stage proper takes from there, both the store and what a later `update-ca-certificates` makes it from.
const TAKEN: [&str; 2] = ["/usr/local/share/ca-certificates/gemra/", "/etc/ssl/certs/"];
/// Node has a store of its own.
const NODE_TRUSTS: &str = "ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt\n";

impl<'a> Dockerfile<'a> {
    pub(super) fn read(text: &'a str) -> Self {
        Self { text, instructions: instructions(text) }
    }

    /// What only `BuildKit` understands; `None` where the classic builder will do. A heredoc comes before other needs,
    /// because it asks for more.
    pub(super) fn needs_buildkit(&self) -> Option<Need> {
        if let Some(frontend) = self.syntax() {
            // The stable frontends describe what the classic builder mostly knows too, so naming one is no need.
            let stable = frontend.trim_start_matches("docker.io/").starts_with("docker/dockerfile:1");
            if !stable || frontend.contains("labs") {
                return Some(Need { line: 1, what: format!("# syntax={frontend}"), kind: NeedKind::Frontend });
            }
        }
        let needs = self.instructions.iter().filter_map(|instruction| {
            let (what, kind) = instruction.needs_buildkit()?;
            Some(Need { line: instruction.line, what, kind })
        });
        needs.min_by_key(|need| (need.kind != NeedKind::Heredoc, need.line))
    }

    /// The frontend that the text names.
    pub(super) fn syntax(&self) -> Option<&'a str> {
        syntax(self.text)
    }

    /// True where a build argument of this name is asked for.
    pub(super) fn declares(&self, name: &str) -> bool {
        let words = |instruction: &&Instruction| instruction.keyword == "ARG";
        self.instructions
            .iter()
            .filter(words)
            .flat_map(Instruction::words)
            .any(|word| word.split('=').next() == Some(name))
    }

    /// The text up to the end of a stage, which is called by its name or its number; `None` where there is no such one.
    pub(super) fn up_to(&self, target: &str) -> Option<String> {
        let stages: Vec<&Instruction> =
            self.instructions.iter().filter(|instruction| instruction.keyword == "FROM").collect();
        let named = |stage: &&Instruction| stage.stage_name().is_some_and(|name| name.eq_ignore_ascii_case(target));
        let at = stages.iter().position(named).or_else(|| target.parse().ok().filter(|&at| at < stages.len()))?;
        let end = stages.get(at + 1).map_or(usize::MAX, |next| next.line - 1);
        Some(self.text.lines().take(end).flat_map(|line| [line, "\n"]).collect())
    }

    /// The build arguments that stand before the first stage, which bases may be named by, and their defaults.
    pub(super) fn arguments(&self) -> Vec<(String, Option<String>)> {
        let before = self.instructions.iter().take_while(|instruction| instruction.keyword != "FROM");
        let words = before.filter(|instruction| instruction.keyword == "ARG").flat_map(Instruction::words);
        words
            .map(|word| match word.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.trim_matches(['"', '\'']).to_owned())),
                None => (word.to_owned(), None),
            })
            .collect()
    }

    /// All that may name an image from elsewhere, in order: what stages begin from, and what is copied or mounted from.
    pub(super) fn mentions(&self) -> Vec<Mention<'_>> {
        let mut all = Vec::new();
        for instruction in &self.instructions {
            let line = instruction.line;
            if let Some(written) = instruction.base() {
                all.push(Mention { line, written, begins: true, stage: instruction.stage_name() });
            }
            let taken = instruction.taken_from().into_iter();
            all.extend(taken.map(|written| Mention { line, written, begins: false, stage: None }));
        }
        all
    }

    /// The local paths that COPY and ADD take, as they are written.
    pub(super) fn local_sources(&self) -> Vec<String> {
        self.instructions.iter().flat_map(Instruction::local_sources).collect()
    }

    /// The text with the user's certificates trusted from the start of every stage that begins from a base, before
    /// anything is fetched.
    pub(super) fn with_certificates(&self) -> String {
        let named: Vec<&str> = self.instructions.iter().filter_map(Instruction::stage_name).collect();
        let stages: Vec<&Instruction> =
            self.instructions.iter().filter(|instruction| instruction.keyword == "FROM").collect();
        let begins_from_a_base = |stage: &Instruction| {
            stage
                .base()
                .is_some_and(|base| base != "scratch" && !named.iter().any(|name| name.eq_ignore_ascii_case(base)))
        };
        let trusting: Vec<bool> = stages.iter().map(|stage| begins_from_a_base(stage)).collect();
        let mut text = String::with_capacity(self.text.len() + 2 * TRUSTING.len() * stages.len());
        for (index, line) in self.text.lines().enumerate() {
            let number = index + 1;
            if let Some(stage) = stages.iter().position(|stage| stage.line == number).filter(|&stage| trusting[stage]) {
                let from = stages[stage];
                let flags: String = from.flags().flat_map(|flag| [flag, " "]).collect();
                let base = from.base().unwrap_or_default();
                // Writing into a string cannot fail.
                let _ = write!(text, "FROM {flags}{base} AS {}\n{TRUSTING}", trusting_stage(stage));
            }
            text.push_str(&self.renumbered(number, line, &trusting));
            text.push('\n');
            if let Some(stage) = stages.iter().position(|stage| stage.end == number).filter(|&stage| trusting[stage]) {
                for folder in TAKEN {
                    let _ = writeln!(text, "COPY --from={} {folder} {folder}", trusting_stage(stage));
                }
                text.push_str(NODE_TRUSTS);
            }
        }
        text
    }

    /// A line that may call a stage by its number, with the number that the stage has beside those that were added.
    fn renumbered<'b>(&self, number: usize, line: &'b str, trusting: &[bool]) -> Cow<'b, str> {
        let called = self
            .instructions
            .iter()
            .filter(|instruction| {
                instruction.keyword == "COPY" && (instruction.line..=instruction.end).contains(&number)
            })
            .flat_map(Instruction::flags)
            .find_map(|flag| Some((flag, flag.strip_prefix("--from=")?.parse::<usize>().ok()?)));
        let Some((flag, stage)) = called else { return Cow::Borrowed(line) };
        let added = trusting.iter().take(stage + 1).filter(|trusting| **trusting).count();
        let renumbered = format!("--from={}", stage + added);
        let words = line.split_inclusive(char::is_whitespace);
        Cow::Owned(
            words
                .map(|word| if word.trim_end() == flag { word.replace(flag, &renumbered) } else { word.to_owned() })
                .collect(),
        )
    }

    /// A last instruction that labels the image. One, since each is a step of its own, and the last, so that nothing
    /// half-built carries our label and is taken for an image of ours.
    pub(super) fn label<'b>(&self, labels: impl IntoIterator<Item = (&'b str, &'b str)>) -> String {
        let escape = escape(self.text);
        let mut line = String::from("LABEL");
        for (name, value) in labels {
            let mut quoted = String::new();
            for character in value.chars().filter(|character| !character.is_control()) {
                if matches!(character, '"' | '$') || character == escape {
                    quoted.push(escape);
                }
                quoted.push(character);
            }
            // Writing into a string cannot fail.
            let _ = write!(line, " {name}=\"{quoted}\"");
        }
        line
    }

    /// The base of the last stage, variables as they are written.
    pub(super) fn base(&self) -> Option<&str> {
        self.instructions.iter().rev().find_map(Instruction::base)
    }
}

impl Instruction {
    fn words(&self) -> impl Iterator<Item = &str> {
        self.rest.split_whitespace()
    }

    fn flags(&self) -> impl Iterator<Item = &str> {
        self.words().take_while(|word| word.starts_with("--"))
    }

    fn base(&self) -> Option<&str> {
        (self.keyword == "FROM").then(|| self.words().find(|word| !word.starts_with("--"))).flatten()
    }

    /// What COPY and the mounts of RUN take from: a stage or an image.
    fn taken_from(&self) -> Vec<&str> {
        match self.keyword.as_str() {
            "COPY" => self.flags().filter_map(|flag| flag.strip_prefix("--from=")).collect(),
            "RUN" => {
                let mounts = self.flags().filter_map(|flag| flag.strip_prefix("--mount="));
                mounts.flat_map(|mount| mount.split(',')).filter_map(|part| part.strip_prefix("from=")).collect()
            }
            _ => Vec::new(),
        }
    }

    fn stage_name(&self) -> Option<&str> {
        if self.keyword != "FROM" {
            return None;
        }
        let mut words = self.words().skip_while(|word| !word.eq_ignore_ascii_case("as"));
        words.next()?;
        words.next()
    }

    fn needs_buildkit(&self) -> Option<(String, NeedKind)> {
        let flags: &[&str] = match self.keyword.as_str() {
            "RUN" => &["--mount", "--network", "--security", "--device"],
            "COPY" | "ADD" => &["--link", "--chmod", "--parents", "--exclude", "--checksum", "--keep-git-dir"],
            _ => return None,
        };
        if !heredocs(&self.keyword, &self.rest).is_empty() {
            return Some((format!("{} <<heredoc", self.keyword), NeedKind::Heredoc));
        }
        let flag = self.flags().find(|word| flags.iter().any(|flag| word.split('=').next() == Some(flag)))?;
        Some((format!("{} {}", self.keyword, flag.split('=').next().unwrap_or(flag)), NeedKind::Any))
    }

    fn local_sources(&self) -> Vec<String> {
        if !matches!(self.keyword.as_str(), "COPY" | "ADD") || self.flags().any(|flag| flag.starts_with("--from=")) {
            return Vec::new();
        }
        let rest = self.words().skip_while(|word| word.starts_with("--")).collect::<Vec<_>>().join(" ");
        let is_heredoc = |path: &String| path.starts_with("<<");
        let mut paths: Vec<String> = serde_json::from_str(&rest)
            .unwrap_or_else(|_| rest.split_whitespace().map(|word| word.trim_matches('"').to_owned()).collect());
        paths.pop();
        // ADD fetches these itself.
        paths.retain(|path| !path.contains("://") && !path.starts_with("git@") && !is_heredoc(path));
        paths
    }
}

/// The words that end the texts which an instruction begins, such as `EOF` of `RUN <<-'EOF'`, and for each whether tabs
/// may stand before it.
fn heredocs(keyword: &str, rest: &str) -> Vec<(String, bool)> {
    if !matches!(keyword, "RUN" | "COPY" | "ADD") {
        return Vec::new();
    }
    let begun = rest.split_whitespace().filter_map(|word| word.strip_prefix("<<"));
    begun
        .filter_map(|word| {
            let (word, tabs) = word.strip_prefix('-').map_or((word, false), |word| (word, true));
            let word = word.trim_start_matches(['"', '\'']);
            let name: String =
                word.chars().take_while(|character| character.is_ascii_alphanumeric() || *character == '_').collect();
            (!name.starts_with(|first: char| first.is_ascii_digit()) && !name.is_empty()).then_some((name, tabs))
        })
        .collect()
}

fn trusting_stage(stage: usize) -> String {
    format!("gemra-trust-{stage}")
}

fn syntax(text: &str) -> Option<&str> {
    text.lines().map_while(|line| line.trim().strip_prefix('#')).find_map(|comment| {
        let (name, value) = comment.split_once('=')?;
        name.trim().eq_ignore_ascii_case("syntax").then(|| value.trim())
    })
}

fn escape(text: &str) -> char {
    let backtick = text.lines().map_while(|line| line.trim().strip_prefix('#')).any(|comment| {
        comment
            .split_once('=')
            .is_some_and(|(name, value)| name.trim().eq_ignore_ascii_case("escape") && value.trim() == "`")
    });
    if backtick { '`' } else { '\\' }
}

fn instructions(text: &str) -> Vec<Instruction> {
    let escape = escape(text);
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    let mut texts: Vec<(String, bool)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if let Some((end, tabs)) = texts.first() {
            // Lines of a text within the Dockerfile are no instructions, whatever they look like.
            let line = if *tabs { line.trim_start_matches('\t') } else { line };
            if line == end {
                texts.remove(0);
            }
            continue;
        }
        let trimmed = line.trim();
        // Comments and empty lines may stand inside a continued instruction.
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let (begin, mut so_far) = open.take().unwrap_or((index + 1, String::new()));
        if let Some(continued) = trimmed.strip_suffix(escape) {
            so_far.push_str(continued);
            so_far.push(' ');
            open = Some((begin, so_far));
        } else {
            so_far.push_str(trimmed);
            let read = instruction(&so_far, begin, index + 1);
            texts = read.as_ref().map(|read| heredocs(&read.keyword, &read.rest)).unwrap_or_default();
            // What only looks like one has no end, and must not swallow the rest.
            texts.retain(|(end, _)| text.lines().skip(index + 1).any(|line| line.trim_start_matches('\t') == end));
            found.extend(read);
        }
    }
    if let Some((begin, so_far)) = open {
        found.extend(instruction(&so_far, begin, text.lines().count()));
    }
    found
}

fn instruction(text: &str, line: usize, end: usize) -> Option<Instruction> {
    let text = text.trim();
    let (keyword, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (!keyword.is_empty()).then(|| Instruction {
        keyword: keyword.to_ascii_uppercase(),
        rest: rest.trim().to_owned(),
        line,
        end,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_buildkit_is_named_with_its_line() {
        let cases: &[(&str, Option<(usize, &str)>)] = &[
            (super::super::source::EMBEDDED, None),
            ("FROM a\nRUN echo 1", None),
            ("# syntax=docker/dockerfile:1\nFROM a", None),
            ("# syntax=docker/dockerfile:1-labs\nFROM a", Some((1, "# syntax=docker/dockerfile:1-labs"))),
            ("# syntax = example/frontend\nFROM a", Some((1, "# syntax=example/frontend"))),
            ("FROM a\nRUN --mount=type=cache,target=/x make", Some((2, "RUN --mount"))),
            ("FROM a\nRUN \\\n  --mount=type=cache make", Some((2, "RUN --mount"))),
            ("FROM a\n\nCOPY --link x /x", Some((3, "COPY --link"))),
            ("FROM a\nCOPY --chown=1:1 x /x", None),
            ("FROM a\nRUN <<EOF\necho\nEOF", Some((2, "RUN <<heredoc"))),
            ("FROM a\nRUN cat <<-'EOF' >x\nEOF", Some((2, "RUN <<heredoc"))),
            ("FROM a\nRUN echo $((1 << 2)) ; cat <<<x", None),
            ("FROM a\n# RUN --mount=x\nRUN true", None),
            ("FROM a\nRUN --mount=type=tmpfs,target=/x true\nCOPY <<EOF /x\ny\nEOF", Some((3, "COPY <<heredoc"))),
        ];
        for (text, expected) in cases {
            let expected = expected.map(|(line, what)| (line, what.to_owned()));
            let need = Dockerfile::read(text).needs_buildkit();
            assert_eq!(need.as_ref().map(|need| (need.line, need.what.clone())), expected, "judged: {text:?}");
            let heredoc = need.is_some_and(|need| need.kind == NeedKind::Heredoc);
            assert_eq!(heredoc, text.contains("<<EOF") || text.contains("<<-"), "heredocs ask for more: {text:?}");
        }
    }

    #[test]
    fn arguments_before_the_first_stage_are_known() {
        let dockerfile = Dockerfile::read("ARG A=x:1 B\nFROM $A AS one\nARG C\n");
        let arguments = [("A".to_owned(), Some("x:1".to_owned())), ("B".to_owned(), None)];
        assert_eq!(dockerfile.arguments(), arguments, "what bases may be named by");
    }

    #[test]
    fn a_text_ends_with_the_stage_that_is_wished_for() {
        let text = "ARG A\nFROM a AS one\nRUN x\nFROM --platform=p b AS Two\nRUN y\nFROM one";
        for (target, last) in [("one", "RUN x"), ("two", "RUN y"), ("0", "RUN x"), ("2", "FROM one")] {
            let cut = Dockerfile::read(text).up_to(target);
            assert_eq!(cut.as_deref().and_then(|cut| cut.lines().last()), Some(last), "stage {target} ends so");
        }
        for target in ["three", "3", ""] {
            assert_eq!(Dockerfile::read(text).up_to(target), None, "{target:?} is no stage");
        }
        assert!(Dockerfile::read(text).declares("A"), "an argument that is declared is found");
        assert!(!Dockerfile::read(text).declares("one"), "and nothing else is");
    }

    #[test]
    fn local_sources_are_what_the_context_must_hold() {
        let cases: &[(&str, &[&str])] = &[
            (super::super::source::EMBEDDED, &[]),
            ("FROM a\nCOPY x y /z/", &["x", "y"]),
            ("FROM a\nCOPY --chown=1:1 x \\\n  y /z/", &["x", "y"]),
            ("FROM a AS b\nCOPY --from=b /x /y", &[]),
            ("FROM a\nADD https://example.org/x.tgz local.tgz /y/", &["local.tgz"]),
            ("FROM a\nCOPY [\"with space\", \"b\", \"/z/\"]", &["with space", "b"]),
            ("FROM a\ncopy . /app", &["."]),
            ("FROM a\nCOPY <<EOF /x\nCOPY no /y\nEOF\nCOPY yes /y", &["yes"]),
            ("FROM a\nRUN <<-A <<'B'\n\tCOPY no /y\n\tA\nADD no /y\nB\nADD yes /y", &["yes"]),
        ];
        for (text, expected) in cases {
            assert_eq!(&Dockerfile::read(text).local_sources(), expected, "read from {text:?}");
        }
    }

    /// The lines that are added, as they are named here: what a stage trusts, and what it takes.
    fn with_certificates(text: &str) -> Vec<String> {
        let made = Dockerfile::read(text).with_certificates();
        let made = made.replace(TRUSTING, "(trusting)\n");
        made.lines().map(str::to_owned).collect()
    }

    #[test]
    fn certificates_are_trusted_in_every_stage_from_a_base() {
        let text = "ARG B=x\nFROM $B AS one\nRUN a\nFROM scratch\nFROM one\nFROM --platform=p \\\n  other\nRUN b\n";
        let taken = |stage: &str| {
            [
                format!("COPY --from=gemra-trust-{stage} {0} {0}", TAKEN[0]),
                format!("COPY --from=gemra-trust-{stage} {0} {0}", TAKEN[1]),
                NODE_TRUSTS.trim_end().to_owned(),
            ]
        };
        let own = |lines: &[&str]| lines.iter().map(|&line| line.to_owned()).collect::<Vec<_>>();
        let mut expected = own(&["ARG B=x", "FROM $B AS gemra-trust-0", "(trusting)", "FROM $B AS one"]);
        expected.extend(taken("0"));
        expected.extend(own(&["RUN a", "FROM scratch", "FROM one", "FROM --platform=p other AS gemra-trust-3"]));
        expected.extend(own(&["(trusting)", "FROM --platform=p \\", "  other"]));
        expected.extend(taken("3"));
        expected.push("RUN b".to_owned());
        assert_eq!(with_certificates(text), expected, "before and after the whole of each FROM of an image");
    }

    #[test]
    fn a_stage_with_certificates_is_left_to_the_bases_user() {
        let stage = with_certificates("FROM a\nRUN whoami\n");
        let proper = stage.iter().skip_while(|line| *line != "FROM a");
        assert!(proper.clone().count() > 2, "the stage proper is there: {stage:?}");
        assert!(proper.clone().all(|line| !line.starts_with("USER")), "and nobody else's: {stage:?}");
        assert!(TRUSTING.starts_with("USER root\n"), "only the stage in front of it is root's");
    }

    #[test]
    fn stages_called_by_number_are_found_beside_those_that_are_added() {
        let text = "FROM a\nFROM scratch\nFROM b\nCOPY --from=0 /x /x\nCOPY --chown=1 \\\n --from=1 /--from=1 /x\nCOPY --from=2x /x /x\n";
        let lines = with_certificates(text);
        let copies: Vec<&str> = lines.iter().map(String::as_str).filter(|line| line.contains("/x")).collect();
        assert_eq!(
            copies,
            ["COPY --from=1 /x /x", " --from=2 /--from=1 /x", "COPY --from=2x /x /x"],
            "numbers follow, names and paths do not change: {lines:?}"
        );
    }

    #[test]
    fn labels_hold_any_value() {
        let label = |text| Dockerfile::read(text).label([("a", "plain"), ("b", "/it's \"$HOME\" \\ `x`\n")]);
        let plain = r#"LABEL a="plain" b="/it's \"\$HOME\" \\ `x`""#;
        assert_eq!(label("FROM x"), plain, "with the usual escape");
        let backtick = r#"LABEL a="plain" b="/it's `"`$HOME`" \ ``x``""#;
        assert_eq!(label("# escape=`\nFROM x"), backtick, "with the one that Windows prefers");
    }

    #[test]
    fn the_base_is_the_last_stages() {
        assert_eq!(Dockerfile::read("FROM a\nFROM --platform=linux/amd64 b:1 AS c").base(), Some("b:1"), "flags aside");
    }
}
