//! As much of Kafka's protocol as these tests need, over a blocking socket: topics, reading back, quotas. It shares no
//! code with the broker, so that a mistake in one does not hide in the other.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How long a request is tried again, also while the node is away.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of records in one answer, about.
const FETCH_BYTES: i32 = 8 << 20;

/// A record as it stands in Kafka.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
}

impl Record {
    pub fn key(&self) -> &str {
        str::from_utf8(self.key.as_deref().unwrap_or_default()).expect("our keys are text")
    }

    pub fn value(&self) -> &str {
        str::from_utf8(self.value.as_deref().unwrap_or_default()).expect("our records are text")
    }
}

/// What is known of a batch from its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    pub offset: i64,
    pub records: i32,
    /// 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
    pub codec: i16,
    pub producer: i64,
}

/// A client that connects as it needs to, and tries again what fails.
pub struct Client {
    port: u16,
    stream: Option<TcpStream>,
    correlation: i32,
}

impl Client {
    pub fn new(port: u16) -> Client {
        Client { port, stream: None, correlation: 0 }
    }

    /// Makes a topic with this configuration and waits until it has leaders.
    pub fn create_topic(&mut self, name: &str, partitions: i32, configuration: &[(&str, &str)]) {
        let mut body = Body::default();
        body.i32(1).string(name).i32(partitions).i16(1).i32(0).i32(configuration.len() as i32);
        for (key, value) in configuration {
            body.string(key).string(value);
        }
        body.i32(30_000).i8(0);
        // CreateTopics v2
        self.until_done(|client| {
            let answer = client.request(19, 2, &body)?;
            let mut input = Input(&answer);
            input.skip(4 + 4)?;
            let name = input.string()?;
            match input.i16()? {
                // There already: an earlier attempt made it.
                0 | 36 => Ok(()),
                error => Err(failure(format!("topic {name}: error {error} {}", input.string()?))),
            }
        });
        self.until_done(|client| match client.try_partitions(name)? {
            Some(found) if found == partitions => Ok(()),
            found => Err(failure(format!("topic {name}: {found:?} partitions"))),
        });
    }

    /// How many partitions with a leader a topic has; `None` if there is no such topic.
    pub fn partitions(&mut self, topic: &str) -> Option<i32> {
        self.until_done(|client| client.try_partitions(topic))
    }

    fn try_partitions(&mut self, topic: &str) -> io::Result<Option<i32>> {
        let mut body = Body::default();
        body.i32(1).string(topic);
        // Metadata v1
        let answer = self.request(3, 1, &body)?;
        let mut input = Input(&answer);
        for _ in 0..input.i32()? {
            input.skip(4)?;
            input.string()?;
            input.skip(4)?;
            input.string()?;
        }
        input.skip(4 + 4)?;
        match input.i16()? {
            0 => {}
            // Unknown, or a name that cannot be.
            3 | 17 => return Ok(None),
            error => return Err(failure(format!("topic {topic}: error {error}"))),
        }
        input.string()?;
        input.skip(1)?;
        let count = input.i32()?;
        for _ in 0..count {
            let (error, _, leader) = (input.i16()?, input.i32()?, input.i32()?);
            if error != 0 || leader < 0 {
                return Err(failure(format!("a partition of {topic}: error {error}, leader {leader}")));
            }
            for _ in 0..2 {
                let nodes = input.i32()?;
                input.skip(4 * nodes as usize)?;
            }
        }
        Ok(Some(count))
    }

    /// Bytes a second that producers with this client id may send.
    pub fn set_producer_quota(&mut self, client_id: &str, bytes_a_second: f64) {
        let mut body = Body::default();
        body.i32(1).i32(1).string("client-id").string(client_id);
        body.i32(1).string("producer_byte_rate").i64(bytes_a_second.to_bits() as i64).i8(0).i8(0);
        // AlterClientQuotas v0
        self.until_done(|client| {
            let answer = client.request(49, 0, &body)?;
            let mut input = Input(&answer);
            input.skip(4 + 4)?;
            match input.i16()? {
                0 => Ok(()),
                error => Err(failure(format!("quota: error {error}"))),
            }
        });
    }

