//! Handlers, called as the server calls them.

mod codes;
mod support;
mod topics;
mod volumes;
