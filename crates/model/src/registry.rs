//! Who asks a registry of images, and whose what it gives then is.

use std::fmt;

use crate::{ImageOwner, ImageReference, OrganizationId, RegistryId, Timestamp};

/// Name and password at one registry. Never printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistryLogin {
    /// The registry, as names of images in full have it: `docker.io`, `registry.example:5000`. No other learns of the
    /// password, unless this one names it as the place where tokens are given.
    pub registry: String,
    /// What paths of images begin with that it is for: whole parts of them, or nothing for all images.
    pub project: String,
    /// The name there.
    pub user: String,
    /// The password or token.
    pub password: String,
}

impl RegistryLogin {
    /// Whether it is for an image of this name.
    #[must_use]
    pub fn is_for(&self, reference: &ImageReference) -> bool {
        let reference = reference.in_full();
        let rest = reference.path().strip_prefix(&self.project);
        reference.registry() == Some(&self.registry)
            && rest.is_some_and(|rest| self.project.is_empty() || rest.starts_with('/'))
    }
}

/// Who asks for images, and what it can show registries.
#[derive(Clone, PartialEq, Eq)]
pub struct ImageAccess {
    /// Whose images are that come for a password.
    pub owner: ImageOwner,
    /// Its logins, the oldest first.
    pub logins: Vec<RegistryLogin>,
}

impl ImageAccess {
    /// What is shown for an image: of the logins that are for it the one with the longest project, and of these the
    /// newest.
    #[must_use]
    pub fn login(&self, reference: &ImageReference) -> Option<&RegistryLogin> {
        let of_it = self.logins.iter().filter(|login| login.is_for(reference));
        of_it.max_by_key(|login| login.project.len())
    }
}

impl fmt::Debug for ImageAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageAccess").field("owner", &self.owner).finish_non_exhaustive()
    }
}

impl fmt::Debug for RegistryLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryLogin")
            .field("registry", &self.registry)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// A registry that an organization has a password for, as it is kept. The password is encrypted.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredRegistry {
    /// Its id.
    pub id: RegistryId,
    /// Whose it is.
    pub organization: OrganizationId,
    /// What it is called; no two of an organization are called the same.
    pub name: String,
    /// Where it is, as it was written.
    pub url: String,
    /// The registry of that address, as names of images in full have it.
    pub host: String,
    /// The name there.
    pub user: String,
    /// What paths of images begin with that the password is for; empty for all.
    pub project: String,
    /// The password: what it was encrypted with once, then what came of it.
    pub sealed: Vec<u8>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl fmt::Debug for StoredRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredRegistry")
            .field("id", &self.id)
            .field("organization", &self.organization)
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_logins_the_closest_is_shown() {
        let login = |registry: &str, project: &str, user: &str| RegistryLogin {
            registry: registry.to_owned(),
            project: project.to_owned(),
            user: user.to_owned(),
            password: "word".to_owned(),
        };
        let access = ImageAccess {
            owner: ImageOwner::from_random([1; 16]),
            logins: vec![
                login("a.example", "", "old"),
                login("a.example", "", "new"),
                login("a.example", "team", "team"),
                login("docker.io", "", "hub"),
            ],
        };
        let shown = |name: &str| {
            let found = access.login(&name.parse().unwrap());
            found.map(|login| login.user.as_str())
        };
        for (name, user) in [
            ("a.example/app:1", Some("new")),
            ("a.example/team/app:1", Some("team")),
            ("a.example/teammate/app:1", Some("new")),
            ("a.example:5000/app:1", None),
            ("python:3", Some("hub")),
            ("docker.io/library/python:3", Some("hub")),
            ("b.example/app", None),
        ] {
            assert_eq!(shown(name), user, "{name}");
        }
        assert!(!format!("{access:?} {:?}", access.logins).contains("word"));
    }
}