    /// All records of a topic, by partition and offset. The topic must be there.
    pub fn consume(&mut self, topic: &str) -> Vec<Record> {
        let mut reader = Reader::new(topic);
        reader.read(self);
        reader.records
    }

    /// What a partition has from an offset on, as one answer holds it, and where it ends at present.
    fn fetch(&mut self, topic: &str, partition: i32, offset: i64) -> io::Result<(Vec<u8>, i64)> {
        let mut body = Body::default();
        body.i32(-1).i32(0).i32(0).i32(FETCH_BYTES).i8(0);
        body.i32(1).string(topic).i32(1).i32(partition).i64(offset).i32(FETCH_BYTES);
        // Fetch v4
        let answer = self.request(1, 4, &body)?;
        let mut input = Input(&answer);
        input.skip(4 + 4)?;
        input.string()?;
        input.skip(4 + 4)?;
        let error = input.i16()?;
        if error != 0 {
            return Err(failure(format!("{topic}-{partition} at {offset}: error {error}")));
        }
        let end = input.i64()?;
        input.skip(8)?;
        let aborted = input.i32()?.max(0);
        input.skip(16 * aborted as usize)?;
        let len = input.i32()?.max(0);
        Ok((input.take(len as usize)?.to_vec(), end))
    }

    /// Tries until it works; fails after a minute.
    fn until_done<T>(&mut self, mut attempt: impl FnMut(&mut Client) -> io::Result<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match attempt(self) {
                Ok(done) => return done,
                Err(error) => {
                    assert!(Instant::now() < deadline, "Kafka on port {}: {error}", self.port);
                    self.stream = None;
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
        }
    }

    fn request(&mut self, key: i16, version: i16, body: &Body) -> io::Result<Vec<u8>> {
        let answer = self.exchange(key, version, body);
        if answer.is_err() {
            self.stream = None;
        }
        answer
    }

    fn exchange(&mut self, key: i16, version: i16, body: &Body) -> io::Result<Vec<u8>> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect(("127.0.0.1", self.port))?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(Duration::from_secs(30)))?;
                none.insert(stream)
            }
        };
        self.correlation += 1;
        let mut head = Body::default();
        head.i16(key).i16(version).i32(self.correlation).string("millrace-test");
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&((head.0.len() + body.0.len()) as i32).to_be_bytes());
        bytes.extend_from_slice(&head.0);
        bytes.extend_from_slice(&body.0);
        stream.write_all(&bytes)?;
        let mut len = [0; 4];
        stream.read_exact(&mut len)?;
        let mut answer = vec![0; u32::from_be_bytes(len) as usize];
        stream.read_exact(&mut answer)?;
        let correlation = Input(&answer).i32()?;
        assert_eq!(correlation, self.correlation, "an answer to something else");
        Ok(answer.split_off(4))
    }
}

/// Reads a topic on and on.
pub struct Reader {
    topic: String,
    /// Where each partition goes on.
    next: BTreeMap<i32, i64>,
    /// All so far; those of one partition in the order of their offsets.
    pub records: Vec<Record>,
    pub batches: Vec<Batch>,
}

impl Reader {
    pub fn new(topic: &str) -> Reader {
        Reader { topic: topic.to_owned(), next: BTreeMap::new(), records: Vec::new(), batches: Vec::new() }
    }

    /// Takes what is there, up to the present end of each partition. Records of compressed batches are left out: their
    /// headers are in `batches`.
    pub fn read(&mut self, client: &mut Client) {
        let partitions = client.partitions(&self.topic).unwrap_or_else(|| panic!("no topic {}", self.topic));
        for partition in 0..partitions {
            let next = self.next.entry(partition).or_insert(0);
            loop {
                let (bytes, end) = client.until_done(|client| client.fetch(&self.topic, partition, *next));
                let from = *next;
                let taken = take_batches(&bytes, partition, from, &mut self.records, &mut self.batches);
                *next = taken.unwrap_or_else(|error| panic!("{}-{partition}: {error}", self.topic)).max(from);
                if *next >= end {
                    break;
                }
                assert!(*next > from, "{}-{partition} stays at {from} of {end}", self.topic);
            }
        }
    }

