//! Programs that tests and bench talk to. What is missing is installed when the machine lets us;
//! otherwise the command stops and says what to type. Nothing is ever skipped.
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{failure::Failure, workspace};

/// The mail server that the SMTP adapter's contract runs against, and the stand-in for Stripe.
const PACKAGES: [&str; 2] = ["aiosmtpd==1.4.6", "localstripe==1.15.10"];

/// Is there a program of this name on the search path?
pub(crate) fn found(program: &str) -> bool {
    place(program).is_some()
}

fn place(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|folder| folder.join(program)).find(|it| it.is_file())
}

/// The Redis server that the cache's contract runs against, each test on one of its own. `openssl` makes its
/// certificates.
pub(crate) fn redis() -> Result<PathBuf, Failure> {
    for (program, package) in [("redis-server", "redis-server"), ("openssl", "openssl")] {
        if !found(program) {
            system_package(package, program)?;
        }
    }
    place("redis-server").ok_or_else(|| Failure::new("redis-server is installed, but not on the search path"))
}

/// Is there such a cargo subcommand?
pub(crate) fn cargo_knows(subcommand: &str) -> bool {
    let mut command = crate::build::cargo();
    command.args([subcommand, "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|it| it.success())
}

/// A Python with [`PACKAGES`], in a folder of its own under the build output; made once.
pub(crate) fn python() -> Result<PathBuf, Failure> {
    let place = workspace::target().join("tools").join("python");
    let python = place.join("bin").join("python");
    if quiet(Command::new(&python).args(["-c", "import aiosmtpd, localstripe"])) {
        return Ok(python);
    }
    if !found("python3") {
        system_package("python3", "python3")?;
    }
    println!("tools: a mail server and a payment provider for the tests, in {}", place.display());
    if !make_environment(&place) {
        system_package("python3-venv", "a Python that can make environments")?;
        if !make_environment(&place) {
            return Err(Failure::new(format!("type: python3 -m venv --clear {}", place.display())));
        }
    }
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(PACKAGES);
    match install.status() {
        Ok(status) if status.success() => Ok(python),
        _ => Err(Failure::new(format!("type: {} -m pip install {}", python.display(), PACKAGES.join(" ")))),
    }
}

/// Plays Azure Blob Storage in tests.
const AZURITE: &str = "azurite@3.35.0";

/// Azurite's blob service, a script for `node`, in a folder of its own under the build output; installed once.
pub(crate) fn azurite() -> Result<PathBuf, Failure> {
    let place = workspace::target().join("tools").join("azurite");
    let package = place.join("node_modules").join("azurite");
    let script = package.join("dist/src/blob/main.js");
    let version = AZURITE.rsplit('@').next().unwrap_or_default();
    let is_this = |text: String| text.contains(&format!("\"version\": \"{version}\""));
    if script.is_file() && fs::read_to_string(package.join("package.json")).is_ok_and(is_this) {
        return Ok(script);
    }
    for (program, debian) in [("node", "nodejs"), ("npm", "npm")] {
        if !found(program) {
            system_package(debian, program)?;
        }
    }
    println!("tools: {AZURITE} for the tests, in {}", place.display());
    fs::create_dir_all(&place).map_err(Failure::file("make", &place))?;
    let arguments = ["install", "--no-audit", "--no-fund", "--omit=optional", "--loglevel=error", "--prefix"];
    match Command::new("npm").args(arguments).arg(&place).arg(AZURITE).status() {
        Ok(status) if status.success() && script.is_file() => Ok(script),
        _ => Err(Failure::new(format!("type: npm {} {} {AZURITE}", arguments.join(" "), place.display()))),
    }
}

fn make_environment(place: &Path) -> bool {
    quiet(Command::new("python3").args(["-m", "venv", "--clear"]).arg(place))
}

/// Installs a package of the system, if we are allowed to; `what` names it for people.
pub(crate) fn system_package(package: &str, what: &str) -> Result<(), Failure> {
    let by_hand = format!("apt-get install -y {package}");
    let allowed = nix::unistd::geteuid().is_root() && found("apt-get");
    if !allowed {
        return Err(Failure::new(format!("{what} is missing. Install it, on Debian by: sudo {by_hand}")));
    }
    println!("tools: {by_hand}");
    let install = || quiet(Command::new("apt-get").args(["install", "-y", "-q", package]));
    // The list of packages may be stale or absent in a new container.
    if install() || (quiet(Command::new("apt-get").args(["update", "-q"])) && install()) {
        return Ok(());
    }
    Err(Failure::new(format!("{what} could not be installed. Type: {by_hand}")))
}

fn quiet(command: &mut Command) -> bool {
    command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|it| it.success())
}
