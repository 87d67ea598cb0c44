//! The cluster: its brokers, its name, the leaders of topics. Asking creates no topic.

use std::sync::Arc;

use rskafka::protocol::api_key::ApiKey;

use super::api::Api;
use super::bytes::{Input, Malformed, Output};
use crate::sender::request;

/// Most brokers of a cluster that are believed; each is an address that may be tried. The largest
/// clusters have some hundred.
const BROKERS_MAX: usize = 2048;
/// Most partitions of a topic that are believed; the largest clusters have some ten thousand.
const PARTITIONS_MAX: usize = 1 << 16;

/// Asks for these topics; for none, the brokers alone.
pub(crate) struct Metadata {
    pub(crate) topics: Vec<Arc<str>>,
}

/// A broker as the cluster advertises it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broker {
    pub(crate) id: i32,
    pub(crate) host: String,
    pub(crate) port: u16,
}

pub(crate) struct Cluster {
    pub(crate) brokers: Vec<Broker>,
    pub(crate) cluster: Option<Arc<str>>,
    pub(crate) topics: Vec<request::TopicMetadata>,
}

impl Api for Metadata {
    const KEY: ApiKey = ApiKey::Metadata;
    // 4: the first that can ask without creating. 10: the first with ids of topics.
    const MIN: i16 = 4;
    const MAX: i16 = 12;
    const FLEXIBLE: i16 = 9;
    type Answer = Cluster;

    fn write(&self, out: &mut Output<'_>, version: i16) -> Result<(), &'static str> {
        out.count(self.topics.len());
        for topic in &self.topics {
            if version >= 10 {
                out.raw(&[0; 16]);
            }
            out.string(topic);
            out.end();
        }
        out.i8(0); // create missing topics
        if (8..=10).contains(&version) {
            out.i8(0); // rights on the cluster
        }
        if version >= 8 {
            out.i8(0); // rights on the topics
        }
        out.end();
        Ok(())
    }

    fn read(input: &mut Input<'_>, version: i16) -> Result<Cluster, Malformed> {
        input.i32()?; // throttle
        let brokers = input.list(|input| {
            let (id, host) = (input.i32()?, input.string()?.to_owned());
            let port =
                u16::try_from(input.i32()?).map_err(|_| Malformed("a broker's port is out of range"))?;
            input.nullable_string()?; // rack
            input.end()?;
            Ok(Broker { id, host, port })
        })?;
        if brokers.len() > BROKERS_MAX {
            return Err(Malformed("it names too many brokers"));
        }
        let cluster = input.nullable_string()?.map(Arc::from);
        input.i32()?; // controller
        let topics = input.list(|input| topic(input, version))?;
        if (8..=10).contains(&version) {
            input.i32()?; // rights on the cluster
        }
        input.end()?;
        Ok(Cluster { brokers, cluster, topics })
    }
}

fn topic(input: &mut Input<'_>, version: i16) -> Result<request::TopicMetadata, Malformed> {
    let error = input.i16()?;
    let topic = Arc::from(input.nullable_string()?.unwrap_or_default());
    let id = if version >= 10 { input.uuid()? } else { [0; 16] };
    input.i8()?; // internal
    let partitions = input.list(|input| {
        input.i16()?; // a partition without a leader says so by the leader as well
        let (index, leader) = (input.i32()?, input.i32()?);
        if version >= 7 {
            input.i32()?; // the leader's epoch
        }
        input.skip_list(Input::i32)?; // replicas
        input.skip_list(Input::i32)?; // in sync
        if version >= 5 {
            input.skip_list(Input::i32)?; // offline
        }
        input.end()?;
        Ok((index, (leader >= 0).then_some(leader)))
    })?;
    if version >= 8 {
        input.i32()?; // rights on the topic
    }
    input.end()?;
    Ok(request::TopicMetadata { topic, error, id, leaders: by_index(&partitions)? })
}

/// Partitions come in any order; their indexes are 0 to one below their number.
fn by_index(partitions: &[(i32, Option<i32>)]) -> Result<Vec<Option<i32>>, Malformed> {
    const ODD: Malformed = Malformed("a topic's partitions are not numbered from 0 on");
    if partitions.len() > PARTITIONS_MAX {
        return Err(Malformed("a topic has too many partitions"));
    }
    let mut leaders = vec![None; partitions.len()];
    for (index, leader) in partitions {
        let place = usize::try_from(*index).ok().and_then(|index| leaders.get_mut(index));
        *place.ok_or(ODD)? = *leader;
    }
    Ok(leaders)
}
