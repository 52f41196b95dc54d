//! Handlers, called as the server calls them.

mod volumes;
