//! Jobs of aggregation: which circuit they are for, what they state, and the bytes that go there and back.
//!
//! A proof of these circuits comes with its instance: twelve limbs of an accumulator, which only its maker knows, and
//! the statement, which the node knows beforehand. Two provers make different proofs of one statement, so a job is
//! named by what is to be proven and not by the inner proofs in its witness: all nodes call it the same, and a proof
//! made for one node counts at every other.
//!
//! Invariants: no more is decoded than an honest value has; numbers are canonical. What this module does not do:
//! verify anything.

use std::io::{Error, ErrorKind, Read, Write};

use borsh::{BorshDeserialize, BorshSerialize};
use protocol::{
    Fr,
    account::L1Address,
    codec::{DecodeError, borsh_field, field_to_be_bytes, field_to_le_bytes, from_bytes, to_bytes},
    hash::keccak256,
    number::BatchNumber,
    threaded::Threaded,
};

use super::{JobId, JobKind, PROOF_BYTES_MAX};

/// Numbers of the accumulator before every statement of aggregation.
pub const ACCUMULATOR_LIMBS: usize = 12;
/// Levels of joins. Level 0 takes a chunk alone, each other level two runs of the one below.
pub const LEVELS: usize = 4;
/// Chunks of a batch that becomes one proof, at most. A batch seals before it has so many (a test compares).
pub const CHUNKS_MAX: usize = 1 << (LEVELS - 1);
/// Numbers in an instance at most: limbs and the statement of the final proof.
const INSTANCE_MAX: usize = ACCUMULATOR_LIMBS + 13;
/// Where the domain of a run of chunks stands in its statement; the digests before and after follow.
const RUN_DOMAIN: usize = 0;
const RUN_BEFORE: usize = 1;
const RUN_AFTER: usize = 2;

/// Runs that a join of this level takes, or fewer at the end of a batch.
#[must_use]
pub const fn join_width(level: usize) -> usize {
    if level == 0 { 1 } else { 2 }
}

/// A circuit that proofs are made of. The order is that of the work on a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum Circuit {
    /// A run of operations.
    Chunk,
    /// The words of a batch.
    Data,
    /// Level 0: a chunk. Above: two runs of the level below, or one alone.
    Level(u8),
    /// A batch: the run of all its chunks, and its data.
    Top,
    /// What the base layer verifies.
    Final,
}

impl Circuit {
    /// The kind of job that makes its proofs.
    #[must_use]
    pub fn kind(self) -> JobKind {
        match self {
            Self::Chunk => JobKind::Chunk,
            Self::Data => JobKind::Data,
            Self::Level(_) => JobKind::Join,
            Self::Top => JobKind::Close,
            Self::Final => JobKind::Finish,
        }
    }

    /// Whether its proofs come with an accumulator.
    #[must_use]
    pub fn is_aggregation(self) -> bool {
        self.kind().is_aggregation()
    }
}

/// A proof with the instance that it is verified under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatedProof {
    /// All public inputs.
    pub instance: Vec<Fr>,
    /// The proof.
    pub proof: Vec<u8>,
}

impl StatedProof {
    /// The instance behind the accumulator.
    #[must_use]
    pub fn statement(&self) -> &[Fr] {
        self.instance.get(ACCUMULATOR_LIMBS..).unwrap_or(&[])
    }

    /// Reads the result of a job of aggregation.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        from_bytes(bytes)
    }

    /// The result of a job of aggregation.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        to_bytes(self)
    }
}

impl BorshSerialize for StatedProof {
    fn serialize<W: Write>(&self, writer: &mut W) -> std::io::Result<()> {
        let numbers: Vec<[u8; 32]> = self.instance.iter().map(field_to_le_bytes).collect();
        (numbers, &self.proof).serialize(writer)
    }
}

impl BorshDeserialize for StatedProof {
    fn deserialize_reader<R: Read>(reader: &mut R) -> std::io::Result<Self> {
        let count = length(reader, INSTANCE_MAX, "public inputs")?;
        let numbers = (0..count).map(|_| borsh_field::deserialize(reader));
        let instance = numbers.collect::<Result<_, _>>()?;
        let mut proof = vec![0; length(reader, PROOF_BYTES_MAX, "bytes of proof")?];
        reader.read_exact(&mut proof)?;
        Ok(Self { instance, proof })
    }
}

/// The length of a list, within its limit.
fn length<R: Read>(reader: &mut R, max: usize, what: &str) -> std::io::Result<usize> {
    let length = u32::deserialize_reader(reader)?;
    usize::try_from(length)
        .ok()
        .filter(|length| *length <= max)
        .ok_or_else(|| {
            let why = format!("{length} {what}, at most {max}");
            Error::new(ErrorKind::InvalidData, why)
        })
}

