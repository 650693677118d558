//! `skein token`: what lets further hosts join.

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use skein_net::JoinToken;

use super::{Session, status};
use crate::connection::Connection;
use crate::limits::{MAX_TOKEN_SECONDS, SEEDS_SHOWN};
use crate::render::status::{ClusterStatus, age};
use crate::render::{self, Output, columns};
use crate::request::{MERGE_PATCH, segment};
use crate::terminal::{Palette, Tone};
use columns::{Cell, layout};

const PATH: &str = "/apis/skein.dev/v1/jointokens";

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and print how to use it
    Create(CreateArgs),
    /// List the tokens; their secrets are stored nowhere
    List(ListArgs),
    /// Make a token useless at once; nodes that joined with it stay
    Revoke(RevokeArgs),
}

/// What the token is to be.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  skein token create                           valid for a day
  skein token create --ttl 30m --description rack-7
  TOKEN=$(skein token create --quiet)          for scripts")]
pub(crate) struct CreateArgs {
    /// How long it lets hosts join, e.g. 30m, 24h or 7d
    #[arg(long, default_value = "24h", value_parser = parse_ttl)]
    ttl: SignedDuration,

    /// What it is for
    #[arg(long, default_value = "")]
    description: String,

    /// Print the token and nothing else
    #[arg(short, long)]
    quiet: bool,
}

/// How to print the list.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print JSON, YAML or only the ids
    #[arg(short, long, value_enum)]
    output: Option<Output>,
}

/// Which tokens.
#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// Ids from `skein token list` (the second part of the token)
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

pub(crate) async fn run(session: &Session<'_>, command: TokenCommand) -> anyhow::Result<()> {
    let connection = session.connect().await?;
    let text = match command {
        TokenCommand::Create(args) => create(&connection, &args).await?,
        TokenCommand::List(args) => list(&connection, &args, session.terminal.palette).await?,
        TokenCommand::Revoke(args) => {
            for id in &args.ids {
                revoke(&connection, id).await?;
                session.terminal.print(&format!("token {id} revoked"))?;
            }
            return Ok(());
        }
    };
    session.terminal.print(&text)?;
    Ok(())
}

async fn create(connection: &Connection, args: &CreateArgs) -> anyhow::Result<String> {
    let authority = connection
        .config()
        .root_cert
        .as_ref()
        .and_then(|certificates| certificates.first())
        .context("the kubeconfig holds no certificate authority to vouch for in a token")?;
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest(&SHA256, authority).as_ref());
    let token = JoinToken::generate(fingerprint);
    let expires =
        Timestamp::now().checked_add(args.ttl).context("--ttl goes beyond the calendar")?;
    let object = json!({
        "apiVersion": "skein.dev/v1",
        "kind": "JoinToken",
        "metadata": { "name": token.id() },
        "spec": {
            "secretHash": token.secret_hash(),
            "expires": in_seconds(expires),
            "description": args.description,
        },
    });
    connection.post(PATH, &object).await?;
    if args.quiet {
        return Ok(token.to_string());
    }
    let answer = connection.get(status::PATH).await?;
    let cluster: ClusterStatus =
        serde_json::from_value(answer).context("the status cannot be understood")?;
    Ok(instructions(&token.to_string(), &cluster.seeds(SEEDS_SHOWN), expires))
}

/// RFC 3339 without fractions, as Kubernetes writes times.
fn in_seconds(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}

fn instructions(token: &str, seeds: &[String], expires: Timestamp) -> String {
    format!(
        "On each host that is to join:\n\n  skein up --seed {} --token {token}\n\n\
         Valid until {}. It is shown only now; `skein token revoke` makes it useless.\n",
        seeds.join(","),
        in_seconds(expires),
    )
}

async fn list(
    connection: &Connection,
    args: &ListArgs,
    palette: Palette,
) -> anyhow::Result<String> {
    let answer = connection.get(PATH).await?;
    let items = answer["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(match args.output {
        Some(Output::Json) => render::json(&answer),
        Some(Output::Yaml) => render::yaml(&answer),
        Some(Output::Name) => {
            items.iter().map(|item| format!("{}\n", text(item, "/metadata/name"))).collect()
        }
        Some(Output::Wide) | None if items.is_empty() => {
            "No tokens; make one with: skein token create\n".to_owned()
        }
        Some(Output::Wide) | None => table(items, Timestamp::now(), palette),
    })
}

