//! What Prometheus reads at `/metrics`: requests by what they ask for, and the cluster as this node
//! sees it. Names are Kubernetes' where it has them.

use std::{fmt, time::Duration};

use prometheus_client::{
    encoding::{
        EncodeLabelSet,
        text::{encode_eof, encode_registry},
    },
    metrics::{
        counter::Counter,
        family::Family,
        gauge::ConstGauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use skein_objects::Text;

use crate::route::{Target, Verb};

/// The form of the answer.
pub(crate) const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the first and of as many classes of durations, each twice the one before: from
/// half a millisecond to half a minute.
const DURATIONS: (f64, f64, u16) = (0.0005, 2.0, 17);

/// A number at this moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gauge {
    /// Its name, in snake case, with its unit.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// The number.
    pub value: f64,
}

/// What a request asks for. All of it comes from the registry of kinds, so there are few.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Asked {
    verb: &'static str,
    group: Text,
    version: Text,
    resource: Text,
    subresource: &'static str,
}

impl Asked {
    pub(crate) fn of(verb: Verb, target: &Target) -> Self {
        let part = target.subresource;
        let verb = match verb {
            _ if part.is_some_and(|part| part.connects()) => "CONNECT",
            Verb::Get => "GET",
            Verb::List => "LIST",
            Verb::Watch => "WATCH",
            Verb::Create => "POST",
            Verb::Update => "PUT",
            Verb::Patch => "PATCH",
            Verb::Delete => "DELETE",
            Verb::DeleteCollection => "DELETECOLLECTION",
        };
        let kind = &target.kind;
        Self {
            verb,
            group: kind.group.clone(),
            version: kind.version.clone(),
            resource: kind.plural.clone(),
            subresource: part.map_or("", |part| part.name()),
        }
    }
}

/// What was asked, and how it was answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    verb: &'static str,
    group: Text,
    version: Text,
    resource: Text,
    subresource: &'static str,
    code: u32,
}

/// The requests served so far.
pub(crate) struct Metrics {
    requests: Family<Answered, Counter>,
    durations: Family<Asked, Histogram, fn() -> Histogram>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self { requests: Family::default(), durations: Family::new_with_constructor(histogram) }
    }

    /// Notes a request that was answered with `code`, after `took` unless the answer goes on.
    pub(crate) fn served(&self, asked: &Asked, code: u16, took: Option<Duration>) {
        let Asked { verb, group, version, resource, subresource } = asked.clone();
        let code = code.into();
        let answered = Answered { verb, group, version, resource, subresource, code };
        self.requests.get_or_create(&answered).inc();
        if let Some(took) = took {
            self.durations.get_or_create(asked).observe(took.as_secs_f64());
        }
    }

    /// Everything as text, with these numbers of the moment and what others count.
    pub(crate) fn encode(&self, gauges: &[Gauge], others: &Registry) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        let requests = "Requests about objects, by what they ask for and how they were answered";
        registry.register("apiserver_request", requests, self.requests.clone());
        let durations = "How long answers took, streams left out";
        registry.register("apiserver_request_duration_seconds", durations, self.durations.clone());
        for gauge in gauges {
            registry.register(gauge.name, gauge.help, ConstGauge::new(gauge.value));
        }
        let mut text = String::new();
        encode_registry(&mut text, &registry)?;
        encode_registry(&mut text, others)?;
        encode_eof(&mut text)?;
        Ok(text)
    }
}

fn histogram() -> Histogram {
    let (first, factor, classes) = DURATIONS;
    Histogram::new(exponential_buckets(first, factor, classes))
}
