//! The commands, a module each, and the way in.

pub(crate) mod apply;
pub(crate) mod completions;
pub(crate) mod delete;
pub(crate) mod describe;
pub(crate) mod get;
pub(crate) mod image;
pub(crate) mod kubeconfig;
pub(crate) mod logs;
pub(crate) mod node;
pub(crate) mod recover;
pub(crate) mod rollout;
pub(crate) mod scale;
pub(crate) mod status;
pub(crate) mod token;

use std::process::ExitCode;

use crate::args::{Cli, Command, GlobalArgs};
use crate::connection::Connection;
use crate::exit;
use crate::terminal::{ColorChoice, Terminal};
use crate::up::UpOptions;

/// What every command gets: how to reach the cluster and where to print.
pub(crate) struct Session<'a> {
    pub(crate) terminal: Terminal,
    global: &'a GlobalArgs,
}

impl Session<'_> {
    /// Finds a node that serves; commands that need none never ask.
    pub(crate) async fn connect(&self) -> anyhow::Result<Connection> {
        Connection::open(self.global, self.terminal).await
    }

    /// As [`Session::connect`], for what only one node can do or say: itself or none.
    pub(crate) async fn connect_to_itself(&self) -> anyhow::Result<Connection> {
        Connection::open_only(self.global, self.terminal).await
    }

    /// Whether `--server` names a node.
    pub(crate) fn names_server(&self) -> bool {
        self.global.server.is_some()
    }
}

/// Runs a parsed command line and reports its outcome; `up` runs a node until it is to end.
///
/// `host_name` names the node of `skein up` if nothing else does. Errors are printed here.
pub async fn run<F>(cli: Cli, host_name: &str, up: F) -> ExitCode
where
    F: AsyncFnOnce(UpOptions) -> anyhow::Result<()>,
{
    let terminal = Terminal::new(cli.global.color, cli.global.no_color.as_deref());
    let session = Session { terminal, global: &cli.global };
    match dispatch(&session, cli.command, host_name, up).await {
        Ok(()) => ExitCode::from(exit::SUCCESS),
        Err(error) if exit::is_broken_pipe(&error) => ExitCode::from(exit::SUCCESS),
        Err(error) => {
            terminal.error(&error);
            exit::code(&error)
        }
    }
}

/// Reports an error that kept the process from even beginning, in the way [`run`] reports others.
pub fn fail(error: &anyhow::Error) -> ExitCode {
    Terminal::new(ColorChoice::Auto, None).error(error);
    exit::code(error)
}

async fn dispatch<F>(
    session: &Session<'_>,
    command: Command,
    host_name: &str,
    up: F,
) -> anyhow::Result<()>
where
    F: AsyncFnOnce(UpOptions) -> anyhow::Result<()>,
{
    match command {
        Command::Up(args) => up(args.resolve(host_name)?).await,
        Command::Token(command) => token::run(session, command).await,
        Command::Status(args) => status::run(session, &args).await,
        Command::Node(command) => node::run(session, &command).await,
        Command::Recover(args) => recover::recover(session, &args).await,
        Command::Rejoin(args) => recover::rejoin(session, &args).await,
        Command::Get(args) => get::run(session, &args).await,
        Command::Describe(args) => describe::run(session, &args).await,
        Command::Apply(args) => apply::run(session, &args).await,
        Command::Delete(args) => delete::run(session, &args).await,
        Command::Logs(args) => logs::run(session, &args).await,
        Command::Scale(args) => scale::run(session, &args).await,
        Command::Rollout(command) => rollout::run(session, &command).await,
        Command::Kubeconfig(args) => kubeconfig::run(session, &args).await,
        Command::Image(command) => image::run(session, &command).await,
        Command::Completions(args) => completions::run(session, &args),
    }
}
