//! Promotions and price lists as data, the price of a basket under them, and the uses that limited promotions
//! have.
pub mod book;
pub mod claims;
pub mod codes;
pub mod coupons;
pub mod dry_run;
pub mod manage;
pub mod quote;
pub mod uses;
