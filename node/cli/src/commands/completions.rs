//! `skein completions`: what a shell needs to complete commands and options.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Session;
use crate::args::Cli;

/// Which shell to complete for.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  skein completions bash > /etc/bash_completion.d/skein
  skein completions zsh > \"${fpath[1]}/_skein\"")]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(session: &Session<'_>, args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "skein", &mut script);
    session.terminal.print(&String::from_utf8_lossy(&script))?;
    Ok(())
}
