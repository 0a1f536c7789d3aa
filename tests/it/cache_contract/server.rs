//! A Redis server of the test's own, in a folder of its own, ended with it.
use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::given;

pub(crate) struct Redis {
    child: Child,
    pub(crate) port: u16,
    arguments: Vec<String>,
    folder: TempDir,
}

impl Redis {
    /// One server without anything special.
    pub(crate) fn start() -> Redis {
        Redis::with("--port", &[])
    }

    /// `port` is the option that says where it listens; `FOLDER` in an argument is the server's own folder.
    pub(crate) fn with(port: &str, arguments: &[&str]) -> Redis {
        Redis::inside(tempfile::tempdir().unwrap(), port, arguments)
    }

    pub(crate) fn inside(folder: TempDir, port_option: &str, arguments: &[&str]) -> Redis {
        let path = folder.path().to_str().unwrap().to_owned();
        let mut all: Vec<String> =
            ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", &path].map(str::to_owned).to_vec();
        all.extend(arguments.iter().map(|it| it.replace("FOLDER", &path)));
        for _ in 0..20 {
            // Free a moment ago; if somebody was faster, the server ends and another one is tried.
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut arguments = vec![port_option.to_owned(), port.to_string()];
            arguments.extend(all.iter().cloned());
            if let Some(child) = launch(&arguments) {
                return Redis { child, port, arguments, folder };
            }
        }
        panic!("no Redis server starts with {all:?}");
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the server's own client answers.
    pub(crate) fn cli(&self, words: &[&str]) -> String {
        let program = given::path(given::REDIS).with_file_name("redis-cli");
        let output = Command::new(program).args(["-p", &self.port.to_string()]).args(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Sends a signal by its name, such as `STOP`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(status.unwrap().success());
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).unwrap();
    }

    /// Starts it again where it was, with nothing in it.
    pub(crate) fn start_again(&mut self) {
        self.child = launch(&self.arguments).expect("the server starts again");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have been killed by the test.
        self.child.kill().and_then(|()| self.child.wait()).ok();
    }
}

/// `None` if it ends before it listens.
fn launch(arguments: &[String]) -> Option<Child> {
    let mut command = Command::new(given::path(given::REDIS));
    let mut child = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = |line: &String| line.contains("Ready to accept connections");
    // What it says later goes nowhere.
    if lines.map_while(Result::ok).any(|line| ready(&line)) {
        return Some(child);
    }
    child.wait().unwrap();
    None
}
