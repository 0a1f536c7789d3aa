//! `import`: a price list into the shop on this machine, running or not. The handler does it, over the same
//! adapters with which it serves.
use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use lexopt::Parser;

use crate::{build, failure::Failure, handler, workspace};

const HELP: &str = "\
usage: cargo xtask import FILE [OPTIONS]

  --data DIR          where the shop lives, default data/ in the checkout
  --staged            build nothing: OFFPEAK_STAGE says where the handler is

All else goes to the handler:

";

/// What is ours to know; the rest is the handler's.
#[derive(Debug, Default, PartialEq)]
struct Options {
    data: Option<PathBuf>,
    staged: bool,
    passed: Vec<OsString>,
}

impl Options {
    fn parse(mut args: Parser) -> Result<Options, Failure> {
        let mut options = Options::default();
        let mut words = args.raw_args()?;
        while let Some(word) = words.next() {
            match word.to_str() {
                Some("--data") => {
                    let value = words.next().ok_or_else(|| Failure::usage("--data needs a folder"))?;
                    options.data = Some(value.into());
                }
                Some(text) if text.starts_with("--data=") => options.data = Some(text["--data=".len()..].into()),
                Some("--staged") => options.staged = true,
                _ => options.passed.push(word),
            }
        }
        Ok(options)
    }
}

pub(crate) fn main(args: Parser) -> Result<(), Failure> {
    let options = Options::parse(args)?;
    if options.passed.iter().any(|it| it == "--help" || it == "-h") {
        print!("{HELP}");
    }
    let program = if options.staged {
        let stage = env::var_os("OFFPEAK_STAGE").ok_or_else(|| Failure::usage("--staged needs OFFPEAK_STAGE"))?;
        Path::new(&stage).join("handler")
    } else {
        build::build(build::HANDLER, "dev")?.program("handler")?
    };
    let data = workspace::data(options.data);
    fs::create_dir_all(&data).map_err(Failure::file("make", &data))?;
    let status =
        handler::import(&program, &data)?.args(&options.passed).status().map_err(Failure::file("start", &program))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::with_code("nothing more was loaded", status.code().unwrap_or(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_ours_is_taken_out() {
        let parse = |line: &str| Options::parse(Parser::from_args(line.split_whitespace()));
        let options = parse("--currency GBP --data=d list.csv --staged --on-hand 5").unwrap();
        assert_eq!((options.data, options.staged), (Some("d".into()), true));
        assert_eq!(options.passed, ["--currency", "GBP", "list.csv", "--on-hand", "5"]);
        assert_eq!(parse("list.csv --data").unwrap_err().code(), 2);
    }
}
