//! Which page of a list, of which revision, and how it is read.
//!
//! What the parameters mean together follows "Resource versions" of Kubernetes' API concepts.

use std::sync::Arc;

use skein_consensus::{Consistency, Key, ListOptions, Record, Revision};
use skein_objects::{Kind, Reason, Scope, StatusError};
use skein_storage::Storage;

use crate::{
    call::Call,
    filter::Filter,
    form::ListMeta,
    limits,
    query::{Query, Version},
};

/// Which page of a list, of which revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::verbs) struct PageOptions {
    /// At most this many, all if zero.
    limit: usize,
    /// Where the page before ended.
    after: Option<Key>,
    /// The revision to show; whatever `consistency` gives where there is none.
    at: Option<Revision>,
    consistency: Consistency,
}

/// Objects and what the list says about itself.
pub(in crate::verbs) struct Page {
    pub(in crate::verbs) records: Vec<Arc<Record>>,
    pub(in crate::verbs) meta: ListMeta,
}

/// What a `continue` token says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    /// Where the page before ended.
    after: Key,
    /// The revision of the first page; without one the list goes on in the present.
    at: Option<Revision>,
}

impl PageOptions {
    /// Everything on one page.
    pub(in crate::verbs) fn all(consistency: Consistency) -> Self {
        Self { limit: 0, after: None, at: None, consistency }
    }

    /// What `call` asks for.
    pub(super) fn read(call: &Call) -> Result<Self, StatusError> {
        let query = &call.query;
        let (limit, version) = (query.number("limit")?.unwrap_or(0), query.version()?);
        let freshness = call.consistency(version);
        if let Some(token) = query.get("continue") {
            check_alone(query, version)?;
            let namespace = call.target.namespace.as_deref();
            let Token { after, at } = parse(&call.target.kind, namespace, token)?;
            let consistency = at.map_or(freshness, |at| reach(call, at));
            return Ok(Self { limit, after: Some(after), at, consistency });
        }
        check_match(query, version)?;
        match version {
            Version::At(revision) if is_exact(query, limit) => Ok(Self {
                limit,
                after: None,
                at: Some(revision),
                consistency: reach(call, revision),
            }),
            _ => Ok(Self { limit, after: None, at: None, consistency: freshness }),
        }
    }
}

/// How to find a replica that has come to `revision`: without a quorum none is waited for.
fn reach(call: &Call, revision: Revision) -> Consistency {
    if call.stale { Consistency::Any } else { Consistency::AtLeast(revision) }
}

/// Whether the `resourceVersion` is that of the list, not the oldest that will do.
fn is_exact(query: &Query, limit: usize) -> bool {
    match query.get("resourceVersionMatch") {
        Some(how) => how == "Exact",
        None => limit > 0,
    }
}

/// A token has a revision of its own.
fn check_alone(query: &Query, version: Version) -> Result<(), StatusError> {
    if query.get("resourceVersionMatch").is_some() {
        return Err(StatusError::bad_request(
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is \
             provided",
        ));
    }
    match version {
        Version::Latest | Version::Any => Ok(()),
        Version::At(_) => Err(StatusError::bad_request(
            "specifying resource version is not allowed when using continue",
        )),
    }
}

