//! Versions of custom resources that webhooks make.
//!
//! Objects go out in batches, a few at a time; one that is slow or refuses fails those who asked for
//! its objects in other versions than the one stored, and nobody else.

mod shared;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};
use skein_objects::{Conversion, Kind, StatusError};
use skein_storage::{Converter, Kinds};

use crate::{limits, webhook::Webhooks};
pub(crate) use shared::SharedConversions;

/// Converts by asking the webhook of the definition.
pub(crate) struct WebhookConverter {
    webhooks: Webhooks,
    kinds: Kinds,
}

/// Objects that go out together, and their bytes.
#[derive(Default)]
struct Batch {
    objects: Vec<Value>,
    texts: Vec<Box<RawValue>>,
    bytes: usize,
}

impl WebhookConverter {
    /// Asks whom the definitions name that `kinds` come from.
    pub(crate) fn new(webhooks: Webhooks, kinds: Kinds) -> Self {
        Self { webhooks, kinds }
    }

    async fn ask(
        &self,
        conversion: &Conversion,
        to: &str,
        batch: Batch,
    ) -> Result<Vec<Value>, StatusError> {
        let uid = uuid::Uuid::new_v4().to_string();
        let Batch { objects, texts, .. } = batch;
        let review = Bytes::from(Conversion::review(&uid, to, &texts)?);
        let answer = self.webhooks.call(conversion.webhook(), review, limits::WEBHOOK).await;
        let answer = answer.map_err(|error| Conversion::failed(&objects, error))?;
        conversion.converted(&objects, &uid, to, &answer)
    }
}

#[async_trait::async_trait]
impl Converter for WebhookConverter {
    async fn convert(
        &self,
        kind: &Kind,
        to: &str,
        objects: Vec<Value>,
    ) -> Result<Vec<Value>, StatusError> {
        // A watch may have begun before the webhook moved or got another certificate.
        let registry = self.kinds.current();
        let current = registry.by_kind(&kind.group, &kind.version, &kind.kind);
        let conversion = current.and_then(|kind| kind.conversion()).or(kind.conversion());
        let conversion = conversion.ok_or_else(|| StatusError::internal("nothing converts"))?;
        let batches = batches(conversion, objects)?;
        let calls: Vec<_> =
            batches.into_iter().map(|batch| self.ask(conversion, to, batch)).collect();
        stream::iter(calls).buffered(limits::CONVERSION_BATCHES).try_concat().await
    }
}

/// Objects as they are sent, in batches of a bounded size.
fn batches(conversion: &Conversion, objects: Vec<Value>) -> Result<Vec<Batch>, StatusError> {
    let mut batches: Vec<Batch> = Vec::new();
    for mut object in objects {
        conversion.complete(&mut object);
        let text = to_raw_value(&object).map_err(StatusError::internal)?;
        let bytes = text.get().len();
        let has_room = |batch: &mut Batch| {
            batch.objects.len() < limits::CONVERSION_OBJECTS
                && batch.bytes + bytes <= limits::CONVERSION_BYTES
        };
        let mut batch = batches.pop_if(has_room).unwrap_or_default();
        batch.bytes += bytes;
        batch.objects.push(object);
        batch.texts.push(text);
        batches.push(batch);
    }
    Ok(batches)
}
