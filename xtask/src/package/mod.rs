//! `package` makes what is deployed: a zip whose top is the app's folder, as the Functions host wants it, with a
//! manifest and a bill of materials beside the handler.
//!
//! What must stay true: the same stage packed twice is the same file, byte for byte; what is shipped is linked with
//! nothing that an image would have to bring along, and that is read from the file itself.
mod archive;
mod elf;
mod manifest;
mod sbom;

use std::{
    fs,
    path::{Path, PathBuf},
};

use lexopt::{Arg, Parser};
use serde_json::Value;

use crate::{build, failure::Failure, stage, workspace};

const HELP: &str = "\
usage: cargo xtask package [--profile dist|release|dev] [--output FOLDER]

  The app as a zip for `func azure functionapp publish`, one deploy, or a container (Dockerfile). Its path is the last
  line. `dist`, the default, is what is shipped: linked statically. The other profiles are for trying things.
";

/// What is shipped.
const DIST: &str = "dist";

pub(crate) fn main(mut args: Parser) -> Result<(), Failure> {
    let (mut profile, mut output) = (DIST.to_owned(), workspace::target().join("package"));
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("profile") => profile = args.value()?.to_string_lossy().into_owned(),
            Arg::Long("output") => output = PathBuf::from(args.value()?),
            Arg::Long("help") => {
                print!("{HELP}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let handler = match profile.as_str() {
        DIST => build::shipped()?,
        _ => build::build(build::HANDLER, &profile)?.program("handler")?,
    };
    let bill = sbom::bill()?;
    println!("{}", package(&profile, &handler, &bill, &output)?.display());
    Ok(())
}

/// Lays the app out in `output/app` and packs it; answers the zip.
fn package(profile: &str, handler: &Path, bill: &Value, output: &Path) -> Result<PathBuf, Failure> {
    let needs = elf::needs(&fs::read(handler).map_err(Failure::file("read", handler))?)
        .map_err(|fault| Failure::new(format!("{}: {fault}", handler.display())))?;
    if profile == DIST && !needs.is_empty() {
        return Err(Failure::new(format!("{} is not static: it needs {}", handler.display(), needs.join(" and "))));
    }
    let app = output.join("app");
    stage::lay_out(workspace::root(), handler, &app)?;
    write(&app.join("sbom.json"), bill)?;
    // Last, because it names every other file.
    write(&app.join("manifest.json"), &manifest::manifest(&app, profile, needs.is_empty())?)?;
    let name = if profile == DIST { String::new() } else { format!("-{profile}") };
    let zip = output.join(format!("offpeak-{}{name}.zip", env!("CARGO_PKG_VERSION")));
    archive::pack(&app, &zip)?;
    Ok(zip)
}

fn write(path: &Path, document: &Value) -> Result<(), Failure> {
    fs::write(path, format!("{document:#}\n")).map_err(Failure::file("write", path))
}
