//! The hook's outbox: what it has accepted becomes final, whatever Redis, the agent and the hook itself do.

#[path = "outbox/direct.rs"]
mod direct;
#[path = "outbox/dropped.rs"]
mod dropped;
#[path = "outbox/forgotten.rs"]
mod forgotten;
#[path = "outbox/kept.rs"]
mod kept;
#[path = "outbox/refused.rs"]
mod refused;
#[path = "outbox/scene.rs"]
mod scene;
