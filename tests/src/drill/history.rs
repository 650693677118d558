//! What clients did and were told, and whether the state that was found agrees with it.
//!
//! Two kinds of writes show different faults. An object is created once under a name of its own:
//! one that was acknowledged must be there with its content, at the revision told. A counter is
//! raised on the condition that it has not changed since it was read: no two writers may be told
//! of the same value, and no value may exist at two revisions.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

/// When an operation was under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct During {
    /// Just before it was sent.
    pub begun: Instant,
    /// Just after its answer.
    pub ended: Instant,
}

/// What the client was told of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It was carried out; the revision is unknown where only a retry was answered.
    Done(Option<u64>),
    /// It was refused, so nothing may have changed.
    Refused,
    /// Nothing that settles it.
    Nothing,
}

/// One client's attempt to change something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The object.
    pub name: String,
    /// Its content after the write: for a counter its value, for others any text.
    pub content: String,
    /// Who wrote it: unique to the write.
    pub by: String,
    /// When.
    pub during: During,
    /// The answer.
    pub told: Told,
}

/// One object as somebody saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The object.
    pub name: String,
    /// Its content.
    pub content: String,
    /// Whose write that was.
    pub by: String,
    /// Its `resourceVersion`.
    pub revision: u64,
}

/// Everything the clients did.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Objects made once.
    pub creates: Vec<Write>,
    /// Counters raised.
    pub raises: Vec<Write>,
    /// Counters read, as far as the answers claimed to be current.
    pub reads: Vec<(Seen, During)>,
}

impl History {
    /// Adds what another client did.
    pub fn extend(&mut self, other: Self) {
        self.creates.extend(other.creates);
        self.raises.extend(other.raises);
        self.reads.extend(other.reads);
    }

    /// Everything in `found` and in the history that cannot both be true; empty if all is well.
    /// `found` is every object at the end, counters among them.
    pub fn violations(&self, found: &[Seen]) -> Vec<String> {
        let mut violations = Vec::new();
        let by_name: BTreeMap<&str, &Seen> =
            found.iter().map(|seen| (seen.name.as_str(), seen)).collect();
        self.check_creates(&by_name, &mut violations);
        self.check_nothing_invented(found, &mut violations);
        self.check_counters(&by_name, &mut violations);
        self.check_one_revision_each(found, &mut violations);
        self.check_order(&mut violations);
        self.check_reads(&mut violations);
        violations
    }

    fn writes(&self) -> impl Iterator<Item = &Write> {
        self.creates.iter().chain(&self.raises)
    }

    fn check_creates(&self, found: &BTreeMap<&str, &Seen>, violations: &mut Vec<String>) {
        for write in &self.creates {
            let Write { name, content, by, .. } = write;
            match (write.told, found.get(name.as_str())) {
                (Told::Done(_), None) => violations.push(format!("{name} was lost")),
                (Told::Done(revision), Some(seen)) => {
                    if (&seen.content, &seen.by) != (content, by) {
                        violations.push(format!("{name} has the content of {}", seen.by));
                    }
                    if revision.is_some_and(|revision| revision != seen.revision) {
                        violations.push(format!(
                            "{name} was written at {revision:?} and again at {}",
                            seen.revision
                        ));
                    }
                }
                (Told::Refused, Some(seen)) if seen.by == *by => {
                    violations.push(format!("{name} was refused and is there"));
                }
                (Told::Refused | Told::Nothing, _) => {}
            }
        }
    }

    fn check_nothing_invented(&self, found: &[Seen], violations: &mut Vec<String>) {
        let tried: BTreeSet<(&str, &str, &str)> = self
            .writes()
            .map(|write| (write.name.as_str(), write.content.as_str(), write.by.as_str()))
            .collect();
        let seen = found.iter().chain(self.reads.iter().map(|(seen, _)| seen));
        let first = |seen: &&Seen| !seen.by.is_empty();
        for seen in seen.filter(first) {
            let Seen { name, content, by, .. } = seen;
            if !tried.contains(&(name.as_str(), content.as_str(), by.as_str())) {
                violations.push(format!("nobody wrote {content:?} by {by:?} to {name}"));
            }
        }
    }

