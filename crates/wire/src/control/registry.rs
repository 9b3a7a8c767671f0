//! Registries of images as they travel.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Body of `POST /docker-registry`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CreateDockerRegistry {
    /// What it is called, unique in its organization.
    pub name: String,
    /// Where it is: a host with an optional port.
    pub url: String,
    /// The name there.
    pub username: String,
    /// The password or token. It is kept encrypted and never told again.
    pub password: String,
    /// What paths of images begin with that the password is for; all images if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
}

/// Body of `PATCH /docker-registry/{id}`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct UpdateDockerRegistry {
    /// What it is called from now on.
    pub name: String,
    /// Where it is from now on.
    pub url: String,
    /// The name there from now on.
    pub username: String,
    /// Another password; has to be given with another host or user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Another project; the same if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
}

impl fmt::Debug for CreateDockerRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateDockerRegistry").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for UpdateDockerRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpdateDockerRegistry").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A registry that an organization has a password for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DockerRegistry {
    /// Its id, a UUID.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// The name there.
    pub username: String,
    /// What paths of images begin with that the password is for; empty for all.
    pub project: String,
    /// Whose it is: `organization`.
    pub registry_type: String,
    /// When it was added.
    pub created_at: String,
    /// When it was changed last.
    pub updated_at: String,
}
