//! Promotions and price lists as data, and the uses that limited promotions have.
pub mod uses;
