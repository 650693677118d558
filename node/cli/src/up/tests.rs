//! What `skein up` accepts, and what it makes of it.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    up: UpArgs,
}

fn resolve(arguments: &[&str]) -> Result<UpOptions, UpError> {
    let line = Line::try_parse_from(std::iter::once(&"up").chain(arguments)).unwrap();
    line.up.resolve("Alpha.example.org")
}

fn message(arguments: &[&str]) -> String {
    resolve(arguments).unwrap_err().to_string()
}

#[test]
fn without_options_a_node_founds_a_cluster_on_every_address() {
    let options = resolve(&[]).unwrap();
    assert_eq!(options.name, "alpha");
    assert_eq!(options.listen, "0.0.0.0:7600".parse().unwrap());
    assert_eq!(options.api, "0.0.0.0:6443".parse().unwrap());
    assert_eq!(options.data_dir, PathBuf::from("/var/lib/skein"));
    assert_eq!(options.pod_cidr, "10.42.0.0/16");
    assert_eq!((options.runtime, options.strategy), (Runtime::Docker, Strategy::Spread));
    assert!(options.seeds.is_empty() && options.token.is_none() && options.advertise.is_none());
}

#[test]
fn seeds_may_be_repeated_or_listed_and_get_the_default_port() {
    let options = resolve(&["--seed", "10.0.0.1:7600,h2", "--seed", "[fd00::1]:7601"]).unwrap();
    assert_eq!(options.seeds, ["10.0.0.1:7600", "h2:7600", "[fd00::1]:7601"]);
}

#[test]
fn an_advertised_address_takes_the_port_listened_on() {
    let options = resolve(&["--advertise", "10.0.0.9", "--listen", "0.0.0.0:7700"]).unwrap();
    assert_eq!(options.advertise, Some("10.0.0.9:7700".parse().unwrap()));
}

#[test]
fn labels_are_key_value_pairs() {
    let options =
        resolve(&["--label", "zone=a,disk=ssd", "--label", "example.org/rack=r1"]).unwrap();
    let labels: Vec<_> =
        options.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(labels, ["disk=ssd", "example.org/rack=r1", "zone=a"]);
}

#[test]
fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
    let file: UpArgs =
        toml::from_str("name = 'from-file'\napi = '0.0.0.0:7443'\nseeds = ['h1:7600']").unwrap();
    let given = UpArgs { name: Some("from-flag".into()), ..UpArgs::default() };
    let options = given.over(file).check("host").unwrap();
    assert_eq!(options.name, "from-flag");
    assert_eq!(options.api.port(), 7443);
    assert_eq!(options.seeds, ["h1:7600"]);
    assert_eq!(options.cluster_name, "skein");
}

#[test]
fn an_unknown_option_in_the_file_is_refused() {
    let error = toml::from_str::<UpArgs>("nmae = 'x'").unwrap_err();
    assert!(error.to_string().contains("unknown field `nmae`"), "{error}");
}

#[test]
fn mistakes_are_named_with_what_was_expected() {
    insta::assert_snapshot!(
        [
            message(&["--seed", "10.0.0.1:port"]),
            message(&["--seed", "http://h1"]),
            message(&["--token", "skein1.x"]),
            message(&["--token", "skein1.x", "--seed", "h1"]),
            message(&["--name", "Node_1"]),
            message(&["--advertise", "0.0.0.0"]),
            message(&["--advertise", "h1"]),
            message(&["--label", "zone"]),
            message(&["--pod-cidr", "10.42.0.0/28"]),
            message(&["--pod-cidr", "10.42.7.0/16"]),
            message(&["--config", "/nonexistent/skein.toml"]),
            UpArgs::default().resolve("").unwrap_err().to_string(),
        ]
        .join("\n")
    );
}

#[test]
fn an_audit_log_needs_a_policy_and_lies_in_the_data_directory() {
    let policy = ["--audit-policy", "/etc/policy.yaml", "--data-dir", "/data"];
    let files =
        |log: &str| Some(AuditFiles { policy: "/etc/policy.yaml".into(), log: PathBuf::from(log) });
    assert_eq!(resolve(&policy).unwrap().audit, files("/data/audit.log"));
    let elsewhere = [&policy[..], &["--audit-log", "/log/a"]].concat();
    assert_eq!(resolve(&elsewhere).unwrap().audit, files("/log/a"));
    assert_eq!(resolve(&[]).unwrap().audit, None);
    let said = message(&["--audit-log", "/log/a"]);
    assert!(said.contains("needs --audit-policy"), "{said}");
}
