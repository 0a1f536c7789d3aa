//! Programs under load: started on one core, asked over HTTP, read from outside by what the system counts.
use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{child, failure::Failure};

/// Longest wait for a first answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest wait for any one read or write of a socket.
const SOCKET: Duration = Duration::from_secs(5);
/// Between two tries to reach a program that is starting: short beside the milliseconds measured.
const RETRY: Duration = Duration::from_micros(200);

/// A program that listens on a port; dropping it kills it.
pub(super) struct Server {
    child: Child,
    pub(super) port: u16,
}

impl Server {
    /// Starts `program` on its core and waits until it answers this path.
    pub(super) fn start(
        program: &Path,
        path: &str,
        prepare: impl FnOnce(&mut Command, u16),
    ) -> Result<Server, Failure> {
        let port = free_port()?;
        let mut command = child::command(Path::new("taskset"))?;
        command.args(["-c", &cores()?.0]).arg(program);
        prepare(&mut command, port);
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().map_err(Failure::file("start", program))?;
        let server = Server { child, port };
        first_answer(port, path)?;
        Ok(server)
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Processor time used so far, user and system, in ticks of which there are [`ticks_per_second`].
    /// Source: proc(5), `/proc/pid/stat`, fields 14 and 15.
    pub(super) fn ticks(&self) -> Result<u64, Failure> {
        let stat = self.proc("stat")?;
        let fields = stat.rsplit_once(')').map_or("", |it| it.1);
        let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|it| it.parse::<u64>().ok());
        Ok(ticks.sum())
    }

    /// Memory in use, in KiB. Source: proc(5), `/proc/pid/status`, `VmRSS`.
    pub(super) fn resident_kib(&self) -> Result<u64, Failure> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
        let value = line.and_then(|it| it.split_whitespace().next()?.parse().ok());
        value.ok_or_else(|| Failure::new("the system does not say how much memory is in use"))
    }

    fn proc(&self, name: &str) -> Result<String, Failure> {
        let path = format!("/proc/{}/{name}", self.child.id());
        fs::read_to_string(&path).map_err(Failure::file("read", Path::new(&path)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The core of the server under load, and that of the load tool: another one if we are given two.
pub(super) fn cores() -> Result<(String, String), Failure> {
    let path = Path::new("/proc/self/status");
    let status = fs::read_to_string(path).map_err(Failure::file("read", path))?;
    let list = status.lines().find_map(|it| it.strip_prefix("Cpus_allowed_list:")).unwrap_or_default();
    Ok(first_and_last(list))
}

/// From a list such as `0-1` or `2,4-7`. Source: proc(5), `Cpus_allowed_list`.
fn first_and_last(list: &str) -> (String, String) {
    let mut cores = list.trim().split([',', '-']).filter(|it| !it.is_empty());
    let first = cores.next().unwrap_or("0").to_owned();
    let last = cores.next_back().map_or_else(|| first.clone(), str::to_owned);
    (first, last)
}

/// Source: `sysconf(_SC_CLK_TCK)`, as the system's own `getconf` prints it.
pub(super) fn ticks_per_second() -> Result<u64, Failure> {
    let output =
        Command::new("getconf").arg("CLK_TCK").output().map_err(Failure::file("start", Path::new("getconf")))?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().map_err(|_| Failure::new(format!("getconf CLK_TCK says {text:?}")))
}

/// The handler as the dev host would start it, with the goods in `data`.
pub(super) struct Handler {
    pub(super) server: Server,
    /// Path of one product, warm by now.
    pub(super) product: String,
    /// Something that can be bought.
    pub(super) sku: String,
}

impl Handler {
    pub(super) fn start(program: &Path, data: &Path) -> Result<Handler, Failure> {
        let list = "/api/v1/products?limit=1";
        let server = Server::start(program, list, |command, port| environment(command, data, port))?;
        let products = json(&get(server.port, list)?)?;
        let text = |pointer: &str| {
            let found = products.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
            found.ok_or_else(|| Failure::new(format!("the shop lists no product: {products}")))
        };
        let product = format!("/api/v1/products/{}", text("/items/0/slug")?);
        let sku = text("/items/0/variants/0/sku")?;
        get(server.port, &product)?;
        Ok(Handler { server, product, sku })
    }
}

/// What the dev host tells a handler. No dev host is there: what is measured here sends nothing out.
pub(super) fn environment(command: &mut Command, data: &Path, port: u16) {
    command.env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string());
    command.env("OFFPEAK_MODE", "local").env("OFFPEAK_DATA", data).env("OFFPEAK_DEVHOST_URL", "http://127.0.0.1:1");
    command.current_dir(data);
}

/// A port that was free just now.
pub(super) fn free_port() -> Result<u16, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|it| it.local_addr());
    listener.map(|it| it.port()).map_err(|err| Failure::new(format!("there is no free port: {err}")))
}

/// An answer as it came: head, empty line, body.
pub(super) struct Raw {
    pub(super) head: String,
    pub(super) body: String,
}

/// Asks again and again until there is an answer with status 200.
pub(super) fn first_answer(port: u16, path: &str) -> Result<(), Failure> {
    let until = Instant::now() + PATIENCE;
    loop {
        match get(port, path) {
            Ok(raw) if raw.head.starts_with("HTTP/1.1 200") => return Ok(()),
            Ok(raw) if Instant::now() > until => {
                return Err(Failure::new(format!("{path} is answered by {}: {}", raw.head, raw.body)));
            }
            Err(failure) if Instant::now() > until => return Err(failure),
            _ => thread::sleep(RETRY),
        }
    }
}

/// One request on a connection of its own, with nothing between us and the socket.
pub(super) fn get(port: u16, path: &str) -> Result<Raw, Failure> {
    let exchange = || {
        let mut stream = TcpStream::connect_timeout(&SocketAddrV4::new(Ipv4Addr::LOCALHOST, port).into(), SOCKET)?;
        stream.set_read_timeout(Some(SOCKET))?;
        stream.set_write_timeout(Some(SOCKET))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok::<_, std::io::Error>(text)
    };
    let text = exchange().map_err(|err| Failure::new(format!("GET {path}: {err}")))?;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    Ok(Raw { head: head.to_owned(), body: body.to_owned() })
}

pub(super) fn json(raw: &Raw) -> Result<Value, Failure> {
    serde_json::from_str(&raw.body).map_err(|err| Failure::new(format!("{err} in {}: {}", raw.head, raw.body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_and_load_have_a_core_each_where_there_are_two() {
        let of = |list: &str| first_and_last(list);
        assert_eq!(of("\t0-1\n"), ("0".to_owned(), "1".to_owned()));
        assert_eq!(of("2,4-7"), ("2".to_owned(), "7".to_owned()));
        assert_eq!(of("3"), ("3".to_owned(), "3".to_owned()));
    }
}
