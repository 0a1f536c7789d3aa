//! The processes of one run, found by the folder that the run works in: every one of them has it in its
//! arguments or its environment, whoever its parent is by now.
use std::{
    fs,
    os::unix::ffi::OsStrExt,
    path::Path,
    process::{Command, Stdio},
};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    /// The program's name, at most 15 bytes. Source: proc(5), `/proc/pid/comm`.
    pub(crate) name: String,
    /// In clock ticks since boot. Source: proc(5), `/proc/pid/stat`, field 22.
    started: u64,
}

/// Processes that work in this folder, oldest first. What has ended but is not yet buried does not count.
pub(crate) fn of(folder: &Path) -> Vec<Process> {
    let ourselves = i32::try_from(std::process::id()).unwrap();
    let pids = fs::read_dir("/proc").unwrap().filter_map(|it| it.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let mut found: Vec<Process> = pids.filter(|it| *it != ourselves && names(*it, folder)).filter_map(read).collect();
    found.sort_by_key(|it| (it.started, it.pid));
    found
}

/// Does this process name the folder? A process that has gone names nothing.
fn names(pid: i32, folder: &Path) -> bool {
    let wanted = folder.as_os_str().as_bytes();
    ["cmdline", "environ"].iter().any(|part| {
        let text = fs::read(format!("/proc/{pid}/{part}")).unwrap_or_default();
        text.windows(wanted.len()).any(|it| it == wanted)
    })
}

fn read(pid: i32) -> Option<Process> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim_end().to_owned();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything, so fields are counted from behind it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let started = fields.get(19)?.parse().ok()?;
    (fields.first() != Some(&"Z")).then_some(Process { pid, name, started })
}

/// Sends a signal by name; one that comes too late is no fault.
pub(crate) fn signal(pid: i32, name: &str) {
    let mut kill = Command::new("kill");
    kill.arg(format!("-{name}")).arg(pid.to_string()).stderr(Stdio::null());
    kill.status().expect("there is a kill program");
}
