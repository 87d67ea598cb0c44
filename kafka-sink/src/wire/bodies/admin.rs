//! Topics: making one, and how many replicas have to confirm a record of it.

use std::sync::Arc;

use rskafka::protocol::api_key::ApiKey;

use super::api::Api;
use super::bytes::{Input, Malformed, Output};

/// Makes a topic.
pub(crate) struct CreateTopic {
    pub(crate) topic: Arc<str>,
    pub(crate) partitions: i32,
    pub(crate) replication: i16,
    pub(crate) timeout_ms: i32,
}

pub(crate) struct Created {
    pub(crate) topic: Arc<str>,
    pub(crate) error: i16,
    pub(crate) text: Option<String>,
}

impl Api for CreateTopic {
    const KEY: ApiKey = ApiKey::CreateTopics;
    // From 4 on, -1 leaves partitions and replicas to the cluster; before, it is refused as such.
    const MIN: i16 = 2;
    const MAX: i16 = 4;
    type Answer = Vec<Created>;

    fn write(&self, out: &mut Output<'_>, _: i16) -> Result<(), &'static str> {
        out.count(1);
        out.string(&self.topic);
        out.i32(self.partitions);
        out.i16(self.replication);
        out.count(0); // assignments
        out.count(0); // settings
        out.i32(self.timeout_ms);
        out.i8(0); // check only
        Ok(())
    }

    fn read(input: &mut Input<'_>, _: i16) -> Result<Vec<Created>, Malformed> {
        input.i32()?; // throttle
        input.list(|input| {
            let (topic, error) = (Arc::from(input.string()?), input.i16()?);
            Ok(Created { topic, error, text: input.nullable_string()?.map(str::to_owned) })
        })
    }
}

const TOPIC: i8 = 2;
const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

/// Reads `min.insync.replicas` of topics.
pub(crate) struct DescribeConfigs {
    pub(crate) topics: Vec<Arc<str>>,
}

/// A topic, and its setting if it may be read.
pub(crate) struct TopicConfig {
    pub(crate) topic: Arc<str>,
    pub(crate) min_insync_replicas: Option<u32>,
}

impl Api for DescribeConfigs {
    const KEY: ApiKey = ApiKey::DescribeConfigs;
    const MIN: i16 = 1;
    const MAX: i16 = 2;
    type Answer = Vec<TopicConfig>;

    fn write(&self, out: &mut Output<'_>, _: i16) -> Result<(), &'static str> {
        out.count(self.topics.len());
        for topic in &self.topics {
            out.i8(TOPIC);
            out.string(topic);
            out.count(1);
            out.string(MIN_INSYNC_REPLICAS);
        }
        out.i8(0); // synonyms
        Ok(())
    }

    fn read(input: &mut Input<'_>, _: i16) -> Result<Vec<TopicConfig>, Malformed> {
        input.i32()?; // throttle
        input.list(|input| {
            input.i16()?; // an error comes with no settings
            input.nullable_string()?;
            input.i8()?; // kind of resource
            let topic = Arc::<str>::from(input.string()?);
            let settings = input.list(setting)?;
            let min_insync_replicas = settings.into_iter().flatten().next();
            Ok(TopicConfig { topic, min_insync_replicas })
        })
    }
}

/// The value of the setting asked for; `None` for another, or none that is a number.
fn setting(input: &mut Input<'_>) -> Result<Option<u32>, Malformed> {
    let (name, value) = (input.string()?, input.nullable_string()?);
    input.i8()?; // read only
    input.i8()?; // source
    input.i8()?; // sensitive
    input.skip_list(|input| {
        input.string()?;
        input.nullable_string()?;
        input.i8()
    })?;
    Ok(value.filter(|_| name == MIN_INSYNC_REPLICAS).and_then(|value| value.parse().ok()))
}
