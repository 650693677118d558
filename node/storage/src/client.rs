//! The typed face of [`Storage`].

use std::{marker::PhantomData, sync::Arc};

use k8s_openapi::{Metadata, Resource, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use skein_consensus::{Consistency, ListOptions};
use skein_objects::{Kind, Part, Reason, StatusError, registry};

use crate::{DeleteOptions, Deleted, Storage, WriteOptions};

/// Objects of type `T`. Cheap to clone.
pub struct Client<T> {
    storage: Storage,
    object: PhantomData<fn() -> T>,
}

impl<T> Clone for Client<T> {
    fn clone(&self) -> Self {
        Self::new(self.storage.clone())
    }
}

impl<T> Client<T> {
    pub(crate) fn new(storage: Storage) -> Self {
        Self { storage, object: PhantomData }
    }

    /// The untyped storage behind it.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }
}

impl<T> Client<T>
where
    T: Resource + Metadata<Ty = ObjectMeta> + Serialize + DeserializeOwned,
{
    /// The kind of `T`.
    pub fn kind(&self) -> &'static Arc<Kind> {
        registry().of::<T>()
    }

    /// Reads one object, fresh; `None` where there is none.
    ///
    /// # Errors
    /// As [`Storage::get`].
    pub async fn get(&self, namespace: &str, name: &str) -> Result<Option<T>, StatusError> {
        match self.storage.get(self.kind(), namespace, name, Consistency::Linearizable).await {
            Ok(object) => object.decode().map(Some),
            Err(error) if error.reason == Reason::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads all objects, of one namespace or of all, fresh.
    ///
    /// # Errors
    /// As [`Storage::list`].
    pub async fn list(&self, namespace: Option<&str>) -> Result<Vec<T>, StatusError> {
        let list = self
            .storage
            .list(self.kind(), namespace, ListOptions::default(), Consistency::Linearizable)
            .await?;
        list.objects().map(|object| object.decode()).collect()
    }

    /// Makes an object in the namespace its metadata names.
    ///
    /// # Errors
    /// As [`Storage::create`].
    pub async fn create(&self, object: &T) -> Result<T, StatusError> {
        let namespace = object.metadata().namespace.as_deref().unwrap_or_default();
        let options = WriteOptions::default();
        self.storage.create(self.kind(), namespace, tree(object)?, &options).await?.decode()
    }

    /// Replaces an object apart from its status. Its `resourceVersion`, if set, must be current.
    ///
    /// # Errors
    /// As [`Storage::update`].
    pub async fn update(&self, object: &T) -> Result<T, StatusError> {
        self.put(object, Part::Main).await
    }

    /// Replaces the status of an object. Its `resourceVersion`, if set, must be current.
    ///
    /// # Errors
    /// As [`Storage::update`].
    pub async fn update_status(&self, object: &T) -> Result<T, StatusError> {
        self.put(object, Part::Status).await
    }

    /// Edits an object apart from its status, again on conflict; a change of nothing writes
    /// nothing. `change` may run several times, each on a newer object.
    ///
    /// # Errors
    /// As [`Storage::modify`].
    pub async fn modify(
        &self,
        namespace: &str,
        name: &str,
        change: impl FnMut(&mut T) + Send,
    ) -> Result<T, StatusError> {
        self.edit(namespace, name, Part::Main, change).await
    }

    /// Edits the status of an object as [`Client::modify`] does the rest of it.
    ///
    /// # Errors
    /// As [`Storage::modify`].
    pub async fn modify_status(
        &self,
        namespace: &str,
        name: &str,
        change: impl FnMut(&mut T) + Send,
    ) -> Result<T, StatusError> {
        self.edit(namespace, name, Part::Status, change).await
    }

    /// Deletes an object or marks it for deletion.
    ///
    /// # Errors
    /// As [`Storage::delete`].
    pub async fn delete(
        &self,
        namespace: &str,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<Deleted, StatusError> {
        self.storage.delete(self.kind(), namespace, name, options).await
    }

    async fn put(&self, object: &T, part: Part) -> Result<T, StatusError> {
        let metadata = object.metadata();
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        let name = metadata.name.as_deref().unwrap_or_default();
        let options = WriteOptions::default();
        self.storage
            .update(self.kind(), namespace, name, part, tree(object)?, &options)
            .await?
            .decode()
    }

    async fn edit(
        &self,
        namespace: &str,
        name: &str,
        part: Part,
        mut change: impl FnMut(&mut T) + Send,
    ) -> Result<T, StatusError> {
        let options = WriteOptions::default();
        let edit = |value: Value| {
            let mut object: T = serde_json::from_value(value)
                .map_err(|error| StatusError::internal(error.to_string()))?;
            change(&mut object);
            tree(&object)
        };
        self.storage.modify(self.kind(), namespace, name, part, &options, edit).await?.decode()
    }
}

fn tree<T: Serialize>(object: &T) -> Result<Value, StatusError> {
    serde_json::to_value(object).map_err(|error| StatusError::internal(error.to_string()))
}
