//! Promotions, against the real operations and stores in one process: limits that hold under any race, and
//! prices that do not depend on order.
mod uses;
