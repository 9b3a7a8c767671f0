//! The router namespace, a sandbox's link and addresses, egress policy and the resolver.
#![forbid(unsafe_code)]
