//! Warm pools.

use http::Method;
use pitlane_wire::control::{CreateWarmPool, UpdateWarmPool, WarmPool};

use crate::request::segment;
use crate::{Client, RequestError};

impl Client {
    /// Lists the warm pools of the caller's organization.
    ///
    /// # Errors
    ///
    /// [`RequestError`]: see its variants.
    pub async fn warm_pools(&self) -> Result<Vec<WarmPool>, RequestError> {
        self.get("/warm-pools").await
    }

    /// Makes a warm pool, which is filled at once.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 400: the machine has no room, and the text says how much. With 404: there is no
    /// such snapshot. With 409: there is a pool of it.
    pub async fn create_warm_pool(&self, pool: &CreateWarmPool) -> Result<WarmPool, RequestError> {
        self.call(Method::POST, "/warm-pools", Some(pool)).await
    }

    /// Has another number of sandboxes wait in a pool.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 400: the machine has no room. With 404: there is no such pool.
    pub async fn resize_warm_pool(&self, id: &str, pool: u32) -> Result<WarmPool, RequestError> {
        let path = format!("/warm-pools/{}", segment(id));
        self.call(Method::PATCH, &path, Some(&UpdateWarmPool { pool })).await
    }

    /// Removes a pool and frees what waits in it.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 404: there is no such pool.
    pub async fn delete_warm_pool(&self, id: &str) -> Result<(), RequestError> {
        self.act(Method::DELETE, &format!("/warm-pools/{}", segment(id))).await
    }
}
