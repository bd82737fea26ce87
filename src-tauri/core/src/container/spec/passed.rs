//! Which of the host's variables reach the agent in a container.

use std::collections::BTreeMap;

use crate::environment::Environment;

/// Whole families.
const PREFIXES: &[&str] = &["ANTHROPIC_", "CLAUDE_", "DISABLE_"];
/// One by one; proxies in both spellings.
const NAMES: &[&str] = &[
    "GITHUB_TOKEN",
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
/// The agent's own folder. In the container it is where the conversations are mounted; one of the host's, or one that
/// the settings name, would part the two sides' conversations.
pub const FOLDER: &str = "CLAUDE_CONFIG_DIR";

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
    known && name != FOLDER && super::wrapper::is_name(name)
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
            ("CLAUDE_CODE_SSE_PORT", true),
            ("CLAUDE_CODE_ENTRYPOINT", true),
            ("CLAUDE_CONFIG_DIR", false),
            ("DISABLE_TELEMETRY", true),
            ("GITHUB_TOKEN", true),
            ("GH_TOKEN", false),
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
