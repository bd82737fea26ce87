//! Which of the host's variables reach the agent in a container.

use std::collections::BTreeMap;

use crate::environment::Environment;

/// Whole families.
const PREFIXES: &[&str] = &["ANTHROPIC_", "CLAUDE_", "DISABLE_"];
/// One by one; proxies in both spellings.
const NAMES: &[&str] = &[
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "GIT_USER_NAME",
    "GIT_USER_EMAIL",
    "TZ",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
];
/// What means something on the host alone: a folder there, or how Gemra's own surroundings were started.
const NEVER: &[&str] = &["CLAUDE_CONFIG_DIR", "CLAUDE_CODE_SSE_PORT", "CLAUDE_CODE_ENTRYPOINT"];

/// The variables of `environment` that reach the agent in a container. Any of them may be a secret.
pub fn passed(environment: &Environment) -> BTreeMap<String, String> {
    environment
        .iter()
        .filter(|(name, _)| is_passed(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn is_passed(name: &str) -> bool {
    let known = PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || NAMES.contains(&name);
    known && !NEVER.contains(&name) && super::wrapper::is_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agents_own_variables_pass_and_no_others() {
        let cases = [
            ("ANTHROPIC_API_KEY", true),
            ("ANTHROPIC_BASE_URL", true),
            ("CLAUDE_CODE_OAUTH_TOKEN", true),
            ("CLAUDE_CONFIG_DIR", false),
            ("DISABLE_TELEMETRY", true),
            ("GITHUB_TOKEN", true),
            ("GIT_USER_EMAIL", true),
            ("HTTPS_PROXY", true),
            ("no_proxy", true),
            ("PATH", false),
            ("HOME", false),
            ("AWS_SECRET_ACCESS_KEY", false),
            ("ANTHROPIC_X;rm", false),
        ];
        for (name, expected) in cases {
            let passes = passed(&Environment::of([(name, "value")])).contains_key(name);
            assert_eq!(passes, expected, "{name} reaches the container: {expected}");
        }
    }
}
