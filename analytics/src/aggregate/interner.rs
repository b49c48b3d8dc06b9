//! Keys as small numbers in the order in which they first occur.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use polars::prelude::{Column, DataType, IntoColumn, NamedFrom, Series};

use super::AggregateError;

/// A fast hash of short keys, without a defence against keys that are chosen to collide: a file of those is only read slowly.
/// Multiplication and the finaliser of SplitMix64 (Steele, Lea and Flood 2014).
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Mix(u64);

pub(super) type Mixed = BuildHasherDefault<Mix>;

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        let mut z = self.0;
        z = (z ^ (z >> 32)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z ^ (z >> 29)
    }

    fn write(&mut self, bytes: &[u8]) {
        let (eights, rest) = bytes.as_chunks::<8>();
        for eight in eights {
            self.write_u64(u64::from_le_bytes(*eight));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.write_u64(u64::from_le_bytes(last) ^ (rest.len() as u64) << 56);
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(value.into());
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(value.into());
    }

    fn write_i32(&mut self, value: i32) {
        self.write_u64(value.cast_unsigned().into());
    }

    fn write_i64(&mut self, value: i64) {
        self.write_u64(value.cast_unsigned());
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0 ^ value)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(23);
    }
}

/// Which number followed which: files mostly repeat the order of their rows, and a guess that is compared is cheaper than a hash.
#[derive(Debug, Default, Clone)]
pub(super) struct Order {
    last: usize,
    after: Vec<u32>,
}

impl Order {
    /// The number that followed the last one when it occurred before.
    fn guess(&self) -> Option<usize> {
        self.after.get(self.last).map(|&number| number as usize)
    }

    /// Takes note of the number that came instead of the guess.
    fn learn(&mut self, number: u32) {
        if self.after.len() <= self.last {
            self.after.resize(self.last + 1, 0);
        }
        self.after[self.last] = number;
    }
}

/// Pairs of numbers by number.
#[derive(Debug, Default, Clone)]
pub(super) struct Pairs {
    numbers: HashMap<u64, u32, Mixed>,
    pairs: Vec<(u32, u32)>,
    order: Order,
}

impl Pairs {
    /// The number of a pair, and whether it is new.
    pub(super) fn number(&mut self, first: u32, second: u32) -> (u32, bool) {
        let guess = self.order.guess();
        if let Some(guess) = guess
            && self.pairs[guess] == (first, second)
        {
            self.order.last = guess;
            return (guess as u32, false);
        }
        let next = self.pairs.len() as u32;
        let key = u64::from(first) << 32 | u64::from(second);
        let number = *self.numbers.entry(key).or_insert(next);
        if number == next {
            self.pairs.push((first, second));
        }
        self.order.learn(number);
        self.order.last = number as usize;
        (number, number == next)
    }

    pub(super) fn pair(&self, number: u32) -> (u32, u32) {
        self.pairs[number as usize]
    }
}

/// The values of one key column by number.
#[derive(Debug)]
pub(super) enum Keys {
    Integers {
        numbers: HashMap<i64, u32, Mixed>,
        keys: Vec<i64>,
    },
    Texts {
        numbers: HashMap<String, u32, Mixed>,
        keys: Vec<String>,
        order: Order,
    },
}

impl Keys {
    /// Room for the keys of a column of this kind.
    pub(super) fn of(name: &str, dtype: &DataType) -> Result<Self, AggregateError> {
        if dtype.is_integer() && *dtype != DataType::UInt64 {
            Ok(Self::Integers {
                numbers: HashMap::default(),
                keys: Vec::new(),
            })
        } else if dtype.is_string() || dtype.is_categorical() || dtype.is_enum() {
            Ok(Self::Texts {
                numbers: HashMap::default(),
                keys: Vec::new(),
                order: Order::default(),
            })
        } else {
            Err(AggregateError::Column {
                column: name.to_owned(),
                found: dtype.to_string(),
                expected: "text or whole numbers",
            })
        }
    }

    /// Calls with the number of every row's key.
    pub(super) fn number(
        &mut self,
        column: &Column,
        mut with: impl FnMut(Option<u32>),
    ) -> Result<(), AggregateError> {
        match self {
            Self::Integers { numbers, keys } => {
                let column = column.cast(&DataType::Int64)?;
                // Neighbours often have one key.
                let mut known = None;
                for key in column.i64()?.iter() {
                    let Some(key) = key else {
                        with(None);
                        continue;
                    };
                    let number = match known {
                        Some((same, number)) if same == key => number,
                        _ => *numbers.entry(key).or_insert_with(|| {
                            keys.push(key);
                            keys.len() as u32 - 1
                        }),
                    };
                    known = Some((key, number));
                    with(Some(number));
                }
            }
            Self::Texts {
                numbers,
                keys,
                order,
            } => {
                let column = column.cast(&DataType::String)?;
                for key in column.str()?.iter() {
                    // A quoted cell of a CSV file with nothing in it is empty too.
                    let Some(key) = key.filter(|key| !key.is_empty()) else {
                        with(None);
                        continue;
                    };
                    if let Some(guess) = order.guess()
                        && keys[guess] == key
                    {
                        order.last = guess;
                        with(Some(guess as u32));
                        continue;
                    }
                    let number = match numbers.get(key) {
                        Some(number) => *number,
                        None => {
                            let number = keys.len() as u32;
                            keys.push(key.to_owned());
                            numbers.insert(key.to_owned(), number);
                            number
                        }
                    };
                    order.learn(number);
                    order.last = number as usize;
                    with(Some(number));
                }
            }
        }
        Ok(())
    }

    /// A column of the keys with these numbers.
    pub(super) fn column(&self, name: &str, numbers: &[u32]) -> Column {
        match self {
            Self::Integers { keys, .. } => {
                let values: Vec<i64> = numbers.iter().map(|&n| keys[n as usize]).collect();
                Series::new(name.into(), values).into_column()
            }
            Self::Texts { keys, .. } => {
                let values: Vec<&str> =
                    numbers.iter().map(|&n| keys[n as usize].as_str()).collect();
                Series::new(name.into(), values).into_column()
            }
        }
    }
}
