//! Opens the app from the sources, and for the demo gives it a model to talk to, a home and a project of its own. What
//! the app does with them is not known here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use crate::arguments::RunRequest;
use crate::build;
use crate::node;
use crate::spawn::{self, Companion};
use crate::system::{self, Consent, Purpose};
use crate::tree::Tree;
use crate::trouble::Trouble;

/// How long the stand-in may take to say where it listens.
const GREETING_PATIENCE: Duration = Duration::from_secs(30);

/// Builds and opens the app; answers the app's own exit code.
pub(crate) fn run(tree: &Tree, request: &RunRequest) -> Result<ExitCode, Trouble> {
    let consent = Consent::from_flag(request.yes);
    build::build(tree, consent)?;
    let mut app = spawn::command(tree.program("gemra-desktop"));
    spawn::without_cargos_own(&mut app);
    // The stand-in lives exactly as long as this binding, and that is until the app has ended.
    let model = if request.demo { Some(prepare_demo(tree, consent, &mut app)?) } else { None };
    app.args(&request.arguments);
    let status = spawn::status(&mut app)?;
    drop(model);
    // A code outside of a byte, as after a signal, is a failure like any other.
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

fn prepare_demo(tree: &Tree, consent: Consent, app: &mut Command) -> Result<Companion, Trouble> {
    system::ensure(Purpose::Engine, consent)?;
    let mut cargo = spawn::cargo();
    cargo.args(["build", "--release", "-p", "tests", "--bin", "model-api"]).current_dir(&tree.root);
    spawn::run(&mut cargo, "building the stand-in for the model's API", "look at the compiler's errors above")?;
    let claude = if spawn::is_on_path("claude") { None } else { Some(node::ensure_claude(tree)?) };

    let demo = tree.target.join("demo");
    let project = make_project(&demo.join("project"))?;
    let mut stand_in = spawn::command(tree.program("model-api"));
    let model = Companion::start(&mut stand_in, "listening on ", GREETING_PATIENCE)?;

    spawn::without_accounts(app);
    app.env("GEMRA_HOME", demo.join("home"));
    // The agent's settings and sessions stay out of the user's own, which may hold a real account.
    app.env("CLAUDE_CONFIG_DIR", demo.join("claude"));
    app.env("ANTHROPIC_BASE_URL", &model.said);
    // Made up: the stand-in takes any key, and the agent starts without an account only if there is one.
    app.env("ANTHROPIC_API_KEY", "demo");
    app.env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1").env("DISABLE_AUTOUPDATER", "1");
    // Where a proxy is set, the stand-in on loopback must not be looked for behind it.
    for name in ["NO_PROXY", "no_proxy"] {
        app.env(name, spawn::extended(name, "127.0.0.1,localhost"));
    }
    if let Some(claude) = claude {
        app.env("GEMRA_CLAUDE", claude);
    }
    app.arg("--workspace").arg(project);
    println!("== the demo: a stand-in answers at {}, no account is used", model.said);
    Ok(model)
}

/// A tiny repository for the agent to work in. One that is there already is left as it is.
fn make_project(folder: &Path) -> Result<PathBuf, Trouble> {
    if folder.join(".git").exists() {
        return Ok(folder.to_owned());
    }
    fs::create_dir_all(folder).map_err(Trouble::files(folder))?;
    let readme = folder.join("README.md");
    fs::write(&readme, README).map_err(Trouble::files(&readme))?;
    let git = |words: &[&str]| {
        let mut git = spawn::command("git");
        git.args(["-c", "user.name=Demo", "-c", "user.email=demo@localhost", "-c", "commit.gpgsign=false"]);
        spawn::run(git.args(words).current_dir(folder), "git in the demo's project", "see that git is installed")
    };
    git(&["init", "--quiet", "--initial-branch=main"])?;
    git(&["add", "README.md"])?;
    git(&["commit", "--quiet", "--no-verify", "--message", "Begin"])?;
    Ok(folder.to_owned())
}

const README: &str = "\
# A project to try Gemra with

The model here is a stand-in that does what the message says:

- `bash: ls -la` runs a command, after asking you
- `write: hello.txt Hello` writes a file
- `md:` answers with a page of Markdown
- `slow: 50` answers slowly, so that you can press Stop

Then press the Container button, wait until it is green, and go on with the same conversation: `bash: pwd` now answers
`/workspace`.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demos_project_is_a_repository_with_one_commit() {
        let folder = std::env::temp_dir().join(format!("gemra-xtask-demo-{}", std::process::id()));
        make_project(&folder).expect("git is installed wherever this project is built");
        fs::write(folder.join("README.md"), "changed").expect("a temp file can be written");
        make_project(&folder).expect("a second time changes nothing");
        let kept = fs::read_to_string(folder.join("README.md")).expect("it is there");
        assert_eq!(kept, "changed", "what the user has done to the project is kept");
        let mut git = spawn::command("git");
        let (log, worked) = spawn::hear(git.args(["log", "--format=%an %s"]).current_dir(&folder)).expect("git runs");
        assert!(worked, "it is a repository");
        assert_eq!(log.trim(), "Demo Begin");
        fs::remove_dir_all(&folder).expect("the temp folder is ours");
    }
}
