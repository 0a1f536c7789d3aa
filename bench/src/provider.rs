//! The sandbox payment provider alone, on a port of its own.
#![expect(clippy::disallowed_methods, reason = "a program for people, with tasks of its own")]
use std::{error::Error, path::Path, sync::Arc};

use devhost::clock::SystemClock;
use devhost::provider::{BODY_MAX_BYTES, Outcome, Provider};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use url::Url;

/// Serves it until the process ends; answers where.
pub(crate) async fn serve(data: &Path) -> Result<Url, Box<dyn Error>> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let origin = format!("http://{}", listener.local_addr()?);
    let provider = Arc::new(Provider::open(&data.join("provider.db"), &origin, Arc::new(SystemClock))?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).ok();
            let provider = provider.clone();
            let service = service_fn(move |request| {
                let provider = provider.clone();
                async move { answer(&provider, request).await }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    Ok(Url::parse(&origin)?)
}

async fn answer(provider: &Provider, request: Request<Incoming>) -> Result<Response<Full<bytes::Bytes>>, String> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, BODY_MAX_BYTES).collect().await.map_err(|err| err.to_string())?.to_bytes();
    let path = parts.uri.path().trim_start_matches("/dev/provider/").to_owned();
    let segments: Vec<&str> = path.split('/').collect();
    match provider.answer(&parts.method, &segments, &parts.headers, body).await {
        Outcome::Reply(reply) => Ok(reply),
        Outcome::HangUp => Err("hung up".to_owned()),
    }
}
