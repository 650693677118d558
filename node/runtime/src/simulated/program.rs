//! What a simulated container does, read from its command. Pure.
//!
//! A tiny shell: statements are separated by `;` or `&&`, known words are `echo TEXT`,
//! `sleep SECONDS|infinity`, `exit CODE`, `true`, `false` and `trap` (which makes the program deaf
//! to SIGTERM). Anything else is a server: it runs until it is stopped. A program whose name
//! contains `no-such` does not exist.

use std::time::Duration;

use crate::{ContainerConfig, limits::SIMULATED_LOG_LINES};

/// A container's whole life, relative to its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Program {
    /// What it prints and when.
    pub(super) lines: Vec<(Duration, String)>,
    /// When it ends by itself and with which code, if it does.
    pub(super) ends: Option<(Duration, i32)>,
    /// Whether SIGTERM does not end it.
    pub(super) ignores_term: bool,
    /// The program that does not exist, if so.
    pub(super) missing: Option<String>,
}

impl Program {
    /// Reads the program of a container: its command and arguments, or else the last part of its
    /// image's name with `-` for blanks and `.` for `;` (`exit-3`, `sleep-5.exit-1`).
    pub(super) fn of(config: &ContainerConfig) -> Self {
        let words: Vec<&str> =
            config.command.iter().chain(&config.args).map(String::as_str).collect();
        match words.as_slice() {
            [] => Self::parse(&script_of_image(&config.image)),
            [shell, "-c", script, ..] if shell.ends_with("sh") => Self::parse(script),
            [program, ..] if program.contains("no-such") => {
                Self { missing: Some((*program).to_owned()), ..Self::default() }
            }
            words => Self::parse(&words.join(" ")),
        }
    }

    fn parse(script: &str) -> Self {
        let mut program = Self::default();
        let mut at = Duration::ZERO;
        for statement in script.split(';').flat_map(|part| part.split("&&")).map(str::trim) {
            let (word, rest) = statement.split_once(' ').unwrap_or((statement, ""));
            match word {
                "" | "true" => {}
                "trap" => program.ignores_term = true,
                "echo" => {
                    if program.lines.len() < SIMULATED_LOG_LINES {
                        program.lines.push((at, rest.trim_matches(['"', '\'']).to_owned()));
                    }
                }
                "sleep" => match rest.parse::<f64>().ok().map(Duration::try_from_secs_f64) {
                    Some(Ok(time)) => at += time,
                    _ => return program,
                },
                "exit" => {
                    program.ends = Some((at, rest.parse().unwrap_or(2)));
                    return program;
                }
                "false" => {
                    program.ends = Some((at, 1));
                    return program;
                }
                _ => return program,
            }
        }
        program.ends = Some((at, 0));
        program
    }
}

fn script_of_image(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    let name = name.split([':', '@']).next().unwrap_or(name);
    match name.split('-').next() {
        Some("exit" | "sleep" | "echo") => name.replace('.', ";").replace('-', " "),
        _ => "serve".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(image: &str, command: &[&str]) -> Program {
        Program::of(&ContainerConfig {
            image: image.to_owned(),
            command: command.iter().map(|&word| word.to_owned()).collect(),
            ..ContainerConfig::default()
        })
    }

    #[test]
    fn life_is_read_from_command_or_image() {
        let seconds = Duration::from_secs;
        type Case = (&'static str, &'static [&'static str], Option<(Duration, i32)>);
        let cases: [Case; 8] = [
            ("nginx:1.27", &[], None),
            ("registry:5000/test/exit-3", &[], Some((seconds(0), 3))),
            ("sleep-5.exit-1:v1", &[], Some((seconds(5), 1))),
            ("app", &["sh", "-c", "sleep 2; exit 7"], Some((seconds(2), 7))),
            ("app", &["sleep", "3"], Some((seconds(3), 0))),
            ("app", &["sleep", "infinity"], None),
            ("app", &["/bin/server", "--port", "80"], None),
            ("app", &["false"], Some((seconds(0), 1))),
        ];
        for (image, command, ends) in cases {
            assert_eq!(program(image, command).ends, ends, "{image} {command:?}");
        }
    }

    #[test]
    fn lines_carry_the_time_they_are_printed() {
        let printed = program("app", &["sh", "-c", "echo one; sleep 1.5 && echo 'two words'"]);
        assert_eq!(
            printed.lines,
            [
                (Duration::ZERO, "one".to_owned()),
                (Duration::from_millis(1500), "two words".to_owned())
            ]
        );
    }

    #[test]
    fn trap_makes_deaf_and_an_absent_program_is_named() {
        assert!(program("app", &["sh", "-c", "trap '' TERM; sleep infinity"]).ignores_term);
        assert_eq!(
            program("app", &["/no-such-program"]).missing.as_deref(),
            Some("/no-such-program")
        );
    }
}
