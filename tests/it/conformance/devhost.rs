//! The B and D cases against the dev host's binary, with the stub handler in the handler's place.
use super::runs;

runs! {}
