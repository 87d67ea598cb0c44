//! rskafka and tokio: the only place that knows either.
