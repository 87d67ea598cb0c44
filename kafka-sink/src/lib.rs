//! kafka-sink
