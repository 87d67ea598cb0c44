//! Bodies of our own under rskafka's messenger, which chooses the version and pairs answers with requests.

use std::io::Cursor;

use rskafka::protocol::api_key::ApiKey;
use rskafka::protocol::api_version::{ApiVersion, ApiVersionRange};
use rskafka::protocol::messages::{
    ReadVersionedError, ReadVersionedType, RequestBody, WriteVersionedError, WriteVersionedType,
};
use rskafka::protocol::primitives::Int16;
use rskafka::protocol::traits::{ReadError, WriteError};

use super::bytes::{Input, Malformed, Output};

/// A kind of request, in a range of versions.
pub(crate) trait Api: Send + Sync + 'static {
    const KEY: ApiKey;
    const MIN: i16;
    const MAX: i16;
    /// The first flexible version; above `MAX` if we speak none.
    const FLEXIBLE: i16 = i16::MAX;
    type Answer: Send;

    /// # Errors
    /// Why it cannot be written; nothing was sent then.
    fn write(&self, out: &mut Output<'_>, version: i16) -> Result<(), &'static str>;

    /// # Errors
    /// The answer is not what the protocol says.
    fn read(input: &mut Input<'_>, version: i16) -> Result<Self::Answer, Malformed>;
}

/// A request as the messenger takes it.
pub(crate) struct Ask<A>(pub(crate) A);

/// Its answer.
pub(crate) struct Reply<A: Api>(pub(crate) A::Answer);

impl<A: Api> RequestBody for Ask<A> {
    type ResponseBody = Reply<A>;
    const API_KEY: ApiKey = A::KEY;
    const API_VERSION_RANGE: ApiVersionRange =
        ApiVersionRange::new(ApiVersion(Int16(A::MIN)), ApiVersion(Int16(A::MAX)));
    const FIRST_TAGGED_FIELD_IN_REQUEST_VERSION: ApiVersion = ApiVersion(Int16(A::FLEXIBLE));
}

impl<A: Api> WriteVersionedType<Vec<u8>> for Ask<A> {
    fn write_versioned(&self, out: &mut Vec<u8>, version: ApiVersion) -> Result<(), WriteVersionedError> {
        let version = version.0.0;
        let written = self.0.write(&mut Output::new(out, version >= A::FLEXIBLE), version);
        written.map_err(|why| WriteVersionedError::WriteError(WriteError::Malformed(why.into())))
    }
}

impl<A: Api> ReadVersionedType<Cursor<Vec<u8>>> for Reply<A> {
    fn read_versioned(reader: &mut Cursor<Vec<u8>>, version: ApiVersion) -> Result<Self, ReadVersionedError> {
        let version = version.0.0;
        let at = usize::try_from(reader.position()).unwrap_or(usize::MAX);
        let mut input = Input::new(reader.get_ref().get(at..).unwrap_or_default(), version >= A::FLEXIBLE);
        let before = input.len();
        let answer = A::read(&mut input, version).map_err(|Malformed(why)| {
            ReadVersionedError::ReadError(ReadError::Malformed(format!("{:?}: {why}", A::KEY).into()))
        })?;
        let read = before.saturating_sub(input.len());
        // The messenger compares the position with the length of the message.
        reader.set_position(at.saturating_add(read) as u64);
        Ok(Reply(answer))
    }
}
