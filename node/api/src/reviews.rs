//! Reviews: questions in the form of objects that are answered and never kept: may somebody do
//! this, and who am I.

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use skein_objects::{Reason, StatusError, parse};

use crate::{
    access::{self, Action, Object, Rules},
    body::{self, RequestBody},
    identity::Identity,
    media::{self, BodyType},
    reply::{self, Reply},
    service::Service,
    tokens::{Doubt, ISSUER, Proof},
};

const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";

/// The version of all reviews.
pub(crate) const VERSION: &str = "v1";

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
    /// The review that the rest of a path below a group and version names, and its namespace.
    pub(crate) fn find(
        group: &str,
        version: &str,
        rest: &[&str],
    ) -> Option<(&'static Self, String)> {
        let (plural, namespace) = match rest {
            [plural] => (*plural, ""),
            ["namespaces", namespace, plural] => (*plural, *namespace),
            _ => return None,
        };
        let found = REVIEWS.iter().find(|review| {
            (review.group, VERSION, review.plural, review.namespaced)
                == (group, version, plural, !namespace.is_empty())
        });
        found.map(|review| (review, namespace.to_owned()))
    }

    /// The reviews of a group.
    pub(crate) fn of_group(group: &str, version: &str) -> impl Iterator<Item = &'static Self> {
        REVIEWS.iter().filter(move |review| (review.group, VERSION) == (group, version))
    }

    fn api_version(&self) -> String {
        format!("{}/{VERSION}", self.group)
    }

    /// What asking is to the one who decides whether it is allowed.
    pub(crate) fn action<'a>(&self, namespace: &'a str) -> Action<'a> {
        let (group, resource, subresource, name) = (self.group, self.plural, "", "");
        let object = Object::Resource { group, resource, subresource, namespace, name };
        Action { verb: "create", object }
    }

    /// Answers the review in the body.
    pub(crate) async fn answer(
        &self,
        service: &Service,
        identity: &Identity,
        namespace: &str,
        headers: &HeaderMap,
        body: RequestBody,
    ) -> Result<Reply, StatusError> {
        let mut review = self.read(headers, body).await?;
        if self.namespaced && review["spec"]["resourceAttributes"]["namespace"] != namespace {
            return Err(self.invalid(
                "spec.resourceAttributes.namespace",
                "must match metadata.namespace, the one in the path",
            ));
        }
        let status = self.status(service, identity, &review["spec"]).await?;
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

    /// What there is to say.
    async fn status(
        &self,
        service: &Service,
        identity: &Identity,
        spec: &Value,
    ) -> Result<Value, StatusError> {
        match self.question {
            Question::WhoAmI => Ok(json!({"userInfo": identity.user_info()})),
            Question::WhoseToken if text(&spec["token"]).is_empty() => {
                Err(self.invalid("spec.token", "must be specified"))
            }
            Question::WhoseToken => whose_token(service, spec).await,
            Question::WhatMayI if access::may_do_everything(identity) => Ok(json!({
                "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
                "incomplete": false,
            })),
            Question::WhatMayI => {
                let namespace = text(&spec["namespace"]);
                Ok(Rules::of(&service.storage, identity, namespace).await?.review())
            }
            Question::MayI => self.may(service, identity, spec).await,
            Question::MayThey => {
                if text(&spec["user"]).is_empty() && texts(&spec["groups"]).is_empty() {
                    return Err(self
                        .invalid("spec.user", "at least one of user or group must be specified"));
                }
                let identity = Identity {
                    user: text(&spec["user"]).to_owned(),
                    groups: texts(&spec["groups"]),
                    ..Identity::default()
                };
                self.may(service, &identity, spec).await
            }
        }
    }

    /// Whether somebody may do what the spec says.
    async fn may(
        &self,
        service: &Service,
        identity: &Identity,
        spec: &Value,
    ) -> Result<Value, StatusError> {
        self.check_attributes(spec)?;
        let action = action_of(spec);
        let allowed = access::allows(&service.storage, identity, &action).await?;
        let reason = match (allowed, access::may_do_everything(identity)) {
            (true, true) => "who has a certificate of the cluster may do everything",
            (true, false) => "a role that is bound allows it",
            (false, _) => "no role that is bound allows it",
        };
        Ok(json!({"allowed": allowed, "reason": reason}))
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

/// What the attributes of a question describe.
fn action_of(spec: &Value) -> Action<'_> {
    let (objects, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    if objects.is_null() {
        return Action { verb: text(&path["verb"]), object: Object::Path(text(&path["path"])) };
    }
    let object = Object::Resource {
        group: text(&objects["group"]),
        resource: text(&objects["resource"]),
        subresource: text(&objects["subresource"]),
        namespace: text(&objects["namespace"]),
        name: text(&objects["name"]),
    };
    Action { verb: text(&objects["verb"]), object }
}

/// Whom a token proves its holder to be.
async fn whose_token(service: &Service, spec: &Value) -> Result<Value, StatusError> {
    let mut audiences = texts(&spec["audiences"]);
    if audiences.is_empty() {
        audiences = vec![ISSUER.to_owned()];
    }
    let (storage, cluster) = (&service.storage, service.cluster.as_ref());
    match service.tokens.judge(storage, cluster, text(&spec["token"]), &audiences).await {
        Ok(Proof { identity, audiences }) => Ok(json!({
            "authenticated": true, "user": identity.user_info(), "audiences": audiences,
        })),
        Err(Doubt::Rejected(why)) => Ok(json!({"authenticated": false, "error": why})),
        Err(Doubt::Unknown(error)) => Err(error),
    }
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|one| text(one).to_owned()).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
