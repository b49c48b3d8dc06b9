//! Signals: progress ticks and "look again" for open pages. Lossy by contract.
//!
//! A bounded broadcast within the process: a reader that falls behind is told how many it missed and reads the truth
//! from the database. Nothing correct may depend on a signal.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::broadcast;

/// A hint that something is worth looking at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Whom it concerns; readers keep to their own scope.
    pub scope: String,
    /// What to look at, dotted: `run.progress`.
    pub topic: String,
    /// Ids and figures, small.
    pub body: Value,
}

/// What a reader gets.
#[derive(Clone, Debug, PartialEq)]
pub enum Received {
    /// A signal.
    Signal(Signal),
    /// The reader was too slow and missed this many.
    Missed(u64),
}

/// The sending side. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Signals {
    sender: broadcast::Sender<Signal>,
}

impl Signals {
    /// A broadcast that keeps `capacity` signals for its slowest reader.
    pub fn new(capacity: usize) -> Self {
        Self {
            sender: broadcast::channel(capacity.max(1)).0,
        }
    }

    /// Sends a signal to whoever listens, perhaps nobody.
    pub fn send(&self, signal: Signal) {
        // An error only means that nobody listens.
        let _ = self.sender.send(signal);
    }

    /// Listens from now on.
    pub fn subscribe(&self) -> SignalStream {
        SignalStream {
            receiver: self.sender.subscribe(),
        }
    }

    /// Readers at the moment.
    pub fn listeners(&self) -> usize {
        self.sender.receiver_count()
    }
}

/// The receiving side.
#[derive(Debug)]
pub struct SignalStream {
    receiver: broadcast::Receiver<Signal>,
}

impl SignalStream {
    /// The next signal; `None` when every sender is gone.
    pub async fn recv(&mut self) -> Option<Received> {
        match self.receiver.recv().await {
            Ok(signal) => Some(Received::Signal(signal)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Received::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tick(number: u32) -> Signal {
        Signal {
            scope: "org".into(),
            topic: "run.progress".into(),
            body: json!(number),
        }
    }

    #[tokio::test]
    async fn a_slow_reader_is_told_what_it_missed_and_then_reads_on() {
        let signals = Signals::new(4);
        let mut reader = signals.subscribe();
        for number in 0..10 {
            signals.send(tick(number));
        }
        assert_eq!(reader.recv().await, Some(Received::Missed(6)));
        assert_eq!(reader.recv().await, Some(Received::Signal(tick(6))));
        drop(signals);
        for _ in 7..10 {
            assert!(matches!(reader.recv().await, Some(Received::Signal(_))));
        }
        assert_eq!(reader.recv().await, None);
    }

    #[tokio::test]
    async fn sending_to_nobody_is_no_error() {
        Signals::new(1).send(tick(1));
    }
}
