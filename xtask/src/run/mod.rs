//! `run`: the shop on this machine. Builds, lays out, loads the goods, then plays the platform.
mod lock;
mod platform;

use std::{
    env,
    ffi::OsString,
    fs, io,
    net::{Ipv4Addr, SocketAddrV4, TcpListener},
    path::{Path, PathBuf},
};

use lexopt::{Arg, Parser, ValueExt};

use self::platform::{Platform, Signals};
use crate::{build, failure::Failure, handler, stage, workspace};

/// The port that the Functions host uses on a developer's machine.
const PORT: u16 = 7071;
/// Written beside the data once the seed is in: later runs keep what the shop has become.
const SEEDED: &str = "seeded";
/// Units of each article whose row in `--catalogue` names none: enough that a shop to try things in never sells out.
const ON_HAND: &str = "100000";
/// What `--catalogue` is priced in if the store has no currency yet; that of our own goods.
const CURRENCY: &str = "GBP";

const HELP: &str = "\
usage: cargo xtask run [OPTIONS]

  --port N            the API's port, default 7071; 0 picks a free one
  --data DIR          where the shop lives, default data/ in the checkout
  --no-seed           begin with an empty shop, not with our own goods
  --catalogue FILE    load these goods too (CSV or NDJSON); loading them again changes nothing
  --flex N            N handlers for HTTP and one for each other function, as on the Flex plan
  --auth              ask for function keys as the Functions host would
  --faithful          imitate the Functions host's traps instead of refusing them
  --staged            build nothing: OFFPEAK_STAGE and OFFPEAK_DEVHOST say what to run

It prints `ready http://127.0.0.1:PORT` once it serves, and ends all it started on Ctrl-C.
";

#[derive(Debug, Default, PartialEq)]
struct Options {
    port: u16,
    data: Option<PathBuf>,
    no_seed: bool,
    catalogue: Option<PathBuf>,
    staged: bool,
    /// For the dev host, as they stand.
    passed: Vec<OsString>,
}

impl Options {
    /// `None` if help was asked for.
    fn parse(mut args: Parser) -> Result<Option<Options>, Failure> {
        let mut options = Options { port: PORT, ..Options::default() };
        while let Some(arg) = args.next()? {
            match arg {
                Arg::Long("port") => options.port = args.value()?.parse()?,
                Arg::Long("data") => options.data = Some(args.value()?.into()),
                Arg::Long("no-seed") => options.no_seed = true,
                Arg::Long("catalogue") => options.catalogue = Some(args.value()?.into()),
                Arg::Long("staged") => options.staged = true,
                Arg::Long("flex") => {
                    let processes: u8 = args.value()?.parse()?;
                    options.passed.extend(["--flex".into(), processes.to_string().into()]);
                }
                Arg::Long("auth") => options.passed.push("--auth".into()),
                Arg::Long("faithful") => options.passed.push("--faithful".into()),
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(Some(options))
    }
}

/// What is run: the dev host's program and the staged app.
struct Programs {
    devhost: PathBuf,
    stage: PathBuf,
}

pub(crate) fn main(args: Parser) -> Result<(), Failure> {
    let Some(options) = Options::parse(args)? else {
        print!("{HELP}");
        return Ok(());
    };
    if let Some(file) = &options.catalogue
        && !file.is_file()
    {
        return Err(Failure::new(format!("there is no file {}", file.display())));
    }
    let data = workspace::data(options.data.clone());
    let _lock = lock::take(&data)?;
    port_is_free(options.port)?;
    let programs = if options.staged { named()? } else { built()? };
    // From here on Ctrl-C is ours to answer, in the order that loses nothing.
    let signals = Signals::take()?;
    load(&options, &programs, &data, &signals)?;
    Platform::new(&programs, &data, &options).run(&signals)
}

/// Programs somebody else has built, named by the environment.
fn named() -> Result<Programs, Failure> {
    let path = |name: &str| {
        let value = env::var_os(name).ok_or_else(|| Failure::usage(format!("--staged needs {name}")))?;
        Ok::<_, Failure>(PathBuf::from(value))
    };
    Ok(Programs { devhost: path("OFFPEAK_DEVHOST")?, stage: path("OFFPEAK_STAGE")? })
}

fn built() -> Result<Programs, Failure> {
    let handler = build::build(build::HANDLER, "dev")?.program("handler")?;
    let devhost = build::build(build::DEVHOST, "dev")?.program("devhost")?;
    let stage = workspace::target().join("stage");
    stage::lay_out(workspace::root(), &handler, &stage)?;
    Ok(Programs { devhost, stage })
}

/// Says so before anything is built or loaded; the dev host's own bind decides in the end.
fn port_is_free(port: u16) -> Result<(), Failure> {
    match TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(err) if err.kind() == io::ErrorKind::AddrInUse => Err(Failure::new(format!(
            "port {port} is in use by another program; choose another with --port N, or --port 0 for any"
        ))),
        Err(err) => Err(Failure::new(format!("port {port} cannot be used: {err}"))),
    }
}

/// Our goods on the first run, the caller's on each; both through the handler's own adapters.
fn load(options: &Options, programs: &Programs, data: &Path, signals: &Signals) -> Result<(), Failure> {
    let handler = programs.stage.join("handler");
    let seeded = data.join(SEEDED);
    if !options.no_seed && !seeded.exists() {
        let mut seed = handler::import(&handler, data)?;
        platform::wait(seed.arg("--seed"), "loading the seed", signals)?;
        fs::write(&seeded, "").map_err(Failure::file("write", &seeded))?;
    }
    if let Some(file) = &options.catalogue {
        let mut import = handler::import(&handler, data)?;
        import.arg(file).args(["--on-hand", ON_HAND, "--assume-currency", CURRENCY]);
        platform::wait(&mut import, "loading the catalogue", signals)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Options>, Failure> {
        Options::parse(Parser::from_args(line.split_whitespace()))
    }

    #[test]
    fn options_are_read() {
        let given = parse("--port 0 --data d --no-seed --catalogue c.csv --flex 2 --auth --staged").unwrap().unwrap();
        let wanted = Options {
            port: 0,
            data: Some("d".into()),
            no_seed: true,
            catalogue: Some("c.csv".into()),
            staged: true,
            passed: vec!["--flex".into(), "2".into(), "--auth".into()],
        };
        assert_eq!(given, wanted);
        assert_eq!(parse("").unwrap().unwrap().port, 7071);
        assert!(parse("--help").unwrap().is_none());
        for bad in ["--port 70000", "--port", "--flex many", "--unknown", "word"] {
            assert_eq!(parse(bad).unwrap_err().code(), 2, "{bad}");
        }
    }

    #[test]
    fn a_busy_port_is_refused_with_a_way_out() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let refusal = port_is_free(port).unwrap_err().to_string();
        assert!(refusal.contains(&port.to_string()) && refusal.contains("--port"), "{refusal}");
        assert!(port_is_free(0).is_ok());
    }
}
