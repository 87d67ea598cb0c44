//! Reads durable groups from the files, by sequence, for a sink that is not at the end of the log.