    fn check_counters(&self, found: &BTreeMap<&str, &Seen>, violations: &mut Vec<String>) {
        let mut told: BTreeMap<(&str, &str), &str> = BTreeMap::new();
        for write in &self.raises {
            let Write { name, content, by, .. } = write;
            let last = found.get(name.as_str());
            match write.told {
                Told::Done(_) => {
                    if let Some(other) = told.insert((name, content), by) {
                        violations
                            .push(format!("{other} and {by} both raised {name} to {content}"));
                    }
                    let enough = |seen: &&Seen| number(&seen.content) >= number(content);
                    if !last.is_some_and(enough) {
                        violations.push(format!("{name} fell below {content}: {last:?}"));
                    }
                }
                Told::Refused => {
                    let applied = |seen: &&Seen| seen.by == *by;
                    let read = self.reads.iter().map(|(seen, _)| seen);
                    if last.is_some_and(applied) || read.clone().any(|seen| applied(&seen)) {
                        violations.push(format!("{by} was refused and raised {name}"));
                    }
                }
                Told::Nothing => {}
            }
        }
    }

    /// A value that exists at two revisions was written twice, or by two writers.
    fn check_one_revision_each(&self, found: &[Seen], violations: &mut Vec<String>) {
        let told = self.raises.iter().filter_map(|write| match write.told {
            Told::Done(Some(revision)) => Some((&write.name, &write.content, &write.by, revision)),
            _ => None,
        });
        let read = self.reads.iter().map(|(seen, _)| seen).chain(found);
        let read = read.map(|seen| (&seen.name, &seen.content, &seen.by, seen.revision));
        let mut known: BTreeMap<(&str, &str), (&str, u64)> = BTreeMap::new();
        for (name, content, by, revision) in told.chain(read) {
            let first = *known.entry((name, content)).or_insert((by, revision));
            if first != (by.as_str(), revision) {
                violations.push(format!(
                    "{name} was {content} by {first:?} and also by {:?}",
                    (by, revision)
                ));
            }
        }
    }

    /// What ended before something else began has the lower revision.
    fn check_order(&self, violations: &mut Vec<String>) {
        let mut done: Vec<(During, u64, &str)> = self
            .writes()
            .filter_map(|write| match write.told {
                Told::Done(Some(revision)) => Some((write.during, revision, write.by.as_str())),
                _ => None,
            })
            .collect();
        let mut ends: Vec<(Instant, u64, &str)> =
            done.iter().map(|(during, revision, by)| (during.ended, *revision, *by)).collect();
        done.sort_by_key(|(during, ..)| during.begun);
        ends.sort_by_key(|(ended, ..)| *ended);
        let (mut ends, mut highest) = (ends.into_iter().peekable(), (0, ""));
        for (during, revision, by) in done {
            while let Some((_, before, who)) = ends.next_if(|(ended, ..)| *ended < during.begun) {
                highest = highest.max((before, who));
            }
            if highest.0 >= revision {
                violations
                    .push(format!("{by} came after {} and has revision {revision}", highest.1));
            }
        }
    }

    /// A read sees everything that was acknowledged before it began.
    fn check_reads(&self, violations: &mut Vec<String>) {
        for (seen, during) in &self.reads {
            let before = self.raises.iter().filter(|write| {
                write.name == seen.name
                    && matches!(write.told, Told::Done(_))
                    && write.during.ended < during.begun
            });
            let newest = before.map(|write| number(&write.content)).max().unwrap_or_default();
            if number(&seen.content) < newest {
                let Seen { name, content, .. } = seen;
                violations.push(format!("{name} was read as {content} after it was {newest}"));
            }
        }
    }
}

/// A counter's value; zero before it was ever raised.
fn number(content: &str) -> u64 {
    content.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests;
