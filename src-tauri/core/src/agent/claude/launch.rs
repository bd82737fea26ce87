//! The CLI's arguments and what it is told about the place it runs in.

use std::path::Path;

use crate::agent::Mode;
use crate::container::spec::is_at_own_path;

/// How a CLI is to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The conversation.
    pub conversation: Conversation,
    /// The model, where one was chosen.
    pub model: Option<String>,
    /// The permission mode.
    pub mode: Mode,
    /// What the user has allowed for the rest of the conversation, such as `Bash(touch *)`.
    pub allowed: Vec<String>,
    /// What the agent is told on top of its own system prompt.
    pub system_prompt: String,
    /// True where the agent is contained, so that "never ask" may be chosen later.
    pub contained: bool,
}

/// Which conversation a CLI takes part in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conversation {
    /// A new one of this id, a UUID.
    New(String),
    /// The one of this id.
    Resume(String),
}

impl Conversation {
    /// The arguments that name it.
    pub fn args(&self) -> Vec<String> {
        match self {
            Self::New(id) => vec!["--session-id".to_owned(), id.clone()],
            Self::Resume(id) => vec!["--resume".to_owned(), id.clone()],
        }
    }
}

impl Launch {
    /// The arguments, as `PROTOCOL.md` says. None of them is secret.
    pub fn args(&self) -> Vec<String> {
        let mut args = self.args_without_conversation();
        args.extend(self.conversation.args());
        args
    }

    /// The arguments, but for those that name the conversation.
    pub fn args_without_conversation(&self) -> Vec<String> {
        let mut args: Vec<String> = [
            "-p",
            "--input-format",
            "stream-json",
            "--output-format",
            "stream-json",
            "--verbose",
            "--include-partial-messages",
            "--permission-prompt-tool",
            "stdio",
        ]
        .map(str::to_owned)
        .into();
        let mut push = |name: &str, value: &str| args.extend([name.to_owned(), value.to_owned()]);
        if let Some(model) = &self.model {
            push("--model", model);
        }
        // Said even where it is the default, because a workspace's own settings may name another.
        push("--permission-mode", self.mode.as_str());
        for rule in &self.allowed {
            push("--allowedTools", rule);
        }
        push("--append-system-prompt", &self.system_prompt);
        if self.contained {
            args.push("--allow-dangerously-skip-permissions".to_owned());
        }
        args
    }
}

/// What the agent is told in its system prompt. It has to hold in every place: a resumed conversation keeps the system
/// prompt of its first start, whatever a later start says (seen with 2.1.329).
pub fn system_prompt(workspace: &Path) -> String {
    format!(
        "You work inside Gemra, whose user can move you between their machine and a Linux container in the middle of \
         a conversation. A system reminder says where you are whenever that has changed. Until the first one you run \
         directly on the user's machine, in {workspace}.",
        workspace = workspace.display()
    )
}

/// Where the project is in a container, as every other room has it too.
const INSIDE: &str = crate::container::spec::WORKSPACE;

/// What the agent is told with the first message after it has come to the host.
pub fn on_the_host(workspace: &Path) -> String {
    let moved = format!("You were moved: you now run directly on the user's machine, in {}.", workspace.display());
    if workspace == Path::new(INSIDE) {
        return moved;
    }
    format!("{moved} What was called {INSIDE} in the container is {} here.", workspace.display())
}

/// What the agent is told with the first message after it has come into a container.
pub fn in_a_container(workspace: &Path) -> String {
    let own = workspace.display();
    let names = if workspace == Path::new(INSIDE) {
        String::new()
    } else if is_at_own_path(workspace) {
        format!(", and also at {own}, its path on the user's machine, so that both names work")
    } else {
        format!(". What is called {own} on the user's machine is {INSIDE} here, and has no other name")
    };
    format!(
        "You were moved: you now run inside a Linux container. The user's project is mounted at {INSIDE}, your working \
         directory{names}. Files outside it belong to the container and are gone when it ends. localhost is the user's \
         machine."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_follow_the_launch() {
        let launch = Launch {
            conversation: Conversation::New("id".to_owned()),
            model: None,
            mode: Mode::Default,
            allowed: Vec::new(),
            system_prompt: "P".to_owned(),
            contained: false,
        };
        let plain = launch.args().join(" ");
        assert!(
            plain.ends_with("stdio --permission-mode default --append-system-prompt P --session-id id"),
            "no model where none was chosen, and always a mode: {plain}"
        );
        let full = Launch {
            conversation: Conversation::Resume("id".to_owned()),
            model: Some("sonnet".to_owned()),
            mode: Mode::Plan,
            allowed: vec!["Bash(ls *)".to_owned()],
            contained: true,
            ..launch
        };
        let full = full.args().join(" ");
        for part in [
            "--resume id",
            "--allowedTools Bash(ls *)",
            "--model sonnet",
            "--permission-mode plan",
            "--allow-dangerously-skip-permissions",
        ] {
            assert!(full.contains(part), "{part} is among {full}");
        }
    }

    #[test]
    fn the_agent_is_told_no_path_that_is_not_there() {
        let inside = |path: &str| in_a_container(Path::new(path));
        assert!(inside("/home/me/shop").contains("also at /home/me/shop"), "usually both names work");
        let under = inside("/workspace/shop");
        assert!(under.contains("What is called /workspace/shop") && !under.contains("both names"), "{under}");
        assert!(!inside("/workspace").contains("both names"), "one name is no two");
        let host = |path: &str| on_the_host(Path::new(path));
        assert!(host("/home/me/shop").contains("What was called /workspace"), "the name inside means something here");
        assert!(!host("/workspace").contains("called"), "it is called the same here");
    }
}
