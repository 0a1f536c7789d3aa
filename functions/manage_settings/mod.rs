//! `GET` and `PUT /api/v1/manage/settings`: how the store sells, for staff.
//!
//! Members that a `PUT` leaves out keep their value; lists are replaced whole. A write names what it saw
//! (`If-Match`, `*` for whatever it is), so two people cannot undo each other unseen.
use offpeak_domain::code::Code;

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::settings,
    views::settings::{SettingsBody, SettingsView},
};

/// Five hundred tax rows and a thousand limits.
const BODY_MAX_BYTES: usize = 512 * 1024;

pub(super) const ROOM: Room<App> = Room::http("manage_settings", include_str!("function.json"))
    .get(|app, call| answering(show(app, call)))
    .put(|app, call| answering(change(app, call)))
    .body_max(BODY_MAX_BYTES);

async fn show(app: &App, call: Call) -> Result<Reply, Problem> {
    app.staff(&call, "read_settings").await?;
    let seen = settings::read(&app.shop).await?;
    let seen =
        seen.ok_or_else(|| Problem::new(Code::NotFound, "The store has no settings yet. Make them with PUT."))?;
    Ok(Reply::ok(&SettingsView::from(&seen.value))?.etag(&seen.etag.0))
}

async fn change(app: &App, call: Call) -> Result<Reply, Problem> {
    let caller = app.staff(&call, "write_settings").await?;
    let body: SettingsBody = call.json()?;
    let expected = call
        .if_match()?
        .ok_or_else(|| Problem::new(Code::PreconditionRequired, "Send the ETag you read as If-Match, or *."))?;
    let before = settings::before_change(&app.shop, body.currency()?).await?;
    let after = body.parse(&before)?;
    let seen = settings::write(&app.shop, &before, expected, after, &caller.subject).await?;
    Ok(Reply::ok(&SettingsView::from(&seen.value))?.etag(&seen.etag.0))
}
