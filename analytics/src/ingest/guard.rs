//! A reader that counts: too many bytes in all, or in one record, end the parse instead of the memory.

use std::{
    cell::Cell,
    io::{self, Read},
    rc::Rc,
};

use domain::{Error, ErrorKind};

use super::Limits;

/// Bytes read at once.
pub(super) const BUFFER: usize = 64 * 1024;

/// A limit that was exceeded, as it travels through the reader.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Exceeded {
    #[error("the file has more than {0} bytes")]
    Bytes(u64),
    #[error("a record has more than {0} bytes")]
    Record(u64),
}

impl From<Exceeded> for Error {
    fn from(exceeded: Exceeded) -> Self {
        let (code, advice) = match exceeded {
            Exceeded::Bytes(_) => (
                "ingest.too_many_bytes",
                "split the file, or raise the limit",
            ),
            Exceeded::Record(_) => (
                "ingest.record_too_long",
                "look for a quote that is opened and never closed",
            ),
        };
        Self::new(ErrorKind::TooLarge, code, exceeded.to_string()).advise(advice)
    }
}

/// The counters, shared between the reader and the loop over its records.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    total: Rc<Cell<u64>>,
    record: Rc<Cell<u64>>,
    max_total: u64,
    max_record: u64,
}

impl Meter {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            total: Rc::default(),
            record: Rc::default(),
            max_total: limits.max_bytes,
            max_record: limits.max_record_bytes,
        }
    }

    /// The record before is finished.
    pub(super) fn next_record(&self) {
        self.record.set(0);
    }
}

/// The counting reader.
pub(super) struct Guard<R> {
    inner: R,
    meter: Meter,
}

impl<R> Guard<R> {
    pub(super) fn new(inner: R, meter: Meter) -> Self {
        Self { inner, meter }
    }
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let meter = &self.meter;
        meter.total.set(meter.total.get() + count as u64);
        meter.record.set(meter.record.get() + count as u64);
        if meter.total.get() > meter.max_total {
            return Err(io::Error::other(Exceeded::Bytes(meter.max_total)));
        }
        // What one call brings may hold the end of this record and many more.
        if meter.record.get() > meter.max_record + 2 * BUFFER as u64 {
            return Err(io::Error::other(Exceeded::Record(meter.max_record)));
        }
        Ok(count)
    }
}
