//! `skein get`: objects as tables, JSON, YAML or names.

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};

use super::Session;
use crate::connection::{Connection, lines};
use crate::discovery::{ApiKind, Kinds};
use crate::exit::UsageError;
use crate::limits::PAGE_SIZE;
use crate::render::table::{self, Table};
use crate::render::{self, Output};
use crate::request::with_query;
use crate::target::{self, Target};

/// What to get, and how to print it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  skein get nodes                       every host
  skein get pods -A -o wide             all pods with their hosts
  skein get pods,deployments -l app=web
  skein get deployment/web -o yaml
  skein get pods -w                     and go on as they change
  skein get all                         the usual kinds")]
pub(crate) struct GetArgs {
    /// KIND, KIND NAME… or KIND/NAME…
    #[arg(required = true, value_name = "WHAT")]
    what: Vec<String>,

    /// In every namespace
    #[arg(short = 'A', long)]
    all_namespaces: bool,

    /// Only objects with these labels, e.g. app=web
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,

    /// Only objects with these fields, e.g. spec.nodeName=h1
    #[arg(long, value_name = "FIELDS")]
    field_selector: Option<String>,

    /// How to print
    #[arg(short, long, value_enum)]
    output: Option<Output>,

    /// Print the labels too
    #[arg(long)]
    show_labels: bool,

    /// Go on printing objects as they change
    #[arg(short, long, conflicts_with = "output")]
    watch: bool,
}

/// A kind, and the names asked for.
struct Wanted<'a> {
    kind: &'a ApiKind,
    names: Vec<String>,
}

pub(crate) async fn run(session: &Session<'_>, args: &GetArgs) -> anyhow::Result<()> {
    let targets = target::parse(&args.what)?;
    let connection = session.connect().await?;
    let kinds = Kinds::discover(&connection).await?;
    let wanted = resolve(&kinds, &targets)?;
    match args.output {
        Some(Output::Json | Output::Yaml | Output::Name) => {
            objects(session, &connection, args, &wanted).await
        }
        Some(Output::Wide) | None if args.watch => watch(session, &connection, args, &wanted).await,
        Some(Output::Wide) | None => tables(session, &connection, args, &wanted).await,
    }
}

fn resolve<'a>(kinds: &'a Kinds, targets: &[Target]) -> Result<Vec<Wanted<'a>>, UsageError> {
    let mut wanted = Vec::new();
    for target in targets {
        if target.names.is_empty() {
            let found = kinds.find_all(&target.kind)?.into_iter();
            wanted.extend(found.map(|kind| Wanted { kind, names: Vec::new() }));
        } else {
            wanted.push(Wanted { kind: kinds.find(&target.kind)?, names: target.names.clone() });
        }
    }
    Ok(wanted)
}

impl GetArgs {
    fn list_path(&self, connection: &Connection, kind: &ApiKind) -> String {
        let namespace = (!self.all_namespaces).then(|| connection.namespace());
        let selectors =
            [("labelSelector", &self.selector), ("fieldSelector", &self.field_selector)];
        let pairs =
            selectors.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
        with_query(&kind.path(namespace), pairs)
    }

    fn options<'a>(&self, kind: &ApiKind, prefix: Option<&'a str>) -> table::Options<'a> {
        table::Options {
            wide: self.output == Some(Output::Wide),
            namespaces: self.all_namespaces && kind.namespaced,
            labels: self.show_labels,
            prefix,
        }
    }
}