    /// Takes what comes until `enough`; fails if that takes longer than `patience`.
    pub fn read_until(
        &mut self,
        client: &mut Client,
        patience: Duration,
        enough: impl Fn(&[Record]) -> bool,
    ) {
        let deadline = Instant::now() + patience;
        loop {
            self.read(client);
            if enough(&self.records) {
                return;
            }
            let last: Vec<_> = self.records.iter().rev().take(3).collect();
            assert!(
                Instant::now() < deadline,
                "{}: {} records after {patience:?}, the last {last:?}",
                self.topic,
                self.records.len()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Appends what stands at `from` or behind it, and returns where it ends. A batch that is cut off at the end is left for
/// the next time.
fn take_batches(
    bytes: &[u8],
    partition: i32,
    from: i64,
    records: &mut Vec<Record>,
    batches: &mut Vec<Batch>,
) -> io::Result<i64> {
    let (mut input, mut next) = (Input(bytes), from);
    while let (Ok(base), Ok(len)) = (input.i64(), input.i32()) {
        let Ok(batch) = input.take(len as usize) else { break };
        let mut batch = Input(batch);
        batch.skip(4)?;
        assert_eq!(batch.i8()?, 2, "magic of a record batch");
        batch.skip(4)?;
        let codec = batch.i16()? & 7;
        let last = base + i64::from(batch.i32()?);
        batch.skip(16)?;
        let producer = batch.i64()?;
        batch.skip(2 + 4)?;
        let count = batch.i32()?;
        next = last + 1;
        if last < from {
            continue;
        }
        batches.push(Batch { offset: base, records: count, codec, producer });
        for _ in 0..if codec == 0 { count } else { 0 } {
            let len = batch.varint()?;
            let mut record = Input(batch.take(len as usize)?);
            record.skip(1)?;
            record.varint()?;
            let offset = base + record.varint()?;
            let (key, value) = (record.nullable()?, record.nullable()?);
            if offset >= from {
                records.push(Record { partition, offset, key, value });
            }
        }
    }
    Ok(next)
}

fn failure(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// A request's body while it is written.
#[derive(Default)]
struct Body(Vec<u8>);

impl Body {
    fn i8(&mut self, value: i8) -> &mut Body {
        self.put(&value.to_be_bytes())
    }

    fn i16(&mut self, value: i16) -> &mut Body {
        self.put(&value.to_be_bytes())
    }

    fn i32(&mut self, value: i32) -> &mut Body {
        self.put(&value.to_be_bytes())
    }

    fn i64(&mut self, value: i64) -> &mut Body {
        self.put(&value.to_be_bytes())
    }

    fn string(&mut self, text: &str) -> &mut Body {
        self.i16(text.len() as i16).put(text.as_bytes())
    }

    fn put(&mut self, bytes: &[u8]) -> &mut Body {
        self.0.extend_from_slice(bytes);
        self
    }
}

/// An answer while it is read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> io::Result<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(len)
            .ok_or_else(|| failure(format!("{len} bytes of {}", self.0.len())))?;
        self.0 = rest;
        Ok(taken)
    }

    fn skip(&mut self, len: usize) -> io::Result<()> {
        self.take(len).map(drop)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("as many as taken"))
    }

    fn i8(&mut self) -> io::Result<i8> {
        self.array().map(i8::from_be_bytes)
    }

    fn i16(&mut self) -> io::Result<i16> {
        self.array().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> io::Result<i32> {
        self.array().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> io::Result<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// Empty for null.
    fn string(&mut self) -> io::Result<String> {
        let len = self.i16()?.max(0);
        Ok(String::from_utf8_lossy(self.take(len as usize)?).into_owned())
    }

    /// Zigzag, seven bits a byte.
    fn varint(&mut self) -> io::Result<i64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err(failure("an endless number".to_owned()))
    }

    fn nullable(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self.varint()? {
            -1 => Ok(None),
            len => self.take(len as usize).map(|bytes| Some(bytes.to_vec())),
        }
    }
}
