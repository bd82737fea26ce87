//! A login of its own for containers: the agent's own commands, run in a tab's container, whose volume keeps what comes
//! of it for all containers of that engine and user. The host's login is neither read nor copied.

use std::sync::Arc;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use bollard::query_parameters::ListContainersOptionsBuilder;
use futures_util::StreamExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use crate::agent::claude::account::Account;
use crate::agent::claude::account::{self, LOG_IN, LOG_OUT, STATUS};
use crate::container::engine::{self, Engine};
use crate::container::labels;
use crate::container::spec::wrapper;
use crate::failure::{Code, Failure};

/// How long a command may take that asks nobody anything. A CLI that starts in a busy container needs seconds.
const COMMAND: Duration = Duration::from_mins(2);
/// How long somebody may take to log in.
const PERSON: Duration = Duration::from_mins(30);

/// How a login goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The page that gives the code.
    Address(String),
    /// It is over, and this is who is logged in.
    Done(Account),
    /// It is over without a login.
    Failed(Failure),
}

/// A login that waits for its code. Dropped, it is given up.
#[derive(Debug)]
pub struct Login {
    codes: mpsc::UnboundedSender<String>,
    _given_up: DropGuard,
}

impl Login {
    /// Hands the code over. False where nobody waits for it any more.
    pub fn send(&self, code: &str) -> bool {
        self.codes
            .send(code.chars().filter(|letter| !letter.is_control()).collect::<String>().trim().to_owned())
            .is_ok()
    }
}

/// The container in which a tab's agent runs.
#[derive(Clone)]
pub struct Inside {
    engine: Engine,
    id: String,
    /// The gate's first line, with what the agent's commands need to reach the network. It may hold a proxy's password.
    line: Arc<str>,
}

impl std::fmt::Debug for Inside {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Inside").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Inside {
    /// Finds the running container of `tab`. `variables` are what the agent got, and may log it in: those that do are
    /// left out, since it is asked about the login that the volume keeps.
    ///
    /// # Errors
    /// [`Code::LoginFailed`] where there is none.
    pub(crate) async fn find(
        engine: Engine,
        instance: &str,
        tab: &str,
        mut variables: std::collections::BTreeMap<String, String>,
    ) -> Result<Self, Failure> {
        variables.retain(|name, _| !super::LOGINS.iter().any(|login| login.variable() == name));
        let line = wrapper::first_line(&variables, &[]).map_err(|error| failed(&error.to_string()))?;
        let wanted = [(labels::INSTANCE, instance), (labels::TAB, tab)].map(|(name, value)| format!("{name}={value}"));
        let options = ListContainersOptionsBuilder::new().filters(&labels::filter(wanted)).build();
        let listed = engine::question("for its containers", engine.api().list_containers(Some(options))).await;
        let listed = listed.map_err(|error| failed(&error.to_string()))?;
        let id = listed.into_iter().find_map(|container| container.id);
        let id = id.ok_or_else(|| failed("The agent of this tab does not run in a container"))?;
        Ok(Self { engine, id, line: line.into() })
    }

    /// Who is logged in there.
    ///
    /// # Errors
    /// [`Code::LoginFailed`] where the agent does not say.
    pub(crate) async fn account(&self) -> Result<Account, Failure> {
        let said = self.command(STATUS).await?;
        Account::read(&said.text)
            .ok_or_else(|| failed("The agent inside does not say who is logged in").with_detail(said.text))
    }

    /// Forgets the login.
    ///
    /// # Errors
    /// [`Code::LoginFailed`] where the agent refuses.
    pub(crate) async fn log_out(&self) -> Result<Account, Failure> {
        let said = self.command(LOG_OUT).await?;
        let account = self.account().await?;
        if account.logged_in {
            return Err(failed("The agent inside is still logged in").with_detail(said.text));
        }
        Ok(account)
    }

    /// Begins a login; `tell` hears how it goes.
    ///
    /// # Errors
    /// [`Code::LoginFailed`] where it cannot even begin.
    pub(crate) async fn log_in(&self, tell: impl Fn(Step) + Send + Sync + 'static) -> Result<Login, Failure> {
        let mut command = self.agent(LOG_IN, "; echo \"$$\"").await?;
        // The shell is the agent's command by the time that it asks for anything.
        let process = command.line().await.ok_or_else(|| failed("The agent's login ended without a word"))?;
        let (codes, waiting) = mpsc::unbounded_channel();
        let given_up = CancellationToken::new();
        let inside = self.clone();
        let stopped = given_up.clone();
        tokio::spawn(async move {
            let over = tokio::select! {
                over = inside.follow(command, waiting, &tell) => over,
                () = stopped.cancelled() => return inside.end(&process).await,
                () = tokio::time::sleep(PERSON) => {
                    inside.end(&process).await;
                    Err(failed(&format!("Nobody gave a code within {} minutes", PERSON.as_secs() / 60)))
                }
            };
            tell(over.map_or_else(Step::Failed, Step::Done));
        });
        Ok(Login { codes, _given_up: given_up.drop_guard() })
    }

