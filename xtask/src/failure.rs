//! Why a command ends without having done its work: one sentence for a person, one exit code for a script.
use std::{fmt, io, path::Path};

/// Exit code for a command line that cannot be understood. Source: the convention of the shell's own tools.
const USAGE: u8 = 2;

#[derive(Debug)]
pub(crate) struct Failure {
    text: String,
    code: u8,
}

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Failure {
        Failure { text: text.into(), code: 1 }
    }

    pub(crate) fn usage(text: impl Into<String>) -> Failure {
        Failure { text: text.into(), code: USAGE }
    }

    /// Ends with another program's exit code; 0 would look like success, so it becomes 1.
    pub(crate) fn with_code(text: impl Into<String>, code: i32) -> Failure {
        Failure { text: text.into(), code: u8::try_from(code).ok().filter(|it| *it != 0).unwrap_or(1) }
    }

    /// `cannot <action> <path>: <cause>`
    pub(crate) fn file(action: &str, path: &Path) -> impl FnOnce(io::Error) -> Failure {
        let text = format!("cannot {action} {}", path.display());
        move |cause| Failure::new(format!("{text}: {cause}"))
    }

    pub(crate) fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<lexopt::Error> for Failure {
    fn from(err: lexopt::Error) -> Failure {
        Failure::usage(err.to_string())
    }
}
