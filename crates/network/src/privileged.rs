//! Tests with real namespaces, which only root can make. They touch no namespace but their own.

mod egress;
mod life;
mod links;
mod names;
mod server;
mod world;
