//! Builds the command that starts the handler, and the small step that ties the handler's life to the dev host's.
//!
//! A handler must not outlive a dev host that is killed. The kernel can promise that only from inside the child, so the dev
//! host starts itself with [`EXEC_HANDLER`], which asks the kernel for it and then becomes the handler.
use std::{
    ffi::OsString,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Stdio,
};

use nix::sys::{prctl, signal::Signal};
use tokio::process::Command;

use crate::{host_json::HandlerDescription, settings::Settings};

/// First argument of the dev host when it is to become the handler: then the dev host's process id, the program, its arguments.
pub const EXEC_HANDLER: &str = "exec-handler";
/// Exit code when the handler's program could not be started.
const NOT_STARTED: u8 = 127;

/// Everything that is the same for each start of the handler.
#[derive(Debug, Clone)]
pub struct Launch {
    pub description: HandlerDescription,
    pub stage: PathBuf,
    pub settings: Settings,
}

impl Launch {
    /// The handler's program: a file under the worker directory, or else a command of the search path.
    #[must_use]
    pub fn program(&self) -> PathBuf {
        let expanded = self.settings.expand_or_remove(&self.description.executable, &[]);
        let under = self.under_stage(&self.description.worker_directory).join(&expanded);
        if under.is_file() { under } else { PathBuf::from(expanded) }
    }

    /// The command for one process on `port`; `folder` replaces the working folder and the place for temporary files.
    pub(super) fn command(&self, port: u16, folder: Option<&Path>) -> Command {
        let worker_id = uuid::Uuid::new_v4().to_string();
        let protocol = [
            ("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string()),
            ("FUNCTIONS_HTTPWORKER_PORT", port.to_string()),
            ("FUNCTIONS_CUSTOMHANDLER_WORKER_ID", worker_id.clone()),
            ("FUNCTIONS_HTTPWORKER_ID", worker_id),
            ("FUNCTIONS_APP_ROOT_PATH", self.stage.display().to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value));
        let mut command = Command::new("/proc/self/exe");
        command
            .arg(EXEC_HANDLER)
            .arg(std::process::id().to_string())
            .arg(self.program())
            .args(self.arguments(&protocol))
            .envs(self.settings.iter())
            .envs(protocol)
            .current_dir(
                folder.map_or_else(|| self.under_stage(&self.description.working_directory), Path::to_path_buf),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some(folder) = folder {
            command.env("TMPDIR", folder);
        }
        command
    }

    /// Arguments are joined by spaces without quoting, so one that holds a space splits; the worker path is quoted.
    fn arguments(&self, extra: &[(String, String)]) -> Vec<String> {
        let split = |list: &[String]| {
            let joined = list.iter().map(|it| self.settings.expand_or_remove(it, extra)).collect::<Vec<_>>().join(" ");
            joined.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        let worker_path = self.settings.expand_or_remove(&self.description.worker_path, extra);
        let worker_path = Some(worker_path).filter(|it| !it.is_empty());
        let mut arguments = split(&self.description.arguments);
        arguments.extend(worker_path);
        arguments.extend(split(&self.description.worker_arguments));
        arguments
    }

    fn under_stage(&self, folder: &str) -> PathBuf {
        if folder.is_empty() { self.stage.clone() } else { self.stage.join(folder) }
    }
}

/// Becomes the handler; returns an exit code only when that failed.
#[must_use]
pub fn exec_handler(mut arguments: impl Iterator<Item = OsString>) -> u8 {
    let parent = arguments.next().and_then(|it| it.into_string().ok()).and_then(|it| it.parse::<i32>().ok());
    let Some(program) = arguments.next() else { return NOT_STARTED };
    if let Err(fault) = prctl::set_pdeathsig(Signal::SIGKILL) {
        eprintln!("the handler's life could not be tied to the dev host's: {fault}");
        return NOT_STARTED;
    }
    // The dev host may have died before the kernel was asked.
    if parent != Some(nix::unistd::getppid().as_raw()) {
        return NOT_STARTED;
    }
    let fault = std::process::Command::new(&program).args(arguments).exec();
    eprintln!("{} could not be started: {fault}", Path::new(&program).display());
    NOT_STARTED
}
