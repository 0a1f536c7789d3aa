//! One use case per file: load, decide in the domain, store through ports. The only layer that orders I/O.
pub mod get_product;
pub mod import_catalogue;
pub mod list_products;
pub mod offers;
pub mod product_view;
pub mod stock;
