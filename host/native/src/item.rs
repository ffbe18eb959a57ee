//! The data of a frame: items, each an identifier, a length and a value.
//!
//! Invariant: no bytes make this panic; a text that is no UTF-8, a number of another size and an item
//! that runs beyond the data are errors with the identifier in them. Identifiers that nobody knows are
//! passed over, so that tables may grow. Not here: which items a command has (ask, answer).

use crate::words::value as kind;
use polymeter_transcript::{Credit, Decimal, LocalTime, Value};

/// What is wrong with the data of an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ItemsError {
    #[error("data that ends within an item")]
    Short,
    #[error("no item {0:04X}, which this answer must have")]
    Missing(u16),
    #[error("an item {0:04X} of {1} bytes, which is no length for it")]
    Length(u16, usize),
    #[error("an item {0:04X} that is not UTF-8")]
    Text(u16),
    #[error("a result {0}, which this host does not know")]
    Result(u8),
    #[error("an item {0:04X} whose value is of kind {1}, which this host does not know")]
    Kind(u16, u8),
    #[error("a card of kind {0}, which this host does not know")]
    CardKind(u8),
    #[error("an answer to command {0:02X} instead of {1:02X}")]
    Command(u8, u8),
}

type Read<T> = Result<T, ItemsError>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    pub identifier: u16,
    pub value: &'a [u8],
}

/// The items of one frame in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Items<'a>(Vec<Item<'a>>);

impl<'a> Items<'a> {
    pub fn parse(data: &'a [u8]) -> Read<Items<'a>> {
        let mut items = Vec::new();
        let mut rest = data;
        while !rest.is_empty() {
            let (head, after) = rest.split_first_chunk::<4>().ok_or(ItemsError::Short)?;
            let [high, low, length_high, length_low] = *head;
            let length = usize::from(u16::from_be_bytes([length_high, length_low]));
            let (value, after) = after.split_at_checked(length).ok_or(ItemsError::Short)?;
            items.push(Item { identifier: u16::from_be_bytes([high, low]), value });
            rest = after;
        }
        Ok(Items(items))
    }

    pub fn all(&self, identifier: u16) -> impl Iterator<Item = Field<'a>> {
        let found = self.0.iter().filter(move |item| item.identifier == identifier);
        found.map(|item| Field { identifier: item.identifier, rest: item.value })
    }

    /// The first of its kind.
    pub fn find(&self, identifier: u16) -> Option<Field<'a>> {
        self.all(identifier).next()
    }

    pub fn need(&self, identifier: u16) -> Read<Field<'a>> {
        self.find(identifier).ok_or(ItemsError::Missing(identifier))
    }
}

/// The value of one item, read from its front.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    identifier: u16,
    rest: &'a [u8],
}

impl<'a> Field<'a> {
    fn length(&self) -> ItemsError {
        ItemsError::Length(self.identifier, self.rest.len())
    }