async fn tables(
    session: &Session<'_>,
    connection: &Connection,
    args: &GetArgs,
    wanted: &[Wanted<'_>],
) -> anyhow::Result<()> {
    let several = wanted.len() > 1;
    let mut text = String::new();
    for Wanted { kind, names } in wanted {
        let (table, _) = fetch_table(connection, args, kind, names).await?;
        if table.rows.is_empty() {
            continue;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        let label = kind.label();
        let options = args.options(kind, several.then_some(label.as_str()));
        text.push_str(&table.render(options, session.terminal.palette));
    }
    if text.is_empty() {
        let place = if args.all_namespaces {
            "in any namespace".into()
        } else {
            format!("in namespace {}", connection.namespace())
        };
        let cluster_wide = wanted.iter().all(|wanted| !wanted.kind.namespaced);
        session.terminal.note(&if cluster_wide {
            "No resources found.".into()
        } else {
            format!("No resources found {place}.")
        });
        return Ok(());
    }
    session.terminal.print(&text)?;
    Ok(())
}

/// The rows asked for, and the version of the list they were read at.
async fn fetch_table(
    connection: &Connection,
    args: &GetArgs,
    kind: &ApiKind,
    names: &[String],
) -> anyhow::Result<(Table, String)> {
    let mut table = Table::default();
    let mut version = String::new();
    if names.is_empty() {
        let path = args.list_path(connection, kind);
        let mut next = String::new();
        loop {
            let page = connection.get_as(&page_path(&path, &next), table::ACCEPT).await?;
            let text = |pointer| {
                page.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
            };
            version = text("/metadata/resourceVersion");
            next = text("/metadata/continue");
            table.extend(serde_json::from_value(page).context("the table cannot be understood")?);
            if next.is_empty() {
                return Ok((table, version));
            }
        }
    }
    for name in names {
        let page = connection
            .get_as(&kind.object_path(connection.namespace(), name), table::ACCEPT)
            .await?;
        table.extend(serde_json::from_value(page).context("the table cannot be understood")?);
    }
    Ok((table, version))
}

fn page_path(path: &str, next: &str) -> String {
    let size = PAGE_SIZE.to_string();
    let first = [("limit", size.as_str())];
    let following = (!next.is_empty()).then_some(("continue", next));
    with_query(path, first.into_iter().chain(following))
}

async fn objects(
    session: &Session<'_>,
    connection: &Connection,
    args: &GetArgs,
    wanted: &[Wanted<'_>],
) -> anyhow::Result<()> {
    let mut items: Vec<(String, Value)> = Vec::new();
    for Wanted { kind, names } in wanted {
        let found = if names.is_empty() {
            list(connection, &args.list_path(connection, kind), kind).await?
        } else {
            let mut found = Vec::new();
            for name in names {
                found.push(connection.get(&kind.object_path(connection.namespace(), name)).await?);
            }
            found
        };
        let label = kind.label();
        items.extend(found.into_iter().map(|item| (label.clone(), item)));
    }
    let is_single = wanted.len() == 1 && wanted[0].names.len() == 1;
    session.terminal.print(&render_objects(items, is_single, args.output))?;
    Ok(())
}

/// Every object of a list, page by page, each with its kind as if it had been asked for alone.
pub(crate) async fn list(
    connection: &Connection,
    path: &str,
    kind: &ApiKind,
) -> anyhow::Result<Vec<Value>> {
    let mut items = Vec::new();
    let mut next = String::new();
    loop {
        let mut page = connection.get(&page_path(path, &next)).await?;
        if let Some(found) = page["items"].as_array_mut() {
            items.extend(found.drain(..).map(|mut item| {
                item["apiVersion"] = json!(kind.api_version());
                item["kind"] = json!(kind.kind);
                item
            }));
        }
        next = page
            .pointer("/metadata/continue")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        if next.is_empty() {
            return Ok(items);
        }
    }
}

fn render_objects(items: Vec<(String, Value)>, is_single: bool, output: Option<Output>) -> String {
    if output == Some(Output::Name) {
        let name = |item: &Value| {
            item.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        return items.iter().map(|(label, item)| format!("{label}/{}\n", name(item))).collect();
    }
    let mut items: Vec<Value> = items.into_iter().map(|(_, item)| item).collect();
    let document = match items.pop() {
        Some(only) if is_single && items.is_empty() => only,
        last => {
            items.extend(last);
            json!({ "apiVersion": "v1", "kind": "List", "metadata": {}, "items": items })
        }
    };
    if output == Some(Output::Yaml) { render::yaml(&document) } else { render::json(&document) }
}

/// Prints the list, then a line for every change until the stream or the reader ends.
async fn watch(
    session: &Session<'_>,
    connection: &Connection,
    args: &GetArgs,
    wanted: &[Wanted<'_>],
) -> anyhow::Result<()> {
    let [Wanted { kind, names }] = wanted else {
        return Err(UsageError::new("--watch follows one kind").into());
    };
    if !names.is_empty() {
        return Err(UsageError::new(
            "--watch takes no names; use --field-selector metadata.name=NAME",
        )
        .into());
    }
    let (mut laid_out, version) = fetch_table(connection, args, kind, names).await?;
    let palette = session.terminal.palette;
    let options = args.options(kind, None);
    if !laid_out.rows.is_empty() {
        session.terminal.print(&laid_out.render(options, palette))?;
    }
    let path = args.list_path(connection, kind);
    let pairs = [("watch", "true"), ("resourceVersion", version.as_str())];
    let stream = connection.stream(&with_query(&path, pairs), table::ACCEPT).await?;
    lines(stream, |line| {
        let event: Value = serde_json::from_str(line).context("the watch cannot be understood")?;
        let object = &event["object"];
        match event["type"].as_str() {
            Some("BOOKMARK") => return Ok(()),
            Some("ERROR") => anyhow::bail!(
                "the watch ended: {}",
                object["message"].as_str().unwrap_or("no reason given")
            ),
            _ => {}
        }
        let change: Table =
            serde_json::from_value(object.clone()).context("the table cannot be understood")?;
        // Laid out with the first rows, so that the columns stay where they are.
        let (count, is_first) = (change.rows.len(), laid_out.rows.is_empty());
        let mut all = laid_out.clone();
        all.extend(change);
        let text = all.render(options, palette);
        let all_lines: Vec<&str> = text.lines().collect();
        let already_shown = if is_first { 0 } else { all_lines.len().saturating_sub(count) };
        session.terminal.print(&all_lines[already_shown..].join("\n"))?;
        if is_first {
            laid_out = all;
        }
        Ok(())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str) -> (String, Value) {
        ("pod".into(), json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}}))
    }

    #[test]
    fn a_single_object_is_printed_as_itself() {
        insta::assert_snapshot!(render_objects(vec![pod("a")], true, Some(Output::Yaml)));
    }

    #[test]
    fn several_objects_are_printed_as_a_list() {
        insta::assert_snapshot!(render_objects(
            vec![pod("a"), pod("b")],
            false,
            Some(Output::Yaml)
        ));
    }

    #[test]
    fn names_can_be_given_back_as_arguments() {
        assert_eq!(
            render_objects(vec![pod("a"), pod("b")], false, Some(Output::Name)),
            "pod/a\npod/b\n"
        );
    }

    #[test]
    fn pages_follow_the_token_of_the_one_before() {
        assert_eq!(page_path("/api/v1/pods", ""), "/api/v1/pods?limit=500");
        assert_eq!(
            page_path("/api/v1/pods?labelSelector=a", "x="),
            "/api/v1/pods?labelSelector=a&limit=500&continue=x%3D"
        );
    }
}
