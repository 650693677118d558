//! Cron jobs: jobs made by the clock.

use serde_json::Value;

use super::job::validate_job_spec;
use super::workload::{valid_count, validate_not_negative};
use crate::field::{Errors, Field};
use crate::podspec::{self, set, set_text, validate_choice};
use crate::strategy::Strategy;

/// Longest name of a cron job: its jobs' names are eleven characters longer, and labels hold them.
const NAME: usize = 52;

/// Longest part of a time zone's name between two slashes.
const ZONE_PART: usize = 14;

const POLICIES: [&str; 3] = ["Allow", "Forbid", "Replace"];

pub(crate) struct CronJobStrategy;

impl Strategy for CronJobStrategy {
    fn default(&self, object: &mut Value) {
        if let Some(pod) = object.pointer_mut("/spec/jobTemplate/spec/template/spec") {
            podspec::default_pod_spec(pod);
        }
        let Some(spec) = object["spec"].as_object_mut() else { return };
        set_text(spec, "concurrencyPolicy", "Allow");
        set(spec, "suspend", false);
        set(spec, "successfulJobsHistoryLimit", 3);
        set(spec, "failedJobsHistoryLimit", 1);
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let metadata = object.get("metadata");
        let name = metadata.get("name");
        if name.text().len() > NAME {
            errors.invalid(&name, format!("must be no more than {NAME} characters"));
        }
        let spec = object.get("spec");
        let schedule = spec.get("schedule");
        if schedule.is_empty() {
            errors.required(&schedule, "");
        } else if let Err(why) = validate_schedule(schedule.text()) {
            errors.invalid(&schedule, why);
        }
        validate_zone(&spec.get("timeZone"), errors);
        validate_choice(&spec.get("concurrencyPolicy"), &POLICIES, errors);
        validate_not_negative(&spec.get("startingDeadlineSeconds"), errors);
        valid_count(&spec.get("successfulJobsHistoryLimit"), errors);
        valid_count(&spec.get("failedJobsHistoryLimit"), errors);
        let template = spec.get("jobTemplate");
        validate_job_spec(&template.get("spec"), errors);
    }
}

/// Checks the name of a time zone, as far as that goes without the list of them.
fn validate_zone(zone: &Field<'_>, errors: &mut Errors) {
    let name = zone.text();
    let fine = |part: &str| {
        let named = |byte: u8| byte.is_ascii_alphanumeric() || b".-_+".contains(&byte);
        (1..=ZONE_PART).contains(&part.len())
            && part.bytes().all(named)
            && !matches!(part, "." | "..")
            && !part.starts_with('-')
    };
    if !zone.is_set() {
        return;
    }
    if name.is_empty() {
        errors.invalid(zone, "timeZone must be nil or non-empty string");
    } else if name.eq_ignore_ascii_case("Local") {
        errors.invalid(
            zone,
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
        );
    } else if !name.split('/').all(fine) {
        errors.invalid(zone, format!("unknown time zone {name}"));
    }
}

/// A field of a schedule: its least and greatest value, and the names of its values.
type CronField = (u32, u32, &'static [&'static str]);

/// Minutes, hours, days of the month, months, days of the week.
const FIELDS: [CronField; 5] = [
    (0, 59, &[]),
    (0, 23, &[]),
    (1, 31, &[]),
    (1, 12, &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
    (0, 6, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];

const MACROS: [&str; 7] =
    ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/// Checks a schedule as Kubernetes takes it: five fields, or a word for some.
fn validate_schedule(text: &str) -> Result<(), String> {
    if text.contains("TZ") {
        return Err("cannot use TZ or CRON_TZ in schedule, use timeZone field instead".to_owned());
    }
    if let Some(period) = text.strip_prefix("@every ") {
        let fault = format!("failed to parse duration {text}: {period:?} is not like \"1h30m\"");
        return if is_duration(period) { Ok(()) } else { Err(fault) };
    }
    if text.starts_with('@') {
        let known = MACROS.contains(&text);
        return if known { Ok(()) } else { Err(format!("unrecognized descriptor: {text}")) };
    }
    let fields: Vec<&str> = text.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        let found = fields.join(" ");
        return Err(format!("expected exactly 5 fields, found {}: [{found}]", fields.len()));
    }
    for (field, known) in fields.into_iter().zip(FIELDS) {
        for part in field.split(',') {
            validate_part(part, known)?;
        }
    }
    Ok(())
}

/// `5`, `mon-fri`, `*/10`, `8-18/2`.
fn validate_part(part: &str, field: CronField) -> Result<(), String> {
    let (least, most, _) = field;
    let (range, step) = match part.split_once('/') {
        Some((_, step)) if step.contains('/') => return Err(format!("too many slashes: {part}")),
        Some((range, step)) => (range, Some(step)),
        None => (part, None),
    };
    if !matches!(range, "*" | "?") {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let (from, to) = (number(from, field)?, number(to, field)?);
        if from < least {
            return Err(format!("beginning of range ({from}) below minimum ({least}): {part}"));
        }
        if to > most {
            return Err(format!("end of range ({to}) above maximum ({most}): {part}"));
        }
        if from > to {
            return Err(format!("beginning of range ({from}) beyond end of range ({to}): {part}"));
        }
    }
    match step.map(str::parse::<u32>) {
        Some(Ok(1..)) | None => Ok(()),
        Some(_) => Err(format!("step of range should be a positive number: {part}")),
    }
}

/// A number, or the name of one.
fn number(text: &str, (least, _, names): CronField) -> Result<u32, String> {
    let named = names.iter().position(|name| name.eq_ignore_ascii_case(text));
    match named.and_then(|place| u32::try_from(place).ok()) {
        Some(place) => Ok(place + least),
        None => text.parse().map_err(|_| format!("failed to parse int from {text}")),
    }
}

/// A duration as Go writes it: numbers, each with a unit.
fn is_duration(text: &str) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let unit = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let digits = rest.len() - unit.len();
        let after = ["ns", "us", "µs", "ms", "s", "m", "h"]
            .into_iter()
            .filter_map(|name| unit.strip_prefix(name))
            .min_by_key(|after| after.len());
        match after {
            Some(after) if rest[..digits].parse::<f64>().is_ok() => rest = after,
            _ => return false,
        }
    }
    !text.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_those_of_crontab() {
        for good in [
            "* * * * *",
            "*/5 0-6,22 1 jan-MAR sun",
            "0 0 ? * 6",
            "5/15 * * * mon-fri",
            "@daily",
            "@every 1h30m",
            "@every 1.5ms",
        ] {
            assert_eq!(validate_schedule(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
            ("60 * * * *", "end of range (60) above maximum (59): 60"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("1/2/3 * * * *", "too many slashes: 1/2/3"),
            ("* * * * 7", "end of range (7) above maximum (6): 7"),
            ("a * * * *", "failed to parse int from a"),
            ("@often", "unrecognized descriptor: @often"),
            ("@every 5", "failed to parse duration @every 5: \"5\" is not like \"1h30m\""),
            ("@every h", "failed to parse duration @every h: \"h\" is not like \"1h30m\""),
            (
                "TZ=UTC * * * * *",
                "cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
            ),
        ] {
            assert_eq!(validate_schedule(bad), Err(why.to_owned()), "{bad}");
        }
    }
}
