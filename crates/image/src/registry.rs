//! Images in registries, asked for over the network by the OCI distribution protocol.
//!
//! A registry is whoever an image's name says it is, so nothing it says is believed: digests and sizes are checked, every
//! answer has a bound and a deadline, and neither a name nor a redirect leads to an address of the operator's own
//! network, unless the operator has named that registry ([`RegistryRules`]).
//!
//! The crate `oci-client` was not taken: it follows redirects to any address, reads manifests of any length, and lets
//! nobody decide about either.

mod address;
mod client;
mod error;
mod manifest;
mod proxy;
mod rules;
mod token;

pub use error::RegistryError;
pub use rules::{ParseRuleError, RegistryRules};

pub(crate) use client::{Credentials, Found, Repository};
pub(crate) use manifest::{Descriptor, hex_of};