    async fn follow(
        &self,
        mut command: Command,
        mut codes: mpsc::UnboundedReceiver<String>,
        tell: &(impl Fn(Step) + Send + Sync),
    ) -> Result<Account, Failure> {
        let mut said = std::mem::take(&mut command.pending);
        let mut told = false;
        loop {
            // All of it may have come with the first line. One is whole where another has begun.
            let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
            if let Some(address) = whole.lines().find_map(account::address)
                && !told
            {
                told = true;
                tell(Step::Address(address.to_owned()));
            }
            tokio::select! {
                piece = command.output.recv() => match piece {
                    Some(piece) => said.push_str(&piece),
                    None => break,
                },
                Some(code) = codes.recv() => command.write(&format!("{code}\n")).await?,
            }
        }
        if self.code(&command.id).await != Some(0) {
            let words = account::refusal(&said);
            let words = if words.is_empty() { "The agent's login ended without a word" } else { &words };
            return Err(failed(words));
        }
        let account = self.account().await?;
        if account.logged_in { Ok(account) } else { Err(failed("The agent inside is not logged in after all")) }
    }

    /// Runs one of the agent's commands to its end.
    async fn command(&self, args: &[&str]) -> Result<Said, Failure> {
        let running = async {
            let mut command = self.agent(args, "").await?;
            let mut text = String::new();
            while let Some(piece) = command.output.recv().await {
                text.push_str(&piece);
            }
            Ok(Said { text })
        };
        let limited = tokio::time::timeout(COMMAND, running).await;
        limited.unwrap_or_else(|_| Err(failed(&format!("The agent did not answer within {} s", COMMAND.as_secs()))))
    }

    /// Starts the agent with these arguments; `more` is done in the shell before it.
    async fn agent(&self, args: &[&str], more: &str) -> Result<Command, Failure> {
        let command: Vec<&str> = ["/bin/sh", "-c", wrapper::SCRIPT, "gemra"].iter().chain(args).copied().collect();
        self.start(&command, &format!("{}{more}\n", self.line)).await
    }

    async fn start(&self, command: &[&str], input_begins: &str) -> Result<Command, Failure> {
        let words = |error: bollard::errors::Error| failed(&engine::words(&error));
        let options = ExecConfig {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command.iter().map(|&word| word.to_owned()).collect()),
            ..ExecConfig::default()
        };
        let api = self.engine.api();
        let made = api.create_exec(&self.id, options).await.map_err(words)?.id;
        let started = api.start_exec(&made, None::<StartExecOptions>).await.map_err(words)?;
        let StartExecResults::Attached { mut output, input } = started else {
            return Err(failed("The engine did not attach to the agent's command"));
        };
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut decoder = Vec::new();
            while let Some(Ok(piece)) = output.next().await {
                let (LogOutput::StdOut { message } | LogOutput::StdErr { message } | LogOutput::Console { message }) =
                    piece
                else {
                    continue;
                };
                // A letter may be cut in two.
                decoder.extend_from_slice(&message);
                let whole = match std::str::from_utf8(&decoder) {
                    Err(error) if error.error_len().is_none() => error.valid_up_to(),
                    _ => decoder.len(),
                };
                let text = String::from_utf8_lossy(&decoder[..whole]).into_owned();
                decoder.drain(..whole);
                if sender.send(text).is_err() {
                    break;
                }
            }
        });
        let mut command = Command { id: made, input, output: receiver, pending: String::new() };
        command.write(input_begins).await?;
        Ok(command)
    }

    async fn code(&self, command: &str) -> Option<i64> {
        self.engine.api().inspect_exec(command).await.ok()?.exit_code
    }

    /// Ends a command that waits. The engine knows no way to do so, but whoever has started it may.
    async fn end(&self, process: &str) {
        let ended = tokio::time::timeout(COMMAND, async {
            let mut command = self.start(&["/bin/sh", "-c", "kill \"$1\"", "gemra", process], "").await?;
            while command.output.recv().await.is_some() {}
            Ok::<_, Failure>(())
        });
        if let Ok(Err(error)) = ended.await {
            // Where the container has gone, so has the command.
            tracing::debug!(%error, "a login that was given up could not be ended");
        }
    }
}

/// A command of the agent's that runs.
struct Command {
    id: String,
    input: std::pin::Pin<Box<dyn tokio::io::AsyncWrite + Send>>,
    output: mpsc::UnboundedReceiver<String>,
    /// Read already, and not looked at.
    pending: String,
}

/// What a command has said.
struct Said {
    text: String,
}

impl Command {
    /// Its next line; `None` where it ends before.
    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.pending.find('\n') {
                let line: String = self.pending.drain(..=end).collect();
                return Some(line.trim().to_owned());
            }
            let piece = self.output.recv().await?;
            self.pending.push_str(&piece);
        }
    }

    async fn write(&mut self, text: &str) -> Result<(), Failure> {
        let written = async {
            self.input.write_all(text.as_bytes()).await?;
            self.input.flush().await
        };
        written.await.map_err(|error| failed(&format!("The agent's command does not listen: {error}")))
    }
}

fn failed(cause: &str) -> Failure {
    let cause = cause.trim_end_matches('.');
    let action = "See that the container runs and reaches the network, then try again.";
    Failure::new(Code::LoginFailed, "The login inside did not work", format!("{cause}."), action)
}
