//! Batches that the service takes and rolls back: the answer is a success, 207, and says inside which operation was
//! refused. The emulator refuses none for a reason that passes by itself.
use std::sync::Mutex;

use serde_json::{Value, json};

/// An operation that failed only because another one of its batch did. Source: Cosmos DB, "Transactional batch".
const FAILED_DEPENDENCY: u16 = 424;

#[derive(Default)]
pub(crate) struct RolledBack(Mutex<Order>);

#[derive(Default)]
struct Order {
    left: u32,
    status: u16,
    wait_ms: u64,
}

impl RolledBack {
    pub(crate) fn order(&self, count: u32, status: u16, wait_ms: u64) {
        *self.0.lock().unwrap() = Order { left: count, status, wait_ms };
    }

    pub(crate) fn left(&self) -> u32 {
        self.0.lock().unwrap().left
    }

    /// What a batch of so many operations is answered, if it is to be rolled back.
    pub(crate) fn answer(&self, operations: usize) -> Option<String> {
        let mut order = self.0.lock().unwrap();
        order.left = order.left.checked_sub(1)?;
        let refused =
            json!({ "statusCode": order.status, "retryAfterMilliseconds": order.wait_ms, "requestCharge": 0.38 });
        let others = json!({ "statusCode": FAILED_DEPENDENCY, "requestCharge": 0 });
        let answers: Vec<Value> = (0..operations).map(|it| if it == 0 { &refused } else { &others }.clone()).collect();
        Some(Value::Array(answers).to_string())
    }
}
