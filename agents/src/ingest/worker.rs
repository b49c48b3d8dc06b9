//! The worker process: confine yourself, read the request, parse, write frames. Everything it is told comes through
//! standard input and everything it says goes through standard output.

use std::io::{BufRead, Write};

use analytics::ingest::Item;
use domain::{Error, ErrorKind};

use super::frame::{Frame, Request};

/// Items in one frame at most.
const ITEMS: usize = 500;

/// Longest request line, in bytes: a mapping is a page of text, not a file.
const REQUEST_BYTES: u64 = 4 << 20;

/// Parses one file from `input` and writes its frames to `output`. What is wrong with the file is told in a frame.
///
/// # Errors
/// When the parent is gone, or said something that is no request.
pub fn work(mut input: impl BufRead, output: impl Write) -> Result<(), Error> {
    let mut line = String::new();
    std::io::Read::take(&mut input, REQUEST_BYTES)
        .read_line(&mut line)
        .map_err(|error| gone(&error))?;
    let request: Request = serde_json::from_str(&line).map_err(|error| {
        Error::new(
            ErrorKind::Internal,
            "ingest.request",
            format!("the parsing process was not told what to do: {error}"),
        )
    })?;
    let mut sink = Sink::new(output, request.skip);
    let result = request.limits.confine().and_then(|()| {
        analytics::ingest::parse(
            input,
            &request.mapping,
            &request.limits.of_parser(),
            &analytics::cancel::never,
            &mut |item| sink.take(item),
        )
    });
    match result {
        Ok(summary) => sink
            .flush()
            .and_then(|()| sink.write(&Frame::End { summary })),
        Err(error) if error.code == PARENT_GONE => Err(error),
        // What was parsed before the error is still good: it was in the file, in this order.
        Err(error) => sink
            .flush()
            .and_then(|()| sink.write(&Frame::failed(&error))),
    }
}

const PARENT_GONE: &str = "ingest.parent_gone";

fn gone(error: &std::io::Error) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        PARENT_GONE,
        format!("nobody listens to the parsing process: {error}"),
    )
}

/// Collects items into frames and leaves the first `skip` of them out.
struct Sink<W> {
    output: W,
    skip: u64,
    next: u64,
    values: Vec<super::frame::NamedValue>,
    rejects: Vec<domain::ingest::Reject>,
}

impl<W: Write> Sink<W> {
    fn new(output: W, skip: u64) -> Self {
        Self {
            output,
            skip,
            next: 0,
            values: Vec::with_capacity(ITEMS),
            rejects: Vec::new(),
        }
    }

    fn take(&mut self, item: Item<'_>) -> Result<(), Error> {
        self.next += 1;
        if self.next <= self.skip {
            return Ok(());
        }
        match item {
            Item::Value(value) => self.values.push(value.into()),
            Item::Reject(reject) => self.rejects.push(reject),
        }
        if self.values.len() + self.rejects.len() >= ITEMS {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> Result<(), Error> {
        if self.values.is_empty() && self.rejects.is_empty() {
            return Ok(());
        }
        let frame = Frame::Items {
            values: std::mem::take(&mut self.values),
            rejects: std::mem::take(&mut self.rejects),
            end: self.next,
        };
        self.write(&frame)
    }

    fn write(&mut self, frame: &Frame) -> Result<(), Error> {
        let mut line = serde_json::to_vec(frame).expect("a frame is plain data");
        line.push(b'\n');
        self.output
            .write_all(&line)
            .and_then(|()| self.output.flush())
            .map_err(|error| gone(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(skip: u64) -> Vec<Frame> {
        let date = |day| chrono::NaiveDate::from_ymd_opt(2024, 1, day).expect("a date");
        let mut output = Vec::new();
        let mut sink = Sink::new(&mut output, skip);
        for day in 1..=7 {
            let item = if day == 3 {
                Item::Reject(domain::ingest::Reject {
                    line: 4,
                    column: String::new(),
                    code: "row.columns".into(),
                    message: "is short".into(),
                    raw: "x".into(),
                })
            } else {
                Item::Value(analytics::ingest::Value {
                    project: "p",
                    brand: "b",
                    role: domain::brand::BrandRole::Primary,
                    metric: "m",
                    period: date(day),
                    granularity: domain::metric::Granularity::Day,
                    value: f64::from(day),
                })
            };
            sink.take(item).expect("a vector takes everything");
        }
        sink.flush().expect("a vector takes everything");
        String::from_utf8(output)
            .expect("JSON")
            .lines()
            .map(|line| serde_json::from_str(line).expect("a frame"))
            .collect()
    }

    #[test]
    fn what_is_durable_already_is_not_sent_again_and_the_numbering_stays() {
        for skip in 0..=7 {
            let sent: usize = frames(skip)
                .iter()
                .map(|frame| match frame {
                    Frame::Items {
                        values,
                        rejects,
                        end,
                    } => {
                        assert_eq!(*end, 7);
                        values.len() + rejects.len()
                    }
                    _ => panic!("only items"),
                })
                .sum();
            assert_eq!(sent as u64, 7 - skip);
        }
    }
}
