//! What an agent says about itself.

use crate::wire::Wire;

/// The parts of an agent card that are of use as hints. Its addresses are left out on purpose:
/// they are those inside the agent's cluster, and following them would let an agent direct our requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The agent's name, at most 256 bytes.
    pub name: String,
    /// The versions it offers over JSON-RPC, in its order of preference, each once.
    pub wires: Vec<Wire>,
}
