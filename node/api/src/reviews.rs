//! Reviews: questions in the form of objects that are answered and never kept: may somebody do
//! this, and who am I.

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use skein_objects::{Reason, StatusError, parse};

use crate::{
    body::{self, RequestBody},
    identity::Identity,
    media::{self, BodyType},
    reply::{self, Reply},
};

const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";

/// The version of all reviews.
pub(crate) const VERSION: &str = "v1";

/// Whom every client with a certificate of the cluster is one of.
const AUTHENTICATED: &str = "system:authenticated";

/// A kind of review, as data.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Review {
    pub(crate) group: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) singular: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) namespaced: bool,
    question: Question,
}

#[derive(Debug, PartialEq, Eq)]
enum Question {
    WhoAmI,
    WhoseToken,
    MayI,
    MayThey,
    WhatMayI,
}

/// All kinds of reviews, by group.
pub(crate) static REVIEWS: [Review; 6] = [
    Review {
        group: AUTHENTICATION,
        plural: "selfsubjectreviews",
        singular: "selfsubjectreview",
        kind: "SelfSubjectReview",
        namespaced: false,
        question: Question::WhoAmI,
    },
    Review {
        group: AUTHENTICATION,
        plural: "tokenreviews",
        singular: "tokenreview",
        kind: "TokenReview",
        namespaced: false,
        question: Question::WhoseToken,
    },
    Review {
        group: AUTHORIZATION,
        plural: "localsubjectaccessreviews",
        singular: "localsubjectaccessreview",
        kind: "LocalSubjectAccessReview",
        namespaced: true,
        question: Question::MayThey,
    },
    Review {
        group: AUTHORIZATION,
        plural: "selfsubjectaccessreviews",
        singular: "selfsubjectaccessreview",
        kind: "SelfSubjectAccessReview",
        namespaced: false,
        question: Question::MayI,
    },
    Review {
        group: AUTHORIZATION,
        plural: "selfsubjectrulesreviews",
        singular: "selfsubjectrulesreview",
        kind: "SelfSubjectRulesReview",
        namespaced: false,
        question: Question::WhatMayI,
    },
    Review {
        group: AUTHORIZATION,
        plural: "subjectaccessreviews",
        singular: "subjectaccessreview",
        kind: "SubjectAccessReview",
        namespaced: false,
        question: Question::MayThey,
    },
];