fn table(items: &[Value], now: Timestamp, palette: Palette) -> String {
    let rows: Vec<Vec<Cell>> = items.iter().map(|item| row(item, now)).collect();
    layout(&["ID", "STATE", "EXPIRES IN", "USES", "AGE", "DESCRIPTION"], &rows, palette)
}

fn row(item: &Value, now: Timestamp) -> Vec<Cell> {
    let expires: Option<Timestamp> = text(item, "/spec/expires").parse().ok();
    let created: Option<Timestamp> = text(item, "/metadata/creationTimestamp").parse().ok();
    let revoked = item.pointer("/spec/revoked") == Some(&Value::Bool(true));
    let (state, left) = match expires {
        _ if revoked => (Cell::new("revoked", Tone::Bad), "-".to_owned()),
        Some(at) if at > now => (Cell::new("valid", Tone::Good), age(now, at)),
        Some(_) => (Cell::new("expired", Tone::Faint), "-".to_owned()),
        None => (Cell::new("valid", Tone::Good), "never".to_owned()),
    };
    let uses = item.pointer("/status/uses").and_then(Value::as_u64).unwrap_or(0);
    vec![
        Cell::plain(text(item, "/metadata/name")),
        state,
        Cell::plain(left),
        Cell::plain(uses.to_string()),
        Cell::plain(created.map(|at| age(at, now)).unwrap_or_else(|| "-".into())),
        Cell::plain(text(item, "/spec/description")),
    ]
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

async fn revoke(connection: &Connection, id: &str) -> anyhow::Result<()> {
    let path = format!("{PATH}/{}", segment(id));
    let change = json!({ "spec": { "revoked": true } });
    match connection.patch(&path, MERGE_PATCH, &change).await {
        Err(error) if error.is_not_found() => {
            Err(anyhow!("there is no token {id:?}; see: skein token list"))
        }
        other => other.map(drop).map_err(Into::into),
    }
}

/// A number and its unit: s, m, h or d.
fn parse_ttl(text: &str) -> Result<SignedDuration, String> {
    let expected = || "expected a number and a unit, e.g. 30m, 24h or 7d".to_owned();
    let unit = text.chars().last().ok_or_else(expected)?;
    let number: i64 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| expected())?;
    let seconds_each = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(expected()),
    };
    match number.checked_mul(seconds_each) {
        Some(seconds @ 1..=MAX_TOKEN_SECONDS) => Ok(SignedDuration::from_secs(seconds)),
        _ => Err("expected a duration between one second and a year".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_is_a_number_and_a_unit() {
        assert_eq!(parse_ttl("30m"), Ok(SignedDuration::from_mins(30)));
        assert_eq!(parse_ttl("7d"), Ok(SignedDuration::from_hours(7 * 24)));
        for wrong in ["", "h", "12", "-1h", "0s", "5 h", "1y", "3é", "400d", "99999999999999999d"]
        {
            assert!(parse_ttl(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn creating_a_token_prints_the_line_to_run() {
        let seeds = ["10.0.0.1:7600".to_owned(), "10.0.0.2:7600".to_owned()];
        let expires = "2026-01-02T00:00:00.123Z".parse().unwrap();
        insta::assert_snapshot!(instructions("skein1.id.secret.fingerprint", &seeds, expires));
    }

    #[test]
    fn the_list_tells_valid_from_expired() {
        let items = [
            json!({"metadata": {"name": "abcdefgh", "creationTimestamp": "2026-01-01T00:00:00Z"},
                   "spec": {"expires": "2026-01-02T00:00:00Z", "description": "rack 7"}, "status": {"uses": 2}}),
            json!({"metadata": {"name": "stuvwxyz", "creationTimestamp": "2025-12-01T00:00:00Z"},
                   "spec": {"expires": "2025-12-02T00:00:00Z", "description": ""}}),
            json!({"metadata": {"name": "zzzzzzzz", "creationTimestamp": "2026-01-01T00:59:30Z"},
                   "spec": {"expires": "2026-01-02T00:00:00Z", "revoked": true}}),
        ];
        let now = "2026-01-01T01:00:00Z".parse().unwrap();
        insta::assert_snapshot!(table(&items, now, Palette::PLAIN));
    }
}
