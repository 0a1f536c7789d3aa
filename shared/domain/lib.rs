//! The rules of the shop: values, prices, stock, checkout, orders. Pure: no I/O, no clock, no
//! randomness; what a rule needs to know is passed in.
pub mod code;
pub mod money;
