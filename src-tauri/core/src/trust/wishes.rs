//! Which of a project's wishes for its own containers widen the sandbox, beside what the user says for all projects.
//! What is narrower, or the same, counts without asking. A key that is not in the table is no wish, and never counts.

use serde_json::{Map, Value};

use crate::settings::container::Wishes;

/// How a wish is judged.
enum Rule {
    /// It reaches nothing that the project's own image would not reach.
    Plain,
    /// It is of this machine's side, which no project decides.
    Never,
    /// True widens.
    Widens,
    /// False widens, where it takes back a true.
    Narrows,
    /// More than the user says, or than this, widens.
    Most(f64),
    /// Anything that is said, and is not what the user says.
    Said,
    /// The later in this list, the wider; the default is named first.
    Order(&'static str, &'static [&'static str]),
    /// Entries beside the user's.
    Beside,
}

const RULES: &[(&str, Rule)] = &[
    ("network", Rule::Order("host", &["isolated", "bridge", "host"])),
    ("allowedDomains", Rule::Beside),
    ("preset", Rule::Order("hardened", &["hardened", "withSudo"])),
    ("cpus", Rule::Most(4.0)),
    ("memoryMb", Rule::Most(8192.0)),
    ("pids", Rule::Most(4096.0)),
    ("openFiles", Rule::Most(1_048_576.0)),
    ("shmMb", Rule::Most(256.0)),
    ("readOnlySystem", Rule::Narrows),
    ("readOnlyWorkspace", Rule::Narrows),
    ("gpus", Rule::Said),
    ("startSeconds", Rule::Plain),
    ("buildSilentMinutes", Rule::Plain),
    ("mounts", Rule::Beside),
    ("volumeFolders", Rule::Plain),
    ("image", Rule::Said),
    // It counts only where the user says nothing, for all projects or for this one.
    ("useDevcontainer", Rule::Plain),
    ("useDockerfile", Rule::Widens),
    ("buildArgs", Rule::Plain),
    ("buildTarget", Rule::Plain),
    ("platform", Rule::Plain),
    ("offline", Rule::Narrows),
    ("restartAfterCrash", Rule::Plain),
    ("refreshHours", Rule::Plain),
    ("cleanVolumes", Rule::Widens),
    ("github", Rule::Widens),
    ("sshAgent", Rule::Widens),
    ("gitConfig", Rule::Widens),
    ("sshFolder", Rule::Widens),
    ("hostMode", Rule::Never),
    ("containerMode", Rule::Order("default", &["plan", "default", "acceptEdits", "bypassPermissions"])),
];

/// A project's wishes, taken apart.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judged {
    /// What counts without asking.
    pub plain: Wishes,
    /// All of it, as far as a project may wish.
    pub all: Wishes,
    /// What of it widens: the key and what it asks for.
    pub widening: Vec<(String, String)>,
    /// What never counts, by its key.
    pub ignored: Vec<String>,
    /// What Gemra does not know, by its key. It does not count either.
    pub unknown: Vec<String>,
}

/// Takes a project's wishes apart. `for_all` is what the user says for all projects, `own` what they say for this one:
/// their word for this one counts, whatever the project says.
pub fn judge(asked: &Wishes, for_all: &Wishes, own: &Wishes) -> Judged {
    let (asked, for_all, own) = (map(asked), map(for_all), map(own));
    let (mut plain, mut all) = (Map::new(), Map::new());
    let mut judged = Judged::default();
    for (key, value) in asked {
        if own.contains_key(&key) {
            continue;
        }
        let rule = RULES.iter().find(|(name, _)| *name == key).map(|(_, rule)| rule);
        match rule {
            None => judged.unknown.push(key),
            Some(Rule::Never) => judged.ignored.push(key),
            Some(rule) if !widens(rule, &value, for_all.get(&key)) => {
                plain.insert(key.clone(), value.clone());
                all.insert(key, value);
            }
            Some(_) => {
                judged.widening.push((key.clone(), in_words(&value)));
                all.insert(key, value);
            }
        }
    }
    // They came from wishes, so that they are some.
    let back = |map: Map<String, Value>| serde_json::from_value(Value::Object(map)).unwrap_or_default();
    Judged { plain: back(plain), all: back(all), ..judged }
}

fn map(wishes: &Wishes) -> Map<String, Value> {
    match serde_json::to_value(wishes) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

fn widens(rule: &Rule, value: &Value, below: Option<&Value>) -> bool {
    if below == Some(value) {
        return false;
    }
    match rule {
        Rule::Plain | Rule::Never => false,
        Rule::Widens => value == &Value::Bool(true),
        Rule::Narrows => value != &Value::Bool(true) && below == Some(&Value::Bool(true)),
        Rule::Most(usual) => {
            let most = below.and_then(Value::as_f64).unwrap_or(*usual);
            value.as_f64().is_none_or(|value| value > most)
        }
        Rule::Said => value.as_str() != Some(""),
        Rule::Order(usual, order) => {
            let place = |value: Option<&str>| order.iter().position(|known| Some(*known) == value);
            let below = place(below.and_then(Value::as_str).or(Some(usual)));
            // What is not in the list is as wide as can be.
            place(value.as_str()).is_none_or(|at| below.is_some_and(|below| at > below))
        }
        Rule::Beside => {
            let known = below.and_then(Value::as_array);
            let asked = value.as_array();
            asked.is_none_or(|all| all.iter().any(|one| known.is_none_or(|known| !known.contains(one))))
        }
    }
}

fn in_words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(in_words).collect::<Vec<_>>().join("\n"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wishes(value: Value) -> Wishes {
        serde_json::from_value(value).unwrap()
    }

    fn keys(asked: Value, for_all: Value, own: Value) -> Vec<String> {
        let judged = judge(&wishes(asked), &wishes(for_all), &wishes(own));
        judged.widening.into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn what_widens_is_asked_about_and_what_narrows_is_not() {
        let cases = [
            (json!({"network": "isolated"}), json!({}), false),
            (json!({"network": "bridge"}), json!({}), false),
            (json!({"network": "host"}), json!({}), false),
            (json!({"network": "host"}), json!({"network": "bridge"}), true),
            (json!({"network": "bridge"}), json!({"network": "isolated"}), true),
            (json!({"allowedDomains": ["a"]}), json!({}), true),
            (json!({"allowedDomains": ["a"]}), json!({"allowedDomains": ["a", "b"]}), false),
            (json!({"preset": "withSudo"}), json!({}), true),
            (json!({"preset": "hardened"}), json!({"preset": "withSudo"}), false),
            (json!({"cpus": 1}), json!({}), false),
            (json!({"cpus": 64}), json!({}), true),
            (json!({"memoryMb": 512}), json!({"memoryMb": 1024}), false),
            (json!({"memoryMb": 2048}), json!({"memoryMb": 1024}), true),
            (json!({"pids": 100_000}), json!({}), true),
            (json!({"shmMb": 64}), json!({}), false),
            (json!({"readOnlySystem": true}), json!({}), false),
            (json!({"readOnlySystem": false}), json!({"readOnlySystem": true}), true),
            (json!({"readOnlyWorkspace": false}), json!({"readOnlyWorkspace": true}), true),
            (json!({"readOnlyWorkspace": false}), json!({}), false),
            (json!({"gpus": "all"}), json!({}), true),
            (json!({"gpus": ""}), json!({}), false),
            (json!({"mounts": ["/a:/b:ro"]}), json!({}), true),
            (json!({"mounts": []}), json!({}), false),
            (json!({"image": "a"}), json!({}), true),
            (json!({"image": "a"}), json!({"image": "a"}), false),
            (json!({"useDevcontainer": false}), json!({}), false),
            (json!({"useDevcontainer": true}), json!({}), false),
            (json!({"useDockerfile": true}), json!({}), true),
            (json!({"cleanVolumes": true}), json!({}), true),
            (json!({"github": true}), json!({}), true),
            (json!({"github": false}), json!({"github": true}), false),
            (json!({"sshAgent": true}), json!({}), true),
            (json!({"sshAgent": true}), json!({"sshAgent": true}), false),
            (json!({"gitConfig": true}), json!({}), true),
            (json!({"sshFolder": true}), json!({}), true),
            (json!({"offline": true}), json!({}), false),
            (json!({"offline": false}), json!({"offline": true}), true),
            (json!({"containerMode": "bypassPermissions"}), json!({}), true),
            (json!({"containerMode": "plan"}), json!({}), false),
            (
                json!({"volumeFolders": ["target"], "buildArgs": {"A": "b"}, "platform": "linux/arm64"}),
                json!({}),
                false,
            ),
        ];
        for (asked, for_all, expected) in cases {
            let found = keys(asked.clone(), for_all.clone(), json!({}));
            assert_eq!(!found.is_empty(), expected, "{asked} beside {for_all} widens: {expected}");
        }
    }

    #[test]
    fn the_users_word_for_the_project_counts_and_is_not_asked_about() {
        let asked = json!({"network": "host", "mounts": ["/a:/b:rw"]});
        let found = keys(asked, json!({"network": "isolated"}), json!({"network": "bridge"}));
        assert_eq!(found, ["mounts"], "the network is decided");
    }

    #[test]
    fn without_what_widens_the_rest_still_counts() {
        let asked = wishes(json!({"cpus": 1, "gpus": "all", "hostMode": "acceptEdits"}));
        let judged = judge(&asked, &Wishes::default(), &Wishes::default());
        assert_eq!(judged.plain, wishes(json!({"cpus": 1})), "the narrower part");
        assert_eq!(judged.all, wishes(json!({"cpus": 1, "gpus": "all"})), "and all that a project may wish");
        assert_eq!(judged.ignored, ["hostMode"], "what happens on this machine is not its to decide");
    }

    #[test]
    fn a_key_that_nobody_knows_never_counts_and_every_wish_is_known() {
        let judged = judge(&wishes(json!({"fromTheFuture": 1})), &Wishes::default(), &Wishes::default());
        assert_eq!(judged.unknown, ["fromTheFuture"], "it is told");
        assert_eq!((judged.plain, judged.all), (Wishes::default(), Wishes::default()), "and not among what counts");
        assert!(judged.widening.is_empty(), "so there is nothing to ask");
        let mut ruled: Vec<&str> = RULES.iter().map(|(name, _)| *name).collect();
        let mut all = Wishes::keys();
        ruled.sort_unstable();
        all.sort_unstable();
        assert_eq!(ruled, all, "no wish is without a rule, which would pass it over");
    }
}
