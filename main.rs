//! Process entry: settings, log, app, and then the host's requests. Without arguments it serves.
use std::{process::ExitCode, sync::Arc, time::Duration};

use offpeak::{
    functions::ROOMS,
    shared::{
        app::App,
        config::Config,
        host::{limits::Limits, problem::chain, server, table::Table},
        import_cli, telemetry,
    },
};

/// The route prefix of `host.json`; the tidy test compares.
const ROUTE_PREFIX: &str = "api";
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
    telemetry::init(&config.log);
    // One TLS implementation for every client; chosen before any is made.
    let provider = rustls::crypto::aws_lc_rs::default_provider().install_default();
    provider.map_err(|_| "a TLS provider was installed before main".to_owned())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|err| err.to_string())?;
    let mut arguments = std::env::args_os().skip(1);
    let Some(command) = arguments.next() else { return runtime.block_on(serve(config)) };
    if command != "import" {
        return Err(format!("{} is not a subcommand; the only one is `import`", command.display()));
    }
    let app = App::build(&config).map_err(|err| chain(&err))?;
    Ok(runtime.block_on(import_cli::run(&app.shop.ports, arguments, &mut std::io::stdout())))
}

async fn serve(config: Config) -> Result<u8, String> {
    let port = config.port.ok_or("FUNCTIONS_CUSTOMHANDLER_PORT is missing: the Functions host sets it")?;
    let app = App::build(&config).map_err(|err| chain(&err))?;
    let table = Table::new(ROOMS, ROUTE_PREFIX).map_err(|err| err.to_string())?;
    let limits = Limits { debug_headers: config.local, ..Limits::default() };
    // Bound only now: whoever can connect is answered.
    let listener = server::bind(port, BIND_PATIENCE).await.map_err(|err| format!("port {port}: {err}"))?;
    match server::serve(listener, Arc::new(table), Arc::new(app), limits).await {}
}
