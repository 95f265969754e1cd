//! The short drill: one round of different faults, from a fixed seed.
