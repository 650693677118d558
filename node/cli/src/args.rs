//! What can be typed: the parser and the help it teaches with.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::{
    apply::ApplyArgs, completions::CompletionsArgs, delete::DeleteArgs, describe::DescribeArgs,
    get::GetArgs, image::ImageCommand, kubeconfig::KubeconfigArgs, logs::LogsArgs,
    node::NodeCommand, recover::RecoverArgs, recover::RejoinArgs, rollout::RolloutCommand,
    scale::ScaleArgs, status::StatusArgs, token::TokenCommand,
};
use crate::terminal::ColorChoice;
use crate::up::UpArgs;

const HELP_FOOTER: &str = "\
A cluster in two commands:
  skein up                                   on the first host; then there:
  skein token create                         which prints what to run on the others:
  skein up --seed 10.0.0.1:7600 --token …    on every further host

Every node serves the Kubernetes API on port 6443, so kubectl works too:
  skein kubeconfig > ~/.kube/config && kubectl get nodes

Exit codes: 0 done, 1 failed or refused, 2 wrong usage.";

/// Skein: one binary on every host makes them one cluster with the Kubernetes API.
#[derive(Debug, Parser)]
#[command(name = "skein", version, after_help = HELP_FOOTER, max_term_width = 100)]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
pub struct Cli {
    /// How and where to reach the cluster.
    #[command(flatten)]
    pub(crate) global: GlobalArgs,

    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command that talks to the cluster.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Kubeconfig file(s) [default: the local node's, else ~/.kube/config]
    #[arg(long, global = true, value_name = "FILE", env = "KUBECONFIG", hide_env_values = true)]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Ask this node (a context of the kubeconfig) first
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) server: Option<String>,

    /// Namespace [default: the context's, else "default"]
    #[arg(short, long, global = true)]
    pub(crate) namespace: Option<String>,

    /// Say which node answered
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,

    /// When to colour the output
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto)]
    pub(crate) color: ColorChoice,

    /// Any value turns colours off: <https://no-color.org>
    #[arg(long, global = true, hide = true, env = "NO_COLOR")]
    pub(crate) no_color: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run this host's node: found a cluster, join one, or come back to it
    #[command(after_help = "\
Examples:
  skein up                                            the first node of a cluster
  skein up --seed 10.0.0.1:7600 --token skein1.…      join a cluster
  skein up                                            come back after a restart: no token needed
  skein up --name h2 --label zone=b --data-dir /srv/skein
  skein up --witness --seed … --token …              a third vote for a cluster of two hosts

Every option can also be set in the environment (SKEIN_NAME, SKEIN_SEED, …) or in a TOML file
given with --config; a flag wins over the environment, that over the file.
SIGTERM ends the node cleanly; its containers keep running.")]
    Up(Box<UpArgs>),

    /// Tokens that let further hosts join
    #[command(subcommand)]
    Token(TokenCommand),

    /// Members, voters and leader at a glance
    Status(StatusArgs),

    /// Take hosts out of the cluster
    #[command(subcommand)]
    Node(NodeCommand),

    /// Go on without a majority of the voters, which are lost for good
    Recover(RecoverArgs),

    /// Let this host back into a cluster that went on without it
    Rejoin(RejoinArgs),

    /// List objects, or show some of them
    Get(GetArgs),

    /// Everything about an object, with its events
    Describe(DescribeArgs),

    /// Bring the cluster to what manifests say
    Apply(ApplyArgs),

    /// Delete objects by name, by label or by manifest
    Delete(DeleteArgs),

    /// Print or follow a pod's output
    Logs(LogsArgs),

    /// Set the number of replicas
    Scale(ScaleArgs),

    /// Watch, list, undo and repeat rollouts of a Deployment
    #[command(subcommand)]
    Rollout(RolloutCommand),

    /// Print a kubeconfig for this cluster
    Kubeconfig(KubeconfigArgs),

    /// Images on the hosts
    #[command(subcommand)]
    Image(ImageCommand),

    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::Cli;

    #[test]
    fn the_parser_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_may_follow_the_command() {
        let cli = Cli::parse_from(["skein", "status", "-n", "kube-system", "-v"]);
        assert_eq!(cli.global.namespace.as_deref(), Some("kube-system"));
        assert!(cli.global.verbose);
    }
}
