//! Columns and cells of jobs and cron jobs.

use jiff::Timestamp;
use serde_json::Value;

use super::columns::{AGE, NAME, list, word};
use super::{Cell, Column, NONE, age, workload};

/// Jobs.
pub(crate) const JOB: &[Column<'static>] = &[
    NAME,
    Column::new("Status", Cell::Computed(status), "What the job is doing."),
    Column::new("Completions", Cell::Computed(completions), "Pods that succeeded, and wanted."),
    Column::new("Duration", Cell::Computed(duration), "How long it took, or has taken."),
    AGE,
    Column::new("Containers", Cell::Computed(workload::containers), "Its containers.").wide(),
    Column::new("Images", Cell::Computed(workload::images), "Their images.").wide(),
    Column::new("Selector", Cell::Computed(workload::selector), "Which pods belong to it.").wide(),
];

/// Cron jobs.
pub(crate) const CRON_JOB: &[Column<'static>] = &[
    NAME,
    Column::new("Schedule", Cell::Text("/spec/schedule"), "When it runs."),
    Column::new("Timezone", Cell::Text("/spec/timeZone"), "In whose time."),
    Column::new("Suspend", Cell::Computed(suspend), "Whether it is suspended."),
    Column::new("Active", Cell::Computed(active), "Jobs that run now."),
    Column::new("Last Schedule", Cell::Computed(last_schedule), "When it ran last."),
    AGE,
    Column::new("Containers", Cell::Computed(cron_containers), "Its containers.").wide(),
    Column::new("Images", Cell::Computed(cron_images), "Their images.").wide(),
    Column::new("Selector", Cell::Computed(cron_selector), "Which pods belong to it.").wide(),
];

fn has_condition(job: &Value, kind: &str) -> bool {
    let conditions = list(job, "/status/conditions");
    conditions.iter().any(|one| one["type"] == kind && one["status"] == "True")
}

fn status(job: &Value, _now: Timestamp) -> Value {
    let said = ["Complete", "Failed"].into_iter().find(|kind| has_condition(job, kind));
    let ending = job.pointer("/metadata/deletionTimestamp").map(|_| "Terminating");
    let rest = ["Suspended", "FailureTarget"].into_iter().find(|kind| has_condition(job, kind));
    Value::from(said.or(ending).or(rest).unwrap_or("Running"))
}

fn completions(job: &Value, _now: Timestamp) -> Value {
    let number = |at| job.pointer(at).and_then(Value::as_i64);
    let succeeded = number("/status/succeeded").unwrap_or(0);
    Value::from(match (number("/spec/completions"), number("/spec/parallelism")) {
        (Some(wanted), _) => format!("{succeeded}/{wanted}"),
        (None, Some(parallel)) if parallel > 1 => format!("{succeeded}/1 of {parallel}"),
        _ => format!("{succeeded}/1"),
    })
}

fn duration(job: &Value, now: Timestamp) -> Value {
    let time = |at| job.pointer(at).and_then(Value::as_str)?.parse::<Timestamp>().ok();
    let Some(started) = time("/status/startTime") else { return Value::from("") };
    let ended = time("/status/completionTime").unwrap_or(now);
    Value::from(age::duration(ended.duration_since(started).as_secs()))
}

fn suspend(cron: &Value, _now: Timestamp) -> Value {
    word(cron.pointer("/spec/suspend"))
}

fn active(cron: &Value, _now: Timestamp) -> Value {
    Value::from(list(cron, "/status/active").len())
}

fn last_schedule(cron: &Value, now: Timestamp) -> Value {
    match cron.pointer("/status/lastScheduleTime") {
        None => Value::from(NONE),
        last => Value::from(age::since(last, now)),
    }
}

/// A cron job's pods are described one level deeper than a job's.
fn of_template(cron: &Value, now: Timestamp, cell: fn(&Value, Timestamp) -> Value) -> Value {
    cron.pointer("/spec/jobTemplate").map_or(Value::from(NONE), |template| cell(template, now))
}

fn cron_containers(cron: &Value, now: Timestamp) -> Value {
    of_template(cron, now, workload::containers)
}

fn cron_images(cron: &Value, now: Timestamp) -> Value {
    of_template(cron, now, workload::images)
}

fn cron_selector(cron: &Value, now: Timestamp) -> Value {
    of_template(cron, now, workload::selector)
}
