//! The B and D cases against the dev host's binary, with the stub handler in the handler's place.
//!
//! Each case starts a dev host on a stage of its own. Moments come from its `--clock` and time-outs from settings, so no case
//! waits for time to pass; what is waited for are requests that are bound to come.
mod events;
mod front;
mod lifecycle;
mod messages;
mod restarts;
mod rig;
mod timers;
mod wire;

use serde_json::Value;

use super::runs;

runs! {
    B1 => lifecycle::readiness,
    B2 => timers::tick,
    B3 => messages::body,
    B4 => messages::text,
    B5 => messages::json_string,
    B6 => messages::hidden_metadata,
    B7 => messages::bytes,
    B8 => messages::batch,
    B9 => events::one,
    B10 => events::many,
    B17 => timers::retries,
    B22 => messages::success,
    B33 => messages::failure,
    B34 => messages::refused_shapes,
    B35 => messages::empty_answers,
    D18 => messages::headers,
    D19 => front::forwarding,
    D20 => front::chunked_uploads,
    D38 => lifecycle::crashes,
    D39 => lifecycle::silent_start,
    D40 => front::routes,
    D41 => front::keys,
    D42 => messages::admin,
    D43 => messages::dead_letter,
    D45 => events::checkpoint,
    D47 => timers::schedules,
    D48 => front::load_errors,
}

/// `text` with the two values of `sys` that are new in every request replaced by those of `like`, after their form was checked.
fn with_sys_of(text: &str, like: &str) -> String {
    let sys = |text: &str| {
        let root: Value = serde_json::from_str(text).unwrap();
        let sys = &root["Metadata"]["sys"];
        ["UtcNow", "RandGuid"].map(|name| sys[name].as_str().unwrap().to_owned())
    };
    let (have, want) = (sys(text), sys(like));
    let form = |text: &str| text.replace(|it: char| it.is_ascii_digit() || ('a'..='f').contains(&it), "0");
    for (have, want) in have.iter().zip(&want) {
        assert_eq!(form(have), form(want));
    }
    text.replace(&have[0], &want[0]).replace(&have[1], &want[1])
}
