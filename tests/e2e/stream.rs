//! The link to Redis, by itself.
