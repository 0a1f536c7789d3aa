//! The probe server in a process of its own, which can be killed and whose log can be read.
use std::{
    net::{Ipv4Addr, TcpListener},
    process::{Child, Command, Stdio},
    time::Duration,
};

use offpeak::shared::{host::limits::Limits, telemetry};

use super::probe::{PATIENCE, Wire, start_on};

/// Makes [`serve_until_killed`] serve; holds the port.
const PORT: &str = "OFFPEAK_TEST_VICTIM_PORT";

/// A port that nobody uses at the moment.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Not a test of its own but what [`Victim::start`] starts; without the variable it has nothing to do.
#[tokio::test]
async fn serve_until_killed() {
    #[expect(clippy::disallowed_methods, reason = "a message from the test that starts this process")]
    let port = std::env::var(PORT);
    if let Ok(port) = port {
        telemetry::init("info");
        let _host = start_on(port.parse().unwrap(), Limits::default()).await;
        std::future::pending::<()>().await;
    }
}

/// This program, started again as a server. Dropping it kills it.
pub(crate) struct Victim {
    child: Child,
    port: u16,
}

impl Victim {
    pub(crate) fn start(port: u16) -> Victim {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "host::victim::serve_until_killed", "--nocapture"])
            .env(PORT, port.to_string())
            .stdout(Stdio::piped())
            .spawn();
        Victim { child: child.unwrap(), port }
    }

    /// A connection, as soon as it listens.
    pub(crate) async fn reach(&self) -> Wire {
        let connected = async {
            loop {
                if let Some(wire) = Wire::connect((Ipv4Addr::LOCALHOST, self.port).into()).await {
                    return wire;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, connected).await.expect("the server did not come up")
    }

    /// Ends it by SIGKILL; what it has written to standard output.
    pub(crate) fn killed(&mut self) -> Vec<String> {
        self.child.kill().unwrap();
        let mut stdout = self.child.stdout.take().unwrap();
        let text = std::io::read_to_string(&mut stdout).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // It may be gone already.
        self.child.kill().unwrap_or_default();
        self.child.wait().unwrap();
    }
}
