//! warp with one route and nothing else, served by warp itself.
use std::{error::Error, net::Ipv4Addr};

use bench::{Answer, given};
use warp::{Filter, http::Response};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (port, answer) = given(std::env::args_os())?;
    let product = warp::path!("api" / "v1" / "products" / String);
    let route = product.and(warp::get()).map(move |_slug: String| respond(&answer));
    warp::serve(route).run((Ipv4Addr::LOCALHOST, port)).await;
    Ok(())
}

fn respond(answer: &Answer) -> Response<bytes::Bytes> {
    let mut response = Response::new(answer.body.clone());
    *response.headers_mut() = answer.headers.clone();
    response
}
