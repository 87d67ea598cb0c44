use super::*;

fn plain(text: &str) -> Raw {
    Raw::Plain(text.to_owned())
}

fn text(text: &str) -> Raw {
    Raw::Text(text.to_owned())
}

fn list(items: &[&str]) -> Raw {
    Raw::List(items.iter().map(|item| (*item).to_owned()).collect())
}

/// Each kind with each type of value, and `Err` with a part of the message.
#[test]
fn values() {
    let number = Kind::Number { min: 1, max: 10, unit: "things" };
    let size = Kind::Size { min: 1024, max: 4096 };
    let time = Kind::Time { min: Duration::from_millis(100), max: Duration::from_secs(60) };
    let short = Kind::Text { max: 4 };
    let string = |s: &str| Ok(Value::Text(s.to_owned()));
    let millis = |ms| Ok(Value::Time(Duration::from_millis(ms)));
    let strings = |items: &[&str]| Ok(Value::List(items.iter().map(|item| (*item).to_owned()).collect()));
    let cases: Vec<(Kind, Raw, Result<Value, &str>)> = vec![
        (Kind::Flag, Raw::Flag(true), Ok(Value::Flag(true))),
        (Kind::Flag, plain("false"), Ok(Value::Flag(false))),
        (Kind::Flag, plain("yes"), Err("expected true or false, found \"yes\"")),
        (Kind::Flag, text("true"), Err("expected true or false, found a string")),
        (Kind::Flag, Raw::Integer(1), Err("expected true or false, found an integer")),
        (number, Raw::Integer(1), Ok(Value::Number(1))),
        (number, Raw::Integer(10), Ok(Value::Number(10))),
        (number, plain("10"), Ok(Value::Number(10))),
        (number, Raw::Integer(0), Err("0 is below the minimum of 1")),
        (number, Raw::Integer(-1), Err("-1 is below the minimum of 1")),
        (number, Raw::Integer(i64::MIN), Err("below the minimum")),
        (number, Raw::Integer(11), Err("11 is above the maximum of 10")),
        (number, Raw::Integer(i64::MAX), Err("above the maximum")),
        (number, plain("99999999999999999999"), Err("above the maximum")),
        (number, plain("ten"), Err("expected a whole number, found \"ten\"")),
        (number, plain(""), Err("expected a whole number")),
        (number, text("10"), Err("expected a whole number, found a string")),
        (number, Raw::Flag(true), Err("found a boolean")),
        (number, Raw::Other("a number with a fraction"), Err("found a number with a fraction")),
        (size, Raw::Integer(1024), Ok(Value::Number(1024))),
        (size, text("4KiB"), Ok(Value::Number(4096))),
        (size, plain("2kB"), Ok(Value::Number(2000))),
        (size, text("1023"), Err("1023B is below the minimum of 1KiB")),
        (size, Raw::Integer(-1), Err("below the minimum of 1KiB")),
        (size, text("4097B"), Err("4097B is above the maximum of 4KiB")),
        (size, text("4 KiB"), Err("is not a size")),
        (size, Raw::Flag(true), Err("expected a size in bytes such as \"64KiB\", found a boolean")),
        (time, text("100ms"), millis(100)),
        (time, text("1m"), millis(60_000)),
        (time, plain("1s500ms"), millis(1_500)),
        (time, text("99ms"), Err("99ms is below the minimum of 100ms")),
        (time, text("1m1ms"), Err("1m1ms is above the maximum of 1m")),
        (time, Raw::Integer(10), Err("expected a time with its unit such as \"30s\", found an integer")),
        (time, text("10"), Err("is not a time")),
        (short, text("name"), string("name")),
        (short, text(""), Err("expected 1 to 4 bytes, found 0")),
        (short, text("names"), Err("expected 1 to 4 bytes, found 5")),
        (short, text("a\nb"), Err("holds a control character")),
        (short, list(&["a"]), Err("found a list")),
        (Kind::Path, text("./data"), string("./data")),
        (Kind::Path, text(""), Err("cannot be empty")),
        (Kind::Path, text("a\0b"), Err("zero byte")),
        (Kind::Address, text("127.0.0.1:1883"), Ok(Value::Address(([127, 0, 0, 1], 1883).into()))),
        (Kind::Address, text("[::]:0"), Ok(Value::Address((std::net::Ipv6Addr::UNSPECIFIED, 0).into()))),
        (Kind::Address, text("localhost:1883"), Err("is not ADDRESS:PORT")),
        (Kind::Address, text("127.0.0.1"), Err("is not ADDRESS:PORT")),
        (Kind::Address, text("127.0.0.1:65536"), Err("is not ADDRESS:PORT")),
        (Kind::Address, Raw::Integer(1883), Err("found an integer")),
        (Kind::Servers, list(&["a:1", "[::1]:2"]), strings(&["a:1", "[::1]:2"])),
        (Kind::Servers, list(&[]), strings(&[])),
        (Kind::Servers, plain("a:1, b:2"), strings(&["a:1", "b:2"])),
        (Kind::Servers, text("a:1"), strings(&["a:1"])),
        (Kind::Servers, plain(""), strings(&[])),
        (Kind::Servers, text(""), Err("\"\" is not HOST:PORT")),
        (Kind::Servers, plain("a:1,"), Err("\"\" is not HOST:PORT")),
        (Kind::Servers, list(&["a"]), Err("\"a\" is not HOST:PORT")),
        (Kind::Servers, Raw::Flag(true), Err("expected a list such as")),
        (Kind::Protocol, text("mqtt"), Ok(Value::Protocol(Protocol::Mqtt))),
        (Kind::Protocol, text("mqt"), Err("is none of mqtt; did you mean mqtt?")),
        (Kind::Event, text("message.acked"), Ok(Value::Event(EventKind::MessageAcked))),
        (Kind::Event, text("message.ack"), Err("did you mean message.acked?")),
        (Kind::Event, text("Message.Acked"), Err("did you mean message.acked?")),
        (Kind::Filter, text("devices/+/state"), string("devices/+/state")),
        (Kind::Filter, text("#"), string("#")),
        (Kind::Filter, text(""), Err("is not a topic filter")),
        (Kind::Filter, text("a/#/b"), Err("is not a topic filter")),
        (Kind::Filter, text("a+"), Err("is not a topic filter")),
        (Kind::Filter, text("$share/g/a"), Err("cannot be shared")),
        (Kind::Filter, text("$share/g"), Err("is not a topic filter")),
        (Kind::Stream, text("message_state"), string("message_state")),
        (Kind::Stream, text(".."), Err("is not a Kafka topic name")),
        (Kind::Stream, text("a/b"), Err("is not a Kafka topic name")),
        (Kind::Stream, text(""), Err("is not a Kafka topic name")),
        (Kind::Durability, text("log"), Ok(Value::Durability(Durability::Log))),
        (Kind::Durability, plain("memory"), Ok(Value::Durability(Durability::Memory))),
        (Kind::Durability, text("kafka"), Ok(Value::Durability(Durability::Kafka))),
        (Kind::Durability, text("disk"), Err("\"disk\" is none of kafka, log, memory")),
        (Kind::Start, text("latest"), Ok(Value::Start(Start::Latest))),
        (Kind::Start, text("newest"), Err("\"newest\" is none of earliest, latest")),
        (Kind::Start, Raw::Integer(0), Err("expected a string, found an integer")),
        (Kind::Compression, plain("none"), Ok(Value::Compression(Compression::None))),
        (Kind::Compression, text("zst"), Err("did you mean zstd?")),
    ];
    for (kind, raw, expected) in cases {
        let read = kind.read(&raw);
        match (&read, &expected) {
            (Ok(value), Ok(wanted)) => assert_eq!(value, wanted, "{kind:?} {raw:?}"),
            (Err(message), Err(part)) => assert!(message.contains(part), "{kind:?} {raw:?}: {message}"),
            _ => panic!("{kind:?} {raw:?}: {read:?}, expected {expected:?}"),
        }
    }
}

#[test]
fn a_compression_that_this_build_has_not() {
    let without_zstd = |compression| compression != Compression::Zstd;
    assert_eq!(compression("lz4", without_zstd), Ok(Value::Compression(Compression::Lz4)));
    let error = compression("zstd", without_zstd).unwrap_err();
    assert!(error.contains("without zstd") && error.contains("--features zstd"), "{error}");
}

#[test]
fn a_value_stays_out_of_a_field_of_another_type_or_width() {
    let mut number = 7_u16;
    assert!(Slot::U16(&mut number).fill(Value::Number(65_536)).is_err());
    assert!(Slot::U16(&mut number).fill(Value::Flag(true)).is_err());
    assert!(Slot::Seconds16(&mut number).fill(Value::Time(Duration::from_secs(65_536))).is_err());
    let fraction = Slot::Seconds16(&mut number).fill(Value::Time(Duration::from_millis(1_500)));
    assert_eq!(fraction.unwrap_err(), "1s500ms is not a whole number of seconds");
    assert_eq!(number, 7);
    assert_eq!(Slot::Seconds16(&mut number).fill(Value::Time(Duration::from_secs(65_535))), Ok(()));
    assert_eq!(number, 65_535);
}
