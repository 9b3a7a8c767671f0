//! Organizations.

use pitlane_wire::control::Organization;

use crate::{Client, RequestError};

impl Client {
    /// Lists the organizations that the caller may know of: all for an operator, else the caller's own.
    ///
    /// # Errors
    ///
    /// [`RequestError`]: see its variants.
    pub async fn organizations(&self) -> Result<Vec<Organization>, RequestError> {
        self.get("/organizations").await
    }
}
