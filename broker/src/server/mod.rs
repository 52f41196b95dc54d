//! Sockets: connections, frames, limits and the order of replies.