/// Which batch a top is about, and the states it leads from and to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ClosedEnds {
    /// Position of the batch.
    pub number: BatchNumber,
    /// State before the first chunk.
    pub start: Threaded,
    /// State after the last.
    pub end: Threaded,
}

/// Everything that one job of aggregation needs.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum AggregationWitness {
    /// A chunk or two neighbours become one run.
    Join {
        /// Level of the new run: 0 takes one chunk.
        level: u8,
        /// The earlier one.
        left: StatedProof,
        /// The one after it; without it the left one goes alone to the next level.
        right: Option<StatedProof>,
    },
    /// The run of all chunks and the data become a batch.
    Close {
        /// Level of the run.
        level: u8,
        /// The run.
        root: StatedProof,
        /// The data.
        data: StatedProof,
        /// What the digests stand for.
        ends: Box<ClosedEnds>,
    },
    /// A batch becomes what the base layer verifies. The worker adds who is rewarded.
    Finish {
        /// The batch.
        top: StatedProof,
    },
}

impl AggregationWitness {
    /// Reads the witness of a job of this kind.
    ///
    /// # Errors
    /// [`DecodeError`], also for the witness of another kind.
    pub fn decode(kind: JobKind, bytes: &[u8]) -> Result<Self, DecodeError> {
        let witness: Self = from_bytes(bytes)?;
        let found = witness.circuit().kind();
        if found == kind {
            return Ok(witness);
        }
        let why = format!("a witness of kind {found:?} for a job of kind {kind:?}");
        Err(DecodeError::Malformed(why))
    }

    /// The witness's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        to_bytes(self)
    }

    /// The circuit that the job is for.
    #[must_use]
    pub fn circuit(&self) -> Circuit {
        match self {
            Self::Join { level, .. } => Circuit::Level(*level),
            Self::Close { .. } => Circuit::Top,
            Self::Finish { .. } => Circuit::Final,
        }
    }

    /// What the proof will state, as far as it is known before it is made: without limbs, and without who is rewarded.
    /// `None` if inner statements are too short to say it, or level 0 is to take two.
    #[must_use]
    pub fn statement(&self) -> Option<Vec<Fr>> {
        match self {
            Self::Join {
                level: 0,
                right: Some(_),
                ..
            } => None, // there is no such circuit
            Self::Join { level, left, right } => {
                let of = |run: &StatedProof, place| {
                    let skipped = if *level == 0 { 0 } else { ACCUMULATOR_LIMBS };
                    run.instance.get(skipped..)?.get(place).copied()
                };
                let last = right.as_ref().unwrap_or(left);
                let places = [(left, RUN_DOMAIN), (left, RUN_BEFORE), (last, RUN_AFTER)];
                places
                    .map(|(run, place)| of(run, place))
                    .into_iter()
                    .collect()
            }
            Self::Close {
                root, data, ends, ..
            } => {
                let domain = *root.statement().get(RUN_DOMAIN)?;
                let ClosedEnds { number, start, end } = **ends;
                // behind h come z and the three values there; the counts are the state's, which has more of them
                let values = data.instance.get(1..5)?;
                let before = [
                    domain,
                    Fr::from(number.0),
                    start.root,
                    end.root,
                    start.counters(),
                    end.counters(),
                    end.h,
                ];
                Some([&before, values, &[end.counts.to_field()]].concat())
            }
            Self::Finish { top } => Some(top.statement().to_vec()),
        }
    }

    /// Name of the job.
    #[must_use]
    pub fn id(&self) -> Option<JobId> {
        let statement = self.statement()?;
        Some(JobId::of_statement(self.circuit(), &statement))
    }
}

impl JobId {
    /// Name of the job of aggregation that proves this: of a final proof all but who is rewarded.
    #[must_use]
    pub fn of_statement(circuit: Circuit, statement: &[Fr]) -> Self {
        let mut bytes = b"QUORATE/api/job/aggregation/v1".to_vec();
        bytes.extend(to_bytes(&circuit));
        bytes.extend(statement.iter().flat_map(field_to_le_bytes));
        Self(keccak256(&bytes))
    }
}

/// The address that is this number, if one is.
#[must_use]
pub fn address_of(number: &Fr) -> Option<L1Address> {
    let bytes = field_to_be_bytes(number);
    let (zeros, address) = bytes.split_last_chunk::<20>()?;
    zeros
        .iter()
        .all(|byte| *byte == 0)
        .then_some(L1Address(*address))
}

#[cfg(test)]
mod tests {
    use protocol::{
        chunk::ChunkSize,
        params::{BATCH_ABSORPTIONS_MAX, TREE_ARITY, TREE_LEVELS},
    };

    use super::*;

    fn run(before: u64, after: u64, limbs: usize) -> StatedProof {
        let statement = [7, before, after].map(Fr::from);
        StatedProof {
            instance: [vec![Fr::from(1_u64); limbs], statement.to_vec()].concat(),
            proof: vec![0xab; 40],
        }
    }

