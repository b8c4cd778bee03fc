//! What several commands share.

pub mod checkpoints;
pub mod data;
pub mod input;
pub mod model;
pub mod observer;
pub mod out;
pub mod progress;
pub mod provenance;
pub mod shard;
pub mod signals;
pub mod start;
pub mod table;
