//! hyper and nothing else: the most that any server on it can do. As the handler, it takes as many worker
//! threads as it is given cores.
use std::{convert::Infallible, error::Error, net::Ipv4Addr};

use bench::{Answer, given};
use http::Response;
use http_body_util::Full;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (port, answer) = given(std::env::args_os())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answer = answer.clone();
        #[expect(clippy::disallowed_methods, reason = "a server serves its connections at the same time")]
        tokio::spawn(async move {
            let service = service_fn(|_| std::future::ready(Ok::<_, Infallible>(respond(&answer))));
            // A client that goes away is no fault of a server's.
            http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
        });
    }
}

fn respond(answer: &Answer) -> Response<Full<bytes::Bytes>> {
    let mut response = Response::new(Full::new(answer.body.clone()));
    *response.headers_mut() = answer.headers.clone();
    response
}
