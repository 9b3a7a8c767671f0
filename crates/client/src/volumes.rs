//! Volumes.

use http::Method;
use pitlane_wire::control::{CreateVolume, VolumeDto};

use crate::request::segment;
use crate::{Client, RequestError};

impl Client {
    /// Lists the volumes of the caller's organization, without those that are deleted.
    ///
    /// # Errors
    ///
    /// [`RequestError`]: see its variants.
    pub async fn volumes(&self) -> Result<Vec<VolumeDto>, RequestError> {
        self.get("/volumes").await
    }

    /// Makes a volume. It may not be ready yet in the answer.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 400: there is one of this name, or there are too many.
    pub async fn create_volume(&self, name: &str) -> Result<VolumeDto, RequestError> {
        let volume = CreateVolume { name: name.to_owned() };
        self.call(Method::POST, "/volumes", Some(&volume)).await
    }

    /// A volume by its name.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 404: there is none.
    pub async fn volume_by_name(&self, name: &str) -> Result<VolumeDto, RequestError> {
        self.get(&format!("/volumes/by-name/{}", segment(name))).await
    }

    /// A volume by its id.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 404: there is none.
    pub async fn volume(&self, id: &str) -> Result<VolumeDto, RequestError> {
        self.get(&format!("/volumes/{}", segment(id))).await
    }

    /// Has a volume removed with all that is in it.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 404: there is none. With 409: sandboxes have it. With 400: it is not ready.
    pub async fn delete_volume(&self, id: &str) -> Result<(), RequestError> {
        self.act(Method::DELETE, &format!("/volumes/{}", segment(id))).await
    }
}
