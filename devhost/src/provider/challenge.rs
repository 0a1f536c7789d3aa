//! The page on which a buyer approves or declines a payment: plain HTML that works with a keyboard, a screen reader and no scripts.
//!
//! What must stay true: it shows what is paid and for what before it asks; every text from outside is escaped; and a page that has
//! been answered says so instead of asking again.
use http::StatusCode;

use super::fold::{Payment, Status};
use crate::rest::{self, Reply, escape_html};

fn html(status: StatusCode, title: &str, content: &str) -> Reply {
    let text = format!(
        r#"<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>body{{font:1.125rem/1.5 system-ui,sans-serif;max-width:34rem;margin:2rem auto;padding:0 1rem}}dt{{font-weight:600}}dd{{margin:0 0 .75rem}}button{{font:inherit;padding:.6rem 1.4rem;margin-right:1rem}}</style>
</head>
<body><main><h1>{title}</h1>
{content}
</main></body>
</html>
"#
    );
    rest::page(status, "text/html; charset=utf-8", text)
}

/// Asks, or says how it ended.
pub(super) fn show(payment: &Payment) -> Reply {
    let facts = format!(
        "<dl><dt>Amount</dt><dd>{} {}</dd><dt>Checkout</dt><dd>{}</dd></dl>",
        shown_amount(payment.amount, &payment.currency),
        escape_html(&payment.currency),
        escape_html(&payment.checkout_id)
    );
    let back = "<p>Go back to the shop and complete your order there.</p>";
    let (title, rest) = match &payment.status {
        Status::ActionRequired => (
            "Confirm your payment",
            r#"<p>This is the sandbox's bank. No money moves. Answer, then go back to the shop and complete your order there.</p>
<form method="post"><button name="answer" value="approve">Approve</button><button name="answer" value="decline">Decline</button></form>"#
                .to_owned(),
        ),
        Status::Authorised => ("Payment approved", back.to_owned()),
        Status::Declined { .. } => {
            ("Payment declined", "<p>Nothing was charged. Go back to the shop to choose another way to pay.</p>".to_owned())
        }
        Status::Voided => ("Payment cancelled", "<p>The shop gave this payment up. Nothing is charged.</p>".to_owned()),
    };
    html(StatusCode::OK, title, &format!("{facts}\n{rest}"))
}

pub(super) fn unknown() -> Reply {
    html(StatusCode::NOT_FOUND, "No such payment", "<p>The sandbox's bank knows no payment of this name.</p>")
}

pub(super) fn not_understood() -> Reply {
    html(StatusCode::BAD_REQUEST, "Answer not understood", "<p>Go back one page and choose Approve or Decline.</p>")
}

/// Digits after the point as ISO 4217 has them: none for yen and its like, three for dinars, else two.
fn shown_amount(minor: i64, currency: &str) -> String {
    let digits = match currency {
        "JPY" | "KRW" | "CLP" | "ISK" | "VND" | "UGX" | "XAF" | "XOF" | "XPF" | "PYG" | "RWF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        _ => 2,
    };
    let scale = 10_i64.pow(digits);
    match digits {
        0 => minor.to_string(),
        _ => format!("{}.{:0width$}", minor / scale, minor % scale, width = usize::try_from(digits).unwrap_or(2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_currencys_digits() {
        assert_eq!(shown_amount(1_999, "EUR"), "19.99");
        assert_eq!(shown_amount(5, "GBP"), "0.05");
        assert_eq!(shown_amount(1_999, "JPY"), "1999");
        assert_eq!(shown_amount(1_999, "KWD"), "1.999");
    }
}
