//! API keys of the caller's organization.

use http::Method;
use pitlane_wire::control::{ApiKeyItem, CreateApiKey, CreatedApiKey};

use crate::request::segment;
use crate::{Client, RequestError};

impl Client {
    /// Makes a key. Its text is in the answer and can never be had again.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`]: the name is taken, or the caller's own key may less than the new one.
    pub async fn create_key(&self, key: &CreateApiKey) -> Result<CreatedApiKey, RequestError> {
        self.call(Method::POST, "/api-keys", Some(key)).await
    }

    /// Lists the keys of the caller's organization, without their texts.
    ///
    /// # Errors
    ///
    /// [`RequestError`]: see its variants.
    pub async fn keys(&self) -> Result<Vec<ApiKeyItem>, RequestError> {
        self.get("/api-keys").await
    }

    /// Revokes a key; it stops working at once.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 404: there is none of this name.
    pub async fn revoke_key(&self, name: &str) -> Result<(), RequestError> {
        self.act(Method::DELETE, &format!("/api-keys/{}", segment(name))).await
    }

    /// Tells what the caller's own key may do.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 401: the server does not know the key.
    pub async fn current_key(&self) -> Result<ApiKeyItem, RequestError> {
        self.get("/api-keys/current").await
    }
}
