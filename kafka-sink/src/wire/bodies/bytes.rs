//! Kafka's primitive types. Flexible versions write lengths as varints and end each structure
//! with tagged fields; a body says once which of both it is and then reads the same.

/// What a peer sent is not what the protocol says, or ended too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

const SHORT: Malformed = Malformed("it ends too early");
const LENGTH: Malformed = Malformed("a length is negative");

/// An answer being read. Nothing is allocated on the peer's word: every element of an array takes
/// bytes of the message.
pub(crate) struct Input<'a> {
    rest: &'a [u8],
    flexible: bool,
}

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8], flexible: bool) -> Input<'a> {
        Input { rest: bytes, flexible }
    }

    /// Bytes not yet read.
    pub(crate) fn len(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(SHORT)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(SHORT)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn i8(&mut self) -> Result<i8, Malformed> {
        Ok(i8::from_be_bytes(self.array()?))
    }

    pub(crate) fn i16(&mut self) -> Result<i16, Malformed> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub(crate) fn i32(&mut self) -> Result<i32, Malformed> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Malformed> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub(crate) fn uuid(&mut self) -> Result<[u8; 16], Malformed> {
        self.array()
    }

    /// An unsigned varint of at most 32 bits.
    fn varint(&mut self) -> Result<usize, Malformed> {
        let mut value = 0u64;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return usize::try_from(value).map_err(|_| Malformed("a varint is too large"));
            }
        }
        Err(Malformed("a varint is too long"))
    }

    /// A length that may be null: as i32, or as varint of one more.
    fn long_length(&mut self) -> Result<Option<usize>, Malformed> {
        if self.flexible {
            return Ok(self.varint()?.checked_sub(1));
        }
        match self.i32()? {
            -1 => Ok(None),
            len => usize::try_from(len).map(Some).map_err(|_| LENGTH),
        }
    }

    fn string_length(&mut self) -> Result<Option<usize>, Malformed> {
        if self.flexible {
            return Ok(self.varint()?.checked_sub(1));
        }
        match self.i16()? {
            -1 => Ok(None),
            len => usize::try_from(len).map(Some).map_err(|_| LENGTH),
        }
    }

    pub(crate) fn nullable_string(&mut self) -> Result<Option<&'a str>, Malformed> {
        let Some(len) = self.string_length()? else { return Ok(None) };
        let text = std::str::from_utf8(self.take(len)?);
        text.map(Some).map_err(|_| Malformed("a text is not UTF-8"))
    }

    pub(crate) fn string(&mut self) -> Result<&'a str, Malformed> {
        self.nullable_string()?.ok_or(Malformed("a text is missing"))
    }

    /// Bytes or records; null reads as none.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.long_length()?.unwrap_or(0);
        self.take(len)
    }

    /// The elements of an array, null as none. Each element has to take bytes, or a count alone
    /// could keep us busy.
    pub(crate) fn list<T>(
        &mut self,
        mut element: impl FnMut(&mut Input<'a>) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let count = self.long_length()?.unwrap_or(0);
        let mut list = Vec::new();
        for _ in 0..count {
            list.push(element(self)?);
        }
        Ok(list)
    }

    /// An array whose elements are of no interest.
    pub(crate) fn skip_list<T>(
        &mut self,
        mut element: impl FnMut(&mut Input<'a>) -> Result<T, Malformed>,
    ) -> Result<(), Malformed> {
        for _ in 0..self.long_length()?.unwrap_or(0) {
            element(self)?;
        }
        Ok(())
    }

    /// The end of a structure: tagged fields, none of which we know.
    pub(crate) fn end(&mut self) -> Result<(), Malformed> {
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.varint()? {
            self.varint()?;
            let len = self.varint()?;
            self.take(len)?;
        }
        Ok(())
    }
}

/// A request being written.
pub(crate) struct Output<'a> {
    pub(crate) out: &'a mut Vec<u8>,
    flexible: bool,
}

impl<'a> Output<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>, flexible: bool) -> Output<'a> {
        Output { out, flexible }
    }

    pub(crate) fn i8(&mut self, value: i8) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn i16(&mut self, value: i16) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn i32(&mut self, value: i32) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }

    /// Texts are names of topics and settings, far below the 32 KiB that fit.
    pub(crate) fn string(&mut self, text: &str) {
        let text = text.get(..text.len().min(i16::MAX as usize)).unwrap_or_default();
        if self.flexible {
            self.varint(text.len() as u32 + 1);
        } else {
            self.i16(text.len() as i16);
        }
        self.raw(text.as_bytes());
    }

    pub(crate) fn null_string(&mut self) {
        if self.flexible { self.varint(0) } else { self.i16(-1) }
    }

    /// The count of an array whose elements follow.
    pub(crate) fn count(&mut self, count: usize) {
        let count = i32::try_from(count).unwrap_or(i32::MAX - 1);
        if self.flexible { self.varint(count as u32 + 1) } else { self.i32(count) }
    }

    /// The end of a structure: no tagged fields.
    pub(crate) fn end(&mut self) {
        if self.flexible {
            self.out.push(0);
        }
    }
}
