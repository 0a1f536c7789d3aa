//! Timers: the payload, schedules and what a restart makes up for, retry policies.
use serde_json::{Value, json};

use super::{super::Case, rig::Rig, with_sys_of};

/// The start with which a timer runs at once.
fn at_once() -> Value {
    json!({"runOnStartup": true})
}

/// The state of a timer in the newest of `count` calls.
fn state(rig: &Rig, name: &str, count: usize) -> Value {
    rig.await_received(name, count)[count - 1].json()["Data"]["timer"].clone()
}

/// `"IsPastDue":true` as a piece of the note writes it.
fn said(timer: &Value, name: &str) -> String {
    format!("{name}:{}", timer[name])
}

pub(super) async fn tick(case: &Case) {
    // A timer that is past due has a status, so the note's two facts come from one call each.
    let rig = Rig::new().timer("Tick", "0 */5 * * * *", &json!({}), &json!({}));
    rig_at(
        rig,
        "2024-05-01T09:58:00Z",
        |rig| rig.start().stop(),
        |rig| {
            let running = rig.start();
            let call = rig.await_received("Tick", 1).remove(0);
            assert!(call.head.starts_with(case.part("request")), "{}", call.head);
            let text = with_sys_of(call.text(), case.part("envelope"));
            let status = call.json()["Data"]["timer"]["ScheduleStatus"].to_string();
            assert_eq!(text.replace(&status_as_written(&text), "null"), case.part("envelope"), "{status}");
            running.stop();
        },
    );
    let rig = Rig::new().timer("Tick", "*/1 * * * * *", &json!({}), &json!({}));
    let _running = rig.start();
    assert_eq!(state(&rig, "Tick", 1)["ScheduleStatus"], Value::Null);
}

/// Runs `first` on a clock that begins at `moment`, and `then` on one that begins four minutes later.
fn rig_at(rig: Rig, moment: &str, first: impl Fn(&Rig), then: impl Fn(&Rig)) {
    let rig = rig.arguments(&["--clock", moment]);
    first(&rig);
    let later = moment.replace("09:58", "10:02");
    then(&rig.arguments(&["--clock", &later]));
}

fn status_as_written(text: &str) -> String {
    let start = text.find("\"ScheduleStatus\":").unwrap() + "\"ScheduleStatus\":".len();
    let end = start + text[start..].find('}').unwrap() + 1;
    text[start..end].to_owned()
}

pub(super) async fn schedules(case: &Case) {
    let schedule = case.part("schedule");
    // Planned at 10:02:30 for 10:05; the call that comes then shows what was planned.
    let rig =
        Rig::new().timer("Tick", schedule, &json!({}), &json!({})).arguments(&["--clock", "2024-05-01T10:02:30Z"]);
    rig.start().stop();
    assert_eq!(rig.received().iter().filter(|it| it.key == "Tick").count(), 0);
    let rig = rig.arguments(&["--clock", "2024-05-01T10:04:59Z"]);
    let running = rig.start();
    let timer = state(&rig, "Tick", 1);
    assert_eq!(timer["ScheduleStatus"]["Next"], "2024-05-01T10:05:00+00:00");
    assert_eq!(timer["ScheduleStatus"]["LastUpdated"], "2024-05-01T10:02:30+00:00");
    assert_eq!(timer["ScheduleStatus"]["Last"], "0001-01-01T00:00:00+00:00");
    assert_eq!(said(&timer, "IsPastDue"), case.part("in time"));
    running.stop();

    // 10:00 is stored and passes while nobody is there.
    let rig =
        Rig::new().timer("Tick", schedule, &json!({}), &json!({})).arguments(&["--clock", "2024-05-01T09:58:00Z"]);
    rig.start().stop();
    let rig = rig.arguments(&["--clock", "2024-05-01T10:02:00Z"]);
    let running = rig.start();
    let timer = state(&rig, "Tick", 1);
    assert_eq!(timer["ScheduleStatus"]["Next"], "2024-05-01T10:00:00+00:00");
    assert_eq!(said(&timer, "IsPastDue"), case.part("late"));
    rig.eventually("the stored plan", || {
        let logged = rig.log().contains("Timer `Tick` runs next at 2024-05-01 10:05:00");
        logged.then_some(())
    });
    running.stop();
    let rig = rig.arguments(&["--clock", "2024-05-01T10:04:59Z"]);
    let running = rig.start();
    let timer = state(&rig, "Tick", 2);
    assert_eq!(timer["ScheduleStatus"]["Next"], "2024-05-01T10:05:00+00:00");
    assert_eq!(said(&timer, "IsPastDue"), case.part("in time"));
    running.stop();

    let on_startup = json!({case.part("on startup"): true});
    let rig =
        Rig::new().timer("Tick", schedule, &on_startup, &json!({})).arguments(&["--clock", "2024-05-01T10:02:00Z"]);
    let running = rig.start();
    assert_eq!(said(&state(&rig, "Tick", 1), "IsPastDue"), case.part("in time"));
    running.stop();

    let rig = Rig::new()
        .timer("Tick", case.part("often"), &json!({}), &json!({}))
        .arguments(&["--clock", "2024-05-01T10:00:09Z"]);
    let running = rig.start();
    assert_eq!(said(&state(&rig, "Tick", 1), "ScheduleStatus"), case.part("no status"));
    running.stop();
}

pub(super) async fn retries(case: &Case) {
    let retry = json!({"retry": {"strategy": "fixedDelay", "maxRetryCount": 2, "delayInterval": "00:00:00.01"}});
    let rig = Rig::new()
        .timer("Tick", "0 0 0 1 1 *", &at_once(), &retry)
        .script(&json!({"answers": {"Tick": [{"status": 500}]}}));
    let running = rig.start();
    let calls = rig.await_received("Tick", 3);
    let shown = case.part("retry context").split('…').next().unwrap();
    for (count, call) in calls.iter().enumerate() {
        let expected = shown.replace("\"RetryCount\":0", &format!("\"RetryCount\":{count}"));
        assert!(call.text().contains(&expected), "{}", call.text());
    }
    rig.eventually("the end of the retries", || rig.log().contains("Timer function `Tick` failed").then_some(()));
    running.stop();
    assert_eq!(rig.received().iter().filter(|it| it.key == "Tick").count(), 3);
}
