//! From the start of a process with nothing on its disk to its first list of the model, where every object is 20 ms away
//! and 50 MB of them come in a second: the small file answers while the whole one is on its way.
use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    Effort, Programs, median,
    recommend::{FIRST, goods},
    recommendations::{LARGE_ITEMS, speed},
    server::{environment, free_port, get, json},
    table::{Table, Unit, Wanted},
};
use crate::{child, failure::Failure, tools};

/// For sale, of those that sessions know: the best known.
const ITEMS: usize = 1_000;
/// Longest wait for a list of a model.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two questions.
const RETRY: Duration = Duration::from_millis(1);
/// Starts that are waited for until the whole model answers.
const WHOLE_STARTS: usize = 3;

pub(super) fn measure(
    programs: &Programs,
    evaluation: &Path,
    effort: Effort,
    table: &mut Table,
) -> Result<(), Failure> {
    let place = tempfile::tempdir().map_err(Failure::file("make", Path::new("a folder for the data")))?;
    let (data, files) = (place.path().join("data"), place.path().join("files"));
    for folder in [&data, &files] {
        fs::create_dir_all(folder).map_err(Failure::file("make", folder))?;
    }
    goods(&programs.handler, &data, ITEMS)?;
    let sessions = effort.sessions.to_string();
    speed(evaluation, &files, &["--first", "--sessions", &sessions, "--items", LARGE_ITEMS])?;
    let azurite = Azurite::start()?;
    let far = Far::start(&programs.far_objects, &azurite.endpoint, &files)?;

    let (mut first, mut whole, mut listed) = (Vec::new(), Vec::new(), 0);
    for turn in 0..=effort.starts {
        let mut started = Started::begin(&programs.handler, &data, &far.said["settings"])?;
        let seen = started.until(|it| it["modelVersion"] == far.said["first"] && is_of_a_model(it))?;
        if turn > 0 {
            first.push(seen.took);
            listed += u64::from(seen.before > 0);
        }
        if turn > 0 && turn <= WHOLE_STARTS {
            whole.push(started.until(|it| it["modelVersion"] == far.said["whole"])?.took);
        }
    }
    let (target, none) = (Wanted::AtMost(300_000), Wanted::Nothing);
    let row = |part: &str| format!("empty disk, objects at 20 ms and 50 MB/s: {part}");
    table.promised(&row("start to first recommendation"), median(first), Unit::Milliseconds, target, none);
    table.shown(&row("starts whose first answer was a listing"), listed, Unit::Count);
    table.shown(&row("start to the whole model"), median(whole), Unit::Milliseconds);
    let figure = |name: &str| far.said[name].as_u64().unwrap_or(0);
    table.shown(&row("the first-stage file"), figure("firstBytes"), Unit::Megabytes);
    table.shown(&row("the whole file"), figure("wholeBytes"), Unit::Megabytes);
    table.shown(&row("of it Azurite's own time, on this machine"), figure("ownUs"), Unit::Milliseconds);
    Ok(())
}

/// Whether the sessions of others speak from this list.
fn is_of_a_model(list: &Value) -> bool {
    list["items"].as_array().is_some_and(|it| it.iter().any(|it| it["reason"]["kind"] == "seen_with"))
}

/// Plays Azure Blob Storage; ends with this.
struct Azurite {
    child: Child,
    endpoint: String,
}

impl Azurite {
    fn start() -> Result<Azurite, Failure> {
        let mut command = child::command(Path::new("node"))?;
        command.arg(tools::azurite()?).args(["--blobHost", "127.0.0.1", "--blobPort", "0", "--silent"]);
        command.args(["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]);
        let listens = |line: &str| line.split_once("successfully listens on ").map(|(_, url)| url.trim().to_owned());
        let (child, url) = said(command, listens)?;
        Ok(Azurite { child, endpoint: format!("{url}/devstoreaccount1") })
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// The same objects, far away; ends with this.
struct Far {
    child: Child,
    said: Value,
}

impl Far {
    fn start(program: &Path, azurite: &str, files: &Path) -> Result<Far, Failure> {
        let mut command = child::command(program)?;
        command.arg(azurite).arg(files.join("first")).arg(files.join("model"));
        let (child, said) = said(command, |line| serde_json::from_str(line).ok())?;
        Ok(Far { child, said })
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn end(child: &mut Child) {
    child.kill().ok();
    child.wait().ok();
}

/// Starts a program and waits for the line that is understood.
fn said<T>(mut command: Command, understood: impl Fn(&str) -> Option<T>) -> Result<(Child, T), Failure> {
    let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = started.map_err(|err| Failure::new(format!("{command:?} does not start: {err}")))?;
    let mut lines = child.stdout.take().into_iter().flat_map(|it| BufReader::new(it).lines()).map_while(Result::ok);
    let Some(found) = lines.find_map(|it| understood(&it)) else {
        end(&mut child);
        return Err(Failure::new(format!("{command:?} ended early")));
    };
    // What it goes on to print is not read by anyone; a full pipe would stop it.
    thread::spawn(move || lines.for_each(drop));
    Ok((child, found))
}

/// A handler with no model on its disk; ends with this.
struct Started {
    child: Child,
    port: u16,
    at: Instant,
}

struct Answered {
    /// Microseconds since the start.
    took: u64,
    /// Other answers before.
    before: usize,
}

impl Started {
    fn begin(program: &Path, data: &Path, settings: &Value) -> Result<Started, Failure> {
        let models = data.join("models");
        if models.exists() {
            fs::remove_dir_all(&models).map_err(Failure::file("empty", &models))?;
        }
        let port = free_port()?;
        let mut command = Command::new(program);
        environment(&mut command, data, port);
        let settings = settings.as_object().into_iter().flatten();
        command.envs(settings.filter_map(|(name, value)| Some((name, value.as_str()?))));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let at = Instant::now();
        let child = command.spawn().map_err(Failure::file("start", program))?;
        Ok(Started { child, port, at })
    }

    /// Asks until the list is this one.
    fn until(&mut self, is_this: impl Fn(&Value) -> bool) -> Result<Answered, Failure> {
        let mut before = 0;
        loop {
            let answer = get(self.port, FIRST).ok().filter(|it| it.head.starts_with("HTTP/1.1 200"));
            let list = answer.as_ref().map(json).transpose()?;
            if list.as_ref().is_some_and(&is_this) {
                let took = u64::try_from(self.at.elapsed().as_micros()).unwrap_or(u64::MAX);
                return Ok(Answered { took, before });
            }
            if self.at.elapsed() > PATIENCE {
                return Err(Failure::new(format!("waited in vain for a model; the last answer: {list:?}")));
            }
            before += usize::from(list.is_some());
            thread::sleep(RETRY);
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}
