//! Process entry: settings, log, app, and then the host's requests. Without arguments it serves.
use std::{ffi::OsStr, process::ExitCode, sync::Arc, time::Duration};

use offpeak::{
    functions::ROOMS,
    shared::{
        app::App,
        check_cli,
        config::Config,
        host::{limits::Limits, problem::chain, server, table::Table},
        import_cli,
        operations::{Shop, outbox::resend_since},
        telemetry,
    },
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// The route prefix of `host.json`; the tidy test compares.
const ROUTE_PREFIX: &str = "api";
const CHECK: &str = "--check";
/// After a crash the host starts us again on the same port, which the dead process may still hold.
const BIND_PATIENCE: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    match start() {
        Ok(code) => ExitCode::from(code),
        Err(fault) => {
            // The host shows the last lines of standard error when a handler ends.
            eprintln!("{fault}");
            ExitCode::FAILURE
        }
    }
}

fn start() -> Result<u8, String> {
    let config = Config::from_env().map_err(|faults| faults.to_string())?;
    let mut arguments = std::env::args_os().skip(1);
    let command = arguments.next();
    // The table of a check is all that it says.
    if command.as_deref() != Some(OsStr::new(CHECK)) {
        telemetry::init(&config.log);
    }
    // One TLS implementation for every client; chosen before any is made.
    let provider = rustls::crypto::aws_lc_rs::default_provider().install_default();
    provider.map_err(|_| "a TLS provider was installed before main".to_owned())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|err| err.to_string())?;
    let Some(command) = command else { return runtime.block_on(serve(config)) };
    let app = App::build(&config).map_err(|err| chain(&err))?;
    match command.to_str() {
        Some(CHECK) => Ok(runtime.block_on(check_cli::run(&app, &mut std::io::stdout()))),
        Some("import") => Ok(runtime.block_on(import_cli::run(&app.shop.ports, arguments, &mut std::io::stdout()))),
        Some("resend") => runtime.block_on(resend(&app.shop, arguments.next().as_deref().and_then(OsStr::to_str))),
        _ => Err(format!("{} is not a subcommand; there are `{CHECK}`, `import` and `resend`", command.display())),
    }
}

/// `handler resend SINCE`: for the day a broker has lost what it had acknowledged.
async fn resend(shop: &Shop, since: Option<&str>) -> Result<u8, String> {
    let since = since.and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
    let since = since.ok_or("usage: handler resend SINCE, an RFC 3339 time such as 2026-01-31T12:00:00Z")?;
    let sent = resend_since(shop, since).await.map_err(|err| chain(&err))?;
    tracing::info!(event.count = sent, "Sent {sent} events again.");
    Ok(0)
}

async fn serve(config: Config) -> Result<u8, String> {
    let port = config.port.ok_or("FUNCTIONS_CUSTOMHANDLER_PORT is missing: the Functions host sets it")?;
    let app = App::build(&config).map_err(|err| chain(&err))?;
    let table = Table::new(ROOMS, ROUTE_PREFIX).map_err(|err| err.to_string())?;
    let mut limits = Limits { debug_headers: config.local, ..Limits::default() };
    if config.local {
        // One machine has no dependency that is away for a while and comes back by itself.
        limits.rest_max = Duration::ZERO;
    }
    // Bound only now: whoever can connect is answered.
    let listener = server::bind(port, BIND_PATIENCE).await.map_err(|err| format!("port {port}: {err}"))?;
    match server::serve(listener, Arc::new(table), Arc::new(app), limits).await {}
}