impl Review {
    /// The review that the rest of a path below a group and version names.
    pub(crate) fn find(group: &str, version: &str, rest: &[&str]) -> Option<&'static Self> {
        let (plural, namespaced) = match rest {
            [plural] => (*plural, false),
            ["namespaces", _, plural] => (*plural, true),
            _ => return None,
        };
        REVIEWS.iter().find(|review| {
            (review.group, VERSION, review.plural, review.namespaced)
                == (group, version, plural, namespaced)
        })
    }

    /// The reviews of a group.
    pub(crate) fn of_group(group: &str, version: &str) -> impl Iterator<Item = &'static Self> {
        REVIEWS.iter().filter(move |review| (review.group, VERSION) == (group, version))
    }

    fn api_version(&self) -> String {
        format!("{}/{VERSION}", self.group)
    }

    /// Answers the review in the body.
    pub(crate) async fn answer(
        &self,
        identity: &Identity,
        headers: &HeaderMap,
        body: RequestBody,
    ) -> Result<Reply, StatusError> {
        let mut review = self.read(headers, body).await?;
        let status = self.status(identity, &review["spec"])?;
        review["apiVersion"] = json!(self.api_version());
        review["kind"] = json!(self.kind);
        review["status"] = status;
        Ok(reply::json_value(StatusCode::CREATED, &review))
    }

    async fn read(&self, headers: &HeaderMap, body: RequestBody) -> Result<Value, StatusError> {
        let body_type = media::body_type(headers)?;
        let bytes = body::read(headers, body).await?;
        let review = match body_type {
            BodyType::Protobuf => skein_protobuf::decode(&bytes)
                .map_err(|error| StatusError::bad_request(error.to_string()))?,
            BodyType::Text(media) => parse(&bytes, media)?,
        };
        let is = |name: &str, wanted: &str| review[name].is_null() || review[name] == wanted;
        if !review.is_object() || !is("kind", self.kind) || !is("apiVersion", &self.api_version()) {
            return Err(StatusError::bad_request(format!(
                "the object provided is unrecognized (must be of type {})",
                self.kind
            )));
        }
        Ok(review)
    }

    /// What there is to say. Until roles exist it follows from [`crate::access::authorize`], which
    /// refuses nobody who is known.
    fn status(&self, identity: &Identity, spec: &Value) -> Result<Value, StatusError> {
        let allowed =
            || json!({"allowed": true, "reason": "every client of the cluster may do everything"});
        Ok(match self.question {
            Question::WhoAmI => {
                let groups: Vec<&str> =
                    identity.groups.iter().map(String::as_str).chain([AUTHENTICATED]).collect();
                json!({"userInfo": {"username": identity.user, "groups": groups}})
            }
            Question::WhoseToken if text(&spec["token"]).is_empty() => {
                return Err(self.invalid("spec.token", "must be specified"));
            }
            Question::WhoseToken => {
                json!({"authenticated": false, "error": "this cluster accepts certificates, not tokens"})
            }
            Question::WhatMayI => json!({
                "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
                "incomplete": false,
            }),
            Question::MayI => {
                self.check_attributes(spec)?;
                allowed()
            }
            Question::MayThey => {
                self.check_attributes(spec)?;
                if text(&spec["user"]).is_empty() && spec["groups"].is_null() {
                    return Err(self
                        .invalid("spec.user", "at least one of user or group must be specified"));
                }
                allowed()
            }
        })
    }

    /// A question about access is about objects or about a path.
    fn check_attributes(&self, spec: &Value) -> Result<(), StatusError> {
        match (spec["resourceAttributes"].is_null(), spec["nonResourceAttributes"].is_null()) {
            (true, true) => Err(self.invalid(
                "spec.resourceAttributes",
                "exactly one of nonResourceAttributes or resourceAttributes must be specified",
            )),
            (false, false) => Err(self.invalid(
                "spec.nonResourceAttributes",
                "cannot be specified in combination with resourceAttributes",
            )),
            _ => Ok(()),
        }
    }

    fn invalid(&self, field: &str, rule: &str) -> StatusError {
        let message = format!("{} is invalid: {field}: Invalid value: {rule}", self.kind);
        StatusError::new(Reason::Invalid, message)
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_answered_or_told_what_it_lacks() {
        let identity = Identity { user: "jo".to_owned(), groups: vec!["ops".to_owned()] };
        let answer = |kind: &str, spec: Value| {
            let review = REVIEWS.iter().find(|review| review.kind == kind).unwrap();
            review.status(&identity, &spec).map_err(|error| error.message)
        };
        let (pods, path) =
            (json!({"verb": "get", "resource": "pods"}), json!({"path": "/metrics"}));
        let said = answer("SelfSubjectReview", json!({})).unwrap();
        assert_eq!(said["userInfo"], json!({"username": "jo", "groups": ["ops", AUTHENTICATED]}));
        let may = |kind, spec| answer(kind, spec).map(|said| said["allowed"] == true);
        assert_eq!(may("SelfSubjectAccessReview", json!({"resourceAttributes": pods})), Ok(true));
        assert_eq!(
            may("SelfSubjectAccessReview", json!({"nonResourceAttributes": path})),
            Ok(true)
        );
        let about = json!({"user": "al", "resourceAttributes": pods});
        assert_eq!(may("SubjectAccessReview", about), Ok(true));
        assert_eq!(answer("TokenReview", json!({"token": "x"})).unwrap()["authenticated"], false);
        let broken = [
            ("SelfSubjectAccessReview", json!({}), "exactly one of"),
            (
                "SelfSubjectAccessReview",
                json!({"resourceAttributes": pods,
                "nonResourceAttributes": path}),
                "in combination",
            ),
            ("SubjectAccessReview", json!({"resourceAttributes": pods}), "spec.user"),
            ("TokenReview", json!({}), "spec.token"),
        ];
        for (kind, spec, why) in broken {
            let said = answer(kind, spec).unwrap_err();
            assert!(said.contains(why), "{kind}: {said}");
        }
    }
}
