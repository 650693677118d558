use std::time::Duration;

use super::*;

/// A history of which each case spoils one thing.
struct Story {
    start: Instant,
    history: History,
    found: Vec<Seen>,
}

fn seen(name: &str, content: &str, by: &str, revision: u64) -> Seen {
    Seen { name: name.into(), content: content.into(), by: by.into(), revision }
}

impl Story {
    fn during(&self, begun: u64, ended: u64) -> During {
        let at = |ms: u64| self.start + Duration::from_millis(ms);
        During { begun: at(begun), ended: at(ended) }
    }

    fn write(&self, name: &str, content: &str, by: &str, span: (u64, u64), told: Told) -> Write {
        let during = self.during(span.0, span.1);
        Write { name: name.into(), content: content.into(), by: by.into(), during, told }
    }

    /// Two objects made, a third of which nobody knows; a counter raised twice and read.
    fn good() -> Self {
        let mut story =
            Self { start: Instant::now(), history: History::default(), found: Vec::new() };
        let done = |revision| Told::Done(Some(revision));
        story.history.creates = vec![
            story.write("a", "1", "w1", (0, 10), done(5)),
            story.write("b", "2", "w2", (20, 30), done(7)),
            story.write("c", "3", "w3", (40, 90), Told::Nothing),
        ];
        story.history.raises = vec![
            story.write("n", "1", "r1", (5, 15), done(6)),
            story.write("n", "2", "r2", (20, 35), done(8)),
            story.write("n", "2", "r3", (21, 36), Told::Refused),
        ];
        story.history.reads = vec![(seen("n", "2", "r2", 8), story.during(50, 60))];
        story.found = vec![
            seen("a", "1", "w1", 5),
            seen("b", "2", "w2", 7),
            seen("c", "3", "w3", 9),
            seen("n", "2", "r2", 8),
        ];
        story
    }

    fn violations(&self) -> Vec<String> {
        self.history.violations(&self.found)
    }
}

#[test]
fn a_history_that_agrees_has_no_violation() {
    assert_eq!(Story::good().violations(), Vec::<String>::new());
    let mut story = Story::good();
    story.found.remove(2);
    assert_eq!(story.violations(), Vec::<String>::new(), "an unsettled write may be missing");
}

type Spoil = fn(&mut Story);

#[test]
fn each_way_to_be_wrong_is_found() {
    let cases: [(&str, Spoil, &str); 10] = [
        ("lost create", |story| drop(story.found.remove(0)), "a was lost"),
        ("other content", |story| story.found[1].content = "9".into(), "b has the content"),
        ("create applied twice", |story| story.found[0].revision = 11, "written at"),
        (
            "refused create applied",
            |story| story.history.creates[2].told = Told::Refused,
            "c was refused and is there",
        ),
        ("invented object", |story| story.found.push(seen("z", "0", "w9", 12)), "nobody wrote"),
        (
            "lost update",
            |story| story.history.raises[2].told = Told::Done(Some(10)),
            "both raised n to 2",
        ),
        ("lost raise", |story| story.found[3] = seen("n", "1", "r1", 6), "n fell below 2"),
        (
            "raise applied twice",
            |story| story.found[3].revision = 10,
            "n was 2 by (\"r2\", 8) and also by (\"r2\", 10)",
        ),
        (
            "revision backwards",
            |story| {
                story.history.creates[1].told = Told::Done(Some(4));
                story.found[1].revision = 4;
            },
            "w2 came after",
        ),
        (
            "stale read",
            |story| story.history.reads[0].0 = seen("n", "1", "r1", 6),
            "read as 1 after it was 2",
        ),
    ];
    for (what, spoil, expected) in cases {
        let mut story = Story::good();
        spoil(&mut story);
        let violations = story.violations();
        let found = violations.iter().any(|violation| violation.contains(expected));
        assert!(found, "{what}: {violations:?}");
    }
}

#[test]
fn a_refused_raise_that_was_read_is_found() {
    let mut story = Story::good();
    let during = story.during(37, 39);
    story.history.reads.push((seen("n", "2", "r3", 9), during));
    let violations = story.violations();
    assert!(violations.iter().any(|one| one.contains("r3 was refused")), "{violations:?}");
}
