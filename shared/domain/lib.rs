//! The rules of the shop: values, prices, stock, checkout, orders. Pure: no I/O, no clock, no
//! randomness; what a rule needs to know is passed in.
pub mod address;
pub mod allocation;
pub mod allowance;
pub mod audit;
pub mod cart;
pub mod catalogue;
pub mod checkout;
pub mod code;
pub mod ids;
pub mod merge;
pub mod money;
pub mod offer;
pub mod order;
pub mod payment;
pub mod price_list;
pub mod pricing;
pub mod problems;
pub mod promotion;
pub mod quantity;
pub mod rounding;
pub mod shipping;
pub mod sku;
pub mod stock;
pub mod store;
pub mod tax;
pub mod uses;
