//! Registries of images that the organization has passwords for.

use http::Method;
use pitlane_wire::control::{CreateDockerRegistry, DockerRegistry};

use crate::request::segment;
use crate::{Client, RequestError};

impl Client {
    /// Lists the registries of the caller's organization.
    ///
    /// # Errors
    ///
    /// [`RequestError`]: see its variants.
    pub async fn registries(&self) -> Result<Vec<DockerRegistry>, RequestError> {
        self.get("/docker-registry").await
    }

    /// Adds a registry with a password for it.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 409: there is one of this name. With 400: it may not be asked.
    pub async fn create_registry(
        &self,
        registry: &CreateDockerRegistry,
    ) -> Result<DockerRegistry, RequestError> {
        self.call(Method::POST, "/docker-registry", Some(registry)).await
    }

    /// Removes a registry and its password.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 404: there is none of this id.
    pub async fn delete_registry(&self, id: &str) -> Result<(), RequestError> {
        self.act(Method::DELETE, &format!("/docker-registry/{}", segment(id))).await
    }
}
