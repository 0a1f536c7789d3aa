//! Promotions, against the real operations and stores in one process: limits that hold under any race, and
//! prices that do not depend on order.
mod allowance;
mod api;
mod book;
mod check;
mod codes;
mod coupons;
mod crashes;
mod gifts;
mod limits;
mod stacking;
mod till;
mod uses;
