//! The command line.
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// What `devhost --help` prints.
pub const USAGE: &str =
    "usage: devhost --stage DIR --data DIR --entities FILE [--port N] [--settings FILE] [--flex N] \
[--auth] [--faithful] [--forwarding] [--clock MOMENT]
  --stage DIR      the staged app: host.json, the handler and one folder per function
  --data DIR       where everything durable is kept; made when absent
  --entities FILE  queues, topics and hubs
  --port N         the public port; 0 (the default) takes a free one
  --settings FILE  a local.settings.json
  --flex N         run N processes for the HTTP functions and one for each other function, as Flex Consumption does
  --auth           ask for keys as the platform does; off, every function answers without one
  --faithful       imitate the host's traps instead of failing loudly on them
  --forwarding     hand requests over as older hosts do: buffered, repeated query keys joined
  --clock MOMENT   begin at this moment (RFC 3339) instead of the present one, to try schedules and time-outs";

/// The command line, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub stage: PathBuf,
    pub data: PathBuf,
    pub entities: PathBuf,
    pub port: u16,
    pub settings: Option<PathBuf>,
    pub flex: Option<usize>,
    pub auth: bool,
    pub faithful: bool,
    pub forwarding: bool,
    pub clock: Option<OffsetDateTime>,
}

/// Most processes that `--flex` starts for the HTTP group.
pub const FLEX_MAX: usize = 32;

/// Why the command line was refused.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    #[error("the command line could not be read: {0}")]
    Unreadable(#[from] lexopt::Error),
    #[error("option --{0} is missing")]
    Missing(&'static str),
    #[error("--flex takes a number from 1 to {FLEX_MAX}")]
    Flex,
    #[error("--clock takes a moment like 2024-05-01T10:00:00Z")]
    Clock(#[source] time::error::Parse),
}

impl Options {
    /// Reads the arguments after the program's name; `None` when help was asked for.
    ///
    /// # Errors
    /// An unknown option, a value that cannot be read, or a missing option.
    pub fn read(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Option<Self>, OptionsError> {
        let mut parser = Parser::from_args(arguments);
        let (mut stage, mut data, mut entities, mut settings) = (None, None, None, None);
        let (mut port, mut flex, mut clock) = (0, None, None);
        let (mut auth, mut faithful, mut forwarding) = (false, false, false);
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("stage") => stage = Some(PathBuf::from(parser.value()?)),
                Arg::Long("data") => data = Some(PathBuf::from(parser.value()?)),
                Arg::Long("entities") => entities = Some(PathBuf::from(parser.value()?)),
                Arg::Long("settings") => settings = Some(PathBuf::from(parser.value()?)),
                Arg::Long("port") => port = parser.value()?.parse()?,
                Arg::Long("flex") => flex = Some(parser.value()?.parse::<usize>()?),
                Arg::Long("clock") => {
                    let moment = parser.value()?.string()?;
                    clock = Some(OffsetDateTime::parse(&moment, &Rfc3339).map_err(OptionsError::Clock)?);
                }
                Arg::Long("auth") => auth = true,
                Arg::Long("faithful") => faithful = true,
                Arg::Long("forwarding") => forwarding = true,
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                other => return Err(other.unexpected().into()),
            }
        }
        if flex.is_some_and(|count| !(1..=FLEX_MAX).contains(&count)) {
            return Err(OptionsError::Flex);
        }
        Ok(Some(Self {
            stage: stage.ok_or(OptionsError::Missing("stage"))?,
            data: data.ok_or(OptionsError::Missing("data"))?,
            entities: entities.ok_or(OptionsError::Missing("entities"))?,
            port,
            settings,
            flex,
            auth,
            faithful,
            forwarding,
            clock,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Option<Options>, OptionsError> {
        Options::read(line.split(' ').map(std::ffi::OsString::from))
    }

    #[test]
    fn a_full_line_is_read() {
        let options = read("--stage s --data d --entities e.json --port 7071 --flex 3 --auth").unwrap().unwrap();
        assert_eq!((options.port, options.flex, options.auth, options.faithful), (7071, Some(3), true, false));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        assert_eq!(read("--stage s --data d").unwrap_err().to_string(), "option --entities is missing");
        assert!(read("--stage s --data d --entities e --flex 0").is_err());
        assert!(read("--stage s --data d --entities e --port 99999").is_err());
        assert!(read("--stage s --data d --entities e --clock noon").is_err());
        assert!(read("--bogus").unwrap_err().to_string().contains("--bogus"));
        assert!(read("--help").unwrap().is_none());
    }
}