/// `resourceVersionMatch` needs a `resourceVersion`, and only two ways of matching exist.
fn check_match(query: &Query, version: Version) -> Result<(), StatusError> {
    let refused = |why: &str| {
        Err(StatusError::bad_request(format!("resourceVersionMatch: Forbidden: {why}")))
    };
    match (query.get("resourceVersionMatch"), version) {
        (None, _) | (Some("NotOlderThan"), Version::Any | Version::At(_)) => Ok(()),
        (Some("Exact"), Version::At(_)) => Ok(()),
        (Some("Exact"), Version::Any) => {
            refused("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"")
        }
        (Some("Exact" | "NotOlderThan"), Version::Latest) => {
            refused("resourceVersionMatch is forbidden unless resourceVersion is provided")
        }
        (Some(_), _) => refused("supported values: \"Exact\", \"NotOlderThan\""),
    }
}

/// Tokens are `REVISION.NAMESPACE/NAME`: the revision of the first page, which all pages show, and
/// where this one ended. One without a revision goes on in the present, at a revision that the
/// pages after it share.
fn write(key: &Key, at: Option<Revision>) -> String {
    let at = at.map(|revision| revision.to_string()).unwrap_or_default();
    format!("{at}.{}/{}", key.namespace, key.name)
}

/// Reads a token of a list of `kind` in `namespace`, or in all. Nothing was ever at revision zero.
fn parse(kind: &Kind, namespace: Option<&str>, token: &str) -> Result<Token, StatusError> {
    let read = || {
        let (revision, key) = token.split_once('.')?;
        let (within, name) = key.split_once('/')?;
        let at = match revision {
            "" => None,
            revision => Some(Revision(revision.parse().ok().filter(|revision| *revision > 0)?)),
        };
        Some(Token { after: Key::new(kind.store_resource(), within, name), at })
    };
    let token = read().ok_or_else(|| {
        StatusError::bad_request("continue key is not valid: it was not given by this server")
    })?;
    let within = &*token.after.namespace;
    let fits = match (kind.scope, namespace) {
        (Scope::Cluster, _) => within.is_empty(),
        (Scope::Namespaced, None) => !within.is_empty(),
        (Scope::Namespaced, Some(namespace)) => within == namespace,
    };
    if fits {
        Ok(token)
    } else {
        Err(StatusError::bad_request("continue key is not valid: it is that of another list"))
    }
}

/// Reads a page of what `filter` lets through, in the version of `kind`.
pub(in crate::verbs) async fn collect(
    storage: &Storage,
    kind: &Arc<Kind>,
    namespace: Option<&str>,
    filter: &Filter,
    options: PageOptions,
) -> Result<Page, StatusError> {
    let is_filtered = !filter.is_empty();
    let step = match options.limit {
        0 => 0,
        _ if is_filtered => limits::PAGE,
        limit => limit,
    };
    let PageOptions { limit, mut after, mut at, mut consistency } = options.clone();
    let mut records: Vec<Arc<Record>> = Vec::new();
    loop {
        let read = ListOptions { limit: step, after, at };
        let list = storage.list(kind, namespace, read, consistency).await;
        let list = list.map_err(|error| explain(error, &options))?;
        let revision = list.revision;
        if at.is_none() {
            (at, consistency) = (Some(revision), Consistency::AtLeast(revision));
        }
        after = list.records.last().map(|record| record.key.clone());
        let mut named = list.records;
        named.retain(|record| filter.names(&record.key));
        let mut found = storage.in_version(kind, named).await?.into_iter();
        let wanted = if limit == 0 { usize::MAX } else { limit - records.len() };
        records.extend(found.by_ref().filter(|record| filter.matches(record)).take(wanted));
        let is_full = limit != 0 && records.len() >= limit;
        let is_more = list.remaining > 0 || found.len() > 0;
        if !is_more || is_full {
            let last = records.last().filter(|_| is_more);
            let meta = ListMeta {
                revision,
                next: last.map(|last| write(&last.key, Some(revision))),
                remaining: (is_more && !is_filtered).then_some(list.remaining),
            };
            return Ok(Page { records, meta });
        }
    }
}

/// What it means to a client that the revision of its list cannot be shown. One that continues may
/// go on in the present, also where all the replicas left after the quorum are behind.
fn explain(error: StatusError, options: &PageOptions) -> StatusError {
    let is_behind =
        error.reason == Reason::ServiceUnavailable && options.consistency == Consistency::Any;
    match (&options.after, options.at, error.reason) {
        (Some(after), Some(_), reason) if reason == Reason::Expired || is_behind => {
            StatusError::expired(INCONSISTENT).resume_with(write(after, None))
        }
        (_, Some(_), Reason::Expired) => {
            StatusError::expired("The resourceVersion for the provided list is too old.")
        }
        _ => error,
    }
}

/// The sentence of Kubernetes, which people search for.
const INCONSISTENT: &str = "The provided continue parameter is too old to display a consistent \
    list result. You can start a new list without the continue parameter, or use the continue \
    token in this response to retrieve the remainder of the results. Continuing with the provided \
    token results in an inconsistent list - objects that were created, modified, or deleted \
    between the time the first chunk was returned and now may show up in the list.";

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Node, Pod};
    use skein_objects::registry;

    use super::*;

    #[test]
    fn continue_tokens_read_back() {
        let kind = registry().of::<Pod>();
        let after = Key::new(kind.store_resource(), "default", "web.1");
        for at in [Some(Revision(7)), None] {
            let token = Token { after: after.clone(), at };
            let text = write(&after, at);
            assert_eq!(parse(kind, Some("default"), &text), Ok(token.clone()));
            assert_eq!(parse(kind, None, &text), Ok(token));
        }
    }

    #[test]
    fn tokens_that_no_page_of_the_list_has_had_are_refused() {
        let (pods, nodes) = (registry().of::<Pod>(), registry().of::<Node>());
        let code = |kind, namespace, token| {
            parse(kind, namespace, token).map(|_| ()).map_err(|error| error.code)
        };
        for token in ["nonsense", "7", "7.web", "0.default/web", "-1.default/web", "x.default/web"]
        {
            assert_eq!(code(pods, None, token), Err(400), "{token}");
        }
        assert_eq!(code(pods, Some("other"), "7.default/web"), Err(400));
        assert_eq!(code(pods, None, "7./h1"), Err(400));
        assert_eq!(code(nodes, None, "7.default/web"), Err(400));
        assert_eq!(code(nodes, None, "7./h1"), Ok(()));
    }

    #[test]
    fn matching_a_version_needs_one() {
        let check = |query: &str| {
            let query = Query::parse(Some(query));
            check_match(&query, query.version().unwrap()).map_err(|error| error.code)
        };
        assert_eq!(check("resourceVersion=5&resourceVersionMatch=Exact"), Ok(()));
        assert_eq!(check("resourceVersion=0&resourceVersionMatch=NotOlderThan"), Ok(()));
        assert_eq!(check("resourceVersionMatch=Exact"), Err(400));
        assert_eq!(check("resourceVersion=5&resourceVersionMatch=Sometimes"), Err(400));
    }

    #[test]
    fn a_version_beside_a_token_is_refused_but_zero() {
        let check = |query: &str| {
            let query = Query::parse(Some(query));
            check_alone(&query, query.version().unwrap()).map_err(|error| error.code)
        };
        assert_eq!(check(""), Ok(()));
        assert_eq!(check("resourceVersion=0"), Ok(()));
        assert_eq!(check("resourceVersion=5"), Err(400));
        assert_eq!(check("resourceVersion=0&resourceVersionMatch=NotOlderThan"), Err(400));
    }

    #[test]
    fn a_limited_list_at_a_version_is_of_that_version_unless_it_says_otherwise() {
        let exact = |query: &str, limit| is_exact(&Query::parse(Some(query)), limit);
        assert!(exact("resourceVersionMatch=Exact", 0) && exact("", 5));
        assert!(!exact("resourceVersionMatch=NotOlderThan", 5) && !exact("", 0));
    }
}