    fn take<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or_else(|| self.length())?;
        self.rest = rest;
        Ok(*taken)
    }

    /// What was read is all there is.
    fn ended<T>(self, value: T) -> Read<T> {
        if self.rest.is_empty() { Ok(value) } else { Err(self.length()) }
    }

    pub fn u8(mut self) -> Read<u8> {
        let [byte] = self.take()?;
        self.ended(byte)
    }

    pub fn u16(mut self) -> Read<u16> {
        let value = u16::from_be_bytes(self.take()?);
        self.ended(value)
    }

    pub fn u32(mut self) -> Read<u32> {
        let value = u32::from_be_bytes(self.take()?);
        self.ended(value)
    }

    pub fn text(self) -> Read<String> {
        let text = std::str::from_utf8(self.rest).map_err(|_| ItemsError::Text(self.identifier))?;
        Ok(text.to_owned())
    }

    fn take_credit(&mut self) -> Read<Credit> {
        let quantity = u16::from_be_bytes(self.take()?);
        Ok(Credit { quantity, amount: u64::from_be_bytes(self.take()?) })
    }

    pub fn credit(mut self) -> Read<Credit> {
        let credit = self.take_credit()?;
        self.ended(credit)
    }

    /// A count, then a credit.
    pub fn counted(mut self) -> Read<(u32, Credit)> {
        let count = u32::from_be_bytes(self.take()?);
        let credit = self.take_credit()?;
        self.ended((count, credit))
    }

    fn take_time(&mut self) -> Read<LocalTime> {
        let [high, low, month, day, hour, minute, second] = self.take()?;
        let year = u16::from_be_bytes([high, low]);
        Ok(LocalTime { year, month, day, hour, minute, second })
    }

    /// One byte of length, then a text of it.
    pub fn take_name(&mut self) -> Read<String> {
        let [length] = self.take()?;
        let cut = self.rest.split_at_checked(length.into()).ok_or_else(|| self.length())?;
        let name = std::str::from_utf8(cut.0).map_err(|_| ItemsError::Text(self.identifier))?;
        self.rest = cut.1;
        Ok(name.to_owned())
    }

    /// A byte that says which kind, then all that is left.
    pub fn value(mut self) -> Read<Value> {
        let [of] = self.take()?;
        match of {
            kind::NUMBER => {
                let mantissa = i64::from_be_bytes(self.take()?);
                let [scale] = self.take()?;
                let value = Value::Number(Decimal { mantissa, scale: scale.cast_signed() });
                self.ended(value)
            }
            kind::TEXT => Ok(Value::Text(self.text()?)),
            kind::FLAG => {
                let [flag] = self.take()?;
                self.ended(Value::Flag(flag != 0))
            }
            kind::BYTES => Ok(Value::Bytes(self.rest.to_vec())),
            kind::TIME => {
                let time = self.take_time()?;
                self.ended(Value::Time(time))
            }
            other => Err(ItemsError::Kind(self.identifier, other)),
        }
    }

    /// A name, then a value.
    pub fn named(mut self) -> Read<(String, Value)> {
        let name = self.take_name()?;
        Ok((name, self.value()?))
    }

    /// Six bytes of a register, its unit, its quality, and the value.
    pub fn register(mut self) -> Read<(String, u16, u16, Value)> {
        let [a, b, c, d, e, f] = self.take()?;
        let unit = u16::from_be_bytes(self.take()?);
        let [quality] = self.take()?;
        Ok((format!("{a}.{b}.{c}.{d}.{e}.{f}"), unit, quality.into(), self.value()?))
    }

    pub fn take_u16(&mut self) -> Read<u16> {
        Ok(u16::from_be_bytes(self.take()?))
    }

    pub fn take_flag(&mut self) -> Read<bool> {
        let [flag] = self.take()?;
        Ok(flag != 0)
    }

    /// A flag, and if it is set a whole number.
    pub fn take_bound(&mut self) -> Read<Option<i64>> {
        let is_there = self.take_flag()?;
        is_there.then(|| self.take().map(i64::from_be_bytes)).transpose()
    }

    /// The value that is left, if anything is.
    pub fn rest(self) -> Read<Option<Value>> {
        if self.rest.is_empty() { Ok(None) } else { self.value().map(Some) }
    }
}

/// Writes items; an item that is too long makes the frame too long, which is told there.
#[derive(Debug, Default, Clone)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub fn item(&mut self, identifier: u16, value: &[u8]) -> &mut Self {
        // Beyond what 16 bits can say the frame has no room either.
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        self.bytes.extend(identifier.to_be_bytes());
        self.bytes.extend(length.to_be_bytes());
        self.bytes.extend(value);
        self
    }

    pub fn time(&mut self, identifier: u16, time: &LocalTime) -> &mut Self {
        self.item(identifier, &time_bytes(time))
    }

    pub fn credit(&mut self, identifier: u16, credit: &Credit) -> &mut Self {
        let Credit { quantity, amount } = credit;
        let value = [quantity.to_be_bytes().as_slice(), &amount.to_be_bytes()].concat();
        self.item(identifier, &value)
    }

    /// Names of more than 255 bytes are cut, which is more than any parameter's may have.
    pub fn named(&mut self, identifier: u16, name: &str, value: &Value) -> &mut Self {
        let name = name.get(..name.floor_char_boundary(255)).unwrap_or_default();
        let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
        let bytes = [&[length], name.as_bytes(), &value_bytes(value)].concat();
        self.item(identifier, &bytes)
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

fn time_bytes(time: &LocalTime) -> [u8; 7] {
    let [high, low] = time.year.to_be_bytes();
    [high, low, time.month, time.day, time.hour, time.minute, time.second]
}

fn value_bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::Number(Decimal { mantissa, scale }) => {
            let scale = scale.cast_unsigned();
            [&[kind::NUMBER], mantissa.to_be_bytes().as_slice(), &[scale]].concat()
        }
        Value::Text(text) => [&[kind::TEXT], text.as_bytes()].concat(),
        Value::Flag(flag) => vec![kind::FLAG, u8::from(*flag)],
        Value::Bytes(bytes) => [&[kind::BYTES], bytes.as_slice()].concat(),
        Value::Time(time) => [&[kind::TIME], time_bytes(time).as_slice()].concat(),
    }
}
