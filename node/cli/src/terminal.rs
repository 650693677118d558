//! Standard output, and whether it may be coloured.

use std::io::{IsTerminal, Write};

use clap::ValueEnum;
use owo_colors::{OwoColorize, Style};

use crate::exit::UsageError;

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What a piece of text means; the palette is here and nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Heading,
    Good,
    Warning,
    Bad,
    Faint,
}

/// Turns tones into escape codes, or into nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Palette {
    enabled: bool,
}

impl Palette {
    /// No colours, whatever the output is.
    #[cfg(test)]
    pub(crate) const PLAIN: Palette = Palette { enabled: false };

    /// Decides by the flag, NO_COLOR and whether the output is a terminal.
    pub(crate) fn choose(choice: ColorChoice, no_color: Option<&str>, is_terminal: bool) -> Self {
        let enabled = match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => is_terminal && no_color.is_none_or(str::is_empty),
        };
        Palette { enabled }
    }

    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        let style = match tone {
            _ if !self.enabled => return text.to_owned(),
            Tone::Plain => return text.to_owned(),
            Tone::Heading => Style::new().bold(),
            Tone::Good => Style::new().green(),
            Tone::Warning => Style::new().yellow(),
            Tone::Bad => Style::new().red(),
            Tone::Faint => Style::new().dimmed(),
        };
        text.style(style).to_string()
    }
}

/// The streams of the process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    /// For standard output.
    pub(crate) palette: Palette,
    error_palette: Palette,
}

impl Terminal {
    pub(crate) fn new(choice: ColorChoice, no_color: Option<&str>) -> Self {
        let palette = |is_terminal| Palette::choose(choice, no_color, is_terminal);
        Terminal {
            palette: palette(std::io::stdout().is_terminal()),
            error_palette: palette(std::io::stderr().is_terminal()),
        }
    }

    /// Writes to standard output, with a line end if there is none.
    pub(crate) fn print(self, text: &str) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        if !text.is_empty() && !text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        out.flush()
    }

    /// Writes bytes to standard output as they are.
    pub(crate) fn write(self, bytes: &[u8]) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()
    }

    /// Asks whether to go on; only `y` or `yes` is consent, and where nobody can be asked there
    /// is none.
    pub(crate) fn confirm(self, question: &str) -> anyhow::Result<bool> {
        if !std::io::stdin().is_terminal() {
            return Err(UsageError::new("nobody can be asked here: give --yes").into());
        }
        let mut out = std::io::stderr().lock();
        write!(out, "{question} [y/N] ")?;
        out.flush()?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        Ok(is_consent(&answer))
    }

    /// Writes a remark to standard error.
    ///
    /// Nowhere is left to report a failure of standard error to, so it is dropped.
    pub(crate) fn note(self, text: &str) {
        let line = self.error_palette.paint(Tone::Faint, text);
        writeln!(std::io::stderr().lock(), "{line}").ok();
    }

    /// Writes an error with its causes to standard error; see [`Terminal::note`] on failure.
    pub(crate) fn error(self, error: &anyhow::Error) {
        let label = self.error_palette.paint(Tone::Bad, "error:");
        writeln!(std::io::stderr().lock(), "{label} {error:#}").ok();
    }
}

fn is_consent(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_only_on_a_terminal_without_no_color() {
        let auto =
            |no_color, terminal| Palette::choose(ColorChoice::Auto, no_color, terminal).enabled;
        assert!(auto(None, true));
        assert!(auto(Some(""), true));
        assert!(!auto(Some("1"), true));
        assert!(!auto(None, false));
        assert!(Palette::choose(ColorChoice::Always, Some("1"), false).enabled);
        assert!(!Palette::choose(ColorChoice::Never, None, true).enabled);
    }

    #[test]
    fn only_a_clear_yes_is_consent() {
        assert!(is_consent("y\n") && is_consent(" YES "));
        assert!(!is_consent("") && !is_consent("yep") && !is_consent("n\n"));
    }

    #[test]
    fn plain_text_carries_no_escape_codes() {
        assert_eq!(Palette::PLAIN.paint(Tone::Bad, "NotReady"), "NotReady");
    }
}