    fn join(level: u8, left: StatedProof, right: Option<StatedProof>) -> AggregationWitness {
        AggregationWitness::Join { level, left, right }
    }

    #[test]
    fn a_join_is_named_by_the_run_it_proves_and_not_by_the_proofs_of_its_halves() {
        let one = join(1, run(1, 2, 12), Some(run(2, 3, 12)));
        let mut other = one.clone();
        if let AggregationWitness::Join { left, .. } = &mut other {
            left.proof = vec![1; 8];
        }
        assert_eq!(one.statement(), Some([7, 1, 3].map(Fr::from).to_vec()));
        assert_eq!(one.id(), other.id());
        assert_eq!(one.id(), Some(JobId::new(JobKind::Join, &one.encode())));
        let above = join(2, run(1, 2, 12), Some(run(2, 3, 12)));
        assert_eq!(above.statement(), one.statement());
        assert_ne!(above.id(), one.id(), "another level is another job");
        let alone = join(0, run(1, 2, 0), None);
        assert_eq!(alone.statement(), Some([7, 1, 2].map(Fr::from).to_vec()));
        assert_eq!(join(1, run(1, 2, 0), None).id(), None, "no limbs, no run");
        let two = join(0, run(1, 2, 0), Some(run(2, 3, 0)));
        assert_eq!(two.id(), None, "level 0 takes one chunk");
    }

    /// Every pair absorbs once at least, which bounds the pairs of a batch, and a chunk ends only when the largest pair
    /// might not fit: so all chunks of a batch but its last have so many pairs at least, whatever they hold.
    #[test]
    fn a_batch_seals_before_it_has_more_chunks_than_the_tree_has_places() {
        let (size, most) = (ChunkSize::PROTOCOL, ChunkSize::PAIR_MAX);
        // of `leaves` distinct leaves: no level has more nodes than it has places
        let nodes = |leaves: usize| -> usize {
            let places = (0..TREE_LEVELS).map(|level| TREE_ARITY.saturating_pow(level as u32));
            places.map(|places| places.min(leaves)).sum()
        };
        let opened = (1..).find(|leaves| nodes(*leaves) > size.nodes - most.nodes);
        let least = [
            size.pairs,
            (size.leaves - most.leaves) / most.leaves,
            (opened.unwrap() - 1) / most.leaves,
            (size.wide_hashes - most.wide_hashes) / most.wide_hashes,
            (size.short_hashes - most.short_hashes) / most.short_hashes,
        ];
        let least = least.into_iter().min().unwrap();
        let pairs = usize::try_from(BATCH_ABSORPTIONS_MAX).unwrap();
        assert!(pairs.div_ceil(least) <= CHUNKS_MAX, "{least} pairs");
    }

    #[test]
    fn witnesses_come_back_whole_and_only_under_their_kind() {
        let witness = join(2, run(1, 2, 12), None);
        let bytes = witness.encode();
        let back = AggregationWitness::decode(JobKind::Join, &bytes);
        assert_eq!(back.as_ref(), Ok(&witness));
        assert!(AggregationWitness::decode(JobKind::Finish, &bytes).is_err());
        assert!(AggregationWitness::decode(JobKind::Join, &bytes[1..]).is_err());
        assert!(AggregationWitness::decode(JobKind::Join, &[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn no_more_is_decoded_than_an_honest_result_has() {
        let most = StatedProof {
            instance: vec![Fr::from(1_u64); INSTANCE_MAX],
            proof: vec![1; 100],
        };
        assert_eq!(StatedProof::decode(&most.encode()), Ok(most.clone()));
        let more = StatedProof {
            instance: vec![Fr::from(1_u64); INSTANCE_MAX + 1],
            proof: Vec::new(),
        };
        assert!(StatedProof::decode(&more.encode()).is_err());
        let mut huge = 0_u32.to_le_bytes().to_vec();
        huge.extend(u32::MAX.to_le_bytes());
        assert!(StatedProof::decode(&huge).is_err());
        let mut beyond = 1_u32.to_le_bytes().to_vec();
        beyond.extend([0xff; 32]);
        beyond.extend(0_u32.to_le_bytes());
        assert!(StatedProof::decode(&beyond).is_err(), "not below p");
    }

    #[test]
    fn only_numbers_of_twenty_bytes_are_addresses() {
        let address = L1Address([0xfe; 20]);
        assert_eq!(address_of(&address.to_field()), Some(address));
        assert_eq!(address_of(&Fr::from(0_u64)), Some(L1Address([0; 20])));
        let above = L1Address([0xff; 20]).to_field() + Fr::from(1_u64);
        assert_eq!(address_of(&above), None);
    }
}
