//! What the brokers promise, with a clock that the test moves and an invoker that the test scripts.
