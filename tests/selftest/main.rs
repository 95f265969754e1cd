//! The support must be right before a test that uses it can prove anything.

mod agents;
mod basics;
mod road;
mod servers;
mod trio;
