//! Where a validator set comes from: genesis, and a handover for every epoch since.
//!
//! Evidence and checkpoints carry one, so that both are judged offline. A reader with the chain's genesis compares it;
//! one without believes the chain that the file names, and is told so. What this module does not do: guard against
//! keys of sets that left long ago ([`protocol::handover`]).

use borsh::{BorshDeserialize, BorshSerialize};
use protocol::{
    block::BlockId,
    genesis::Genesis,
    handover::{Handover, verify_chain},
    number::Epoch,
    transaction::Domain,
    validator::ValidatorSet,
};

use crate::container::FileError;

/// A chain's identity, its first set, and the handovers up to some epoch.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Lineage {
    /// Hash of genesis.
    pub genesis: BlockId,
    /// Domain of the chain's messages.
    pub domain: Domain,
    /// The set of epoch 0.
    pub validators: ValidatorSet,
    /// One for each epoch, in order from epoch 0; the last proves the set that is asked for.
    pub handovers: Vec<Handover>,
}

impl Lineage {
    /// The lineage of the set that is in office after these handovers from this genesis.
    #[must_use]
    pub fn new(genesis: &Genesis, handovers: Vec<Handover>) -> Self {
        Self {
            genesis: genesis.hash(),
            domain: genesis.domain(),
            validators: genesis.validators.clone(),
            handovers,
        }
    }

    /// The set of `epoch`, which the handovers must reach exactly; under the reader's genesis if there is one.
    ///
    /// # Errors
    /// [`FileError::Invalid`].
    pub fn set_of(
        &self,
        epoch: Epoch,
        genesis: Option<&Genesis>,
    ) -> Result<&ValidatorSet, FileError> {
        let invalid = |what: String| Err(FileError::Invalid(what));
        if let Some(trusted) = genesis {
            let ours = (trusted.hash(), trusted.domain(), &trusted.validators);
            if (self.genesis, self.domain, &self.validators) != ours {
                return invalid(format!(
                    "it belongs to the chain of genesis {}, not to that of {}",
                    self.genesis, ours.0
                ));
            }
        }
        let count = u64::try_from(self.handovers.len()).unwrap_or(u64::MAX);
        if count != epoch.0 {
            return invalid(format!(
                "it carries {count} handovers, but the set of epoch {epoch} needs {epoch}"
            ));
        }
        verify_chain(&self.domain, &self.validators, &self.handovers)
            .or_else(|broken| invalid(broken.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use protocol::testing::{Succession, World, leaf};

    use super::*;

    #[test]
    fn handovers_reach_exactly_the_epoch_asked_for() {
        let world = World::new(vec![leaf(0, 0, 1)], 1);
        let succession = Succession::new(&world, 3);
        let lineage = Lineage::new(&world.genesis, succession.links);
        for genesis in [None, Some(&world.genesis)] {
            assert_eq!(lineage.set_of(Epoch(3), genesis), Ok(&succession.sets[3]));
            for epoch in [0, 2, 4, u64::MAX] {
                assert!(lineage.set_of(Epoch(epoch), genesis).is_err(), "{epoch}");
            }
        }
    }

    #[test]
    fn another_genesis_is_refused_even_with_the_same_domain_and_set() {
        let world = World::new(vec![leaf(0, 0, 1)], 1);
        let richer = World::new(vec![leaf(0, 0, 2)], 1);
        assert_eq!(world.domain, richer.domain);
        let lineage = Lineage::new(&world.genesis, Vec::new());
        assert!(lineage.set_of(Epoch(0), Some(&world.genesis)).is_ok());
        let refused = lineage.set_of(Epoch(0), Some(&richer.genesis));
        assert_eq!(refused.unwrap_err().exit_code(), 1);
        // a file that claims the right hash beside a set of its own
        let forged = Lineage {
            validators: ValidatorSet::of_one(world.validators[0].address()),
            ..lineage
        };
        assert!(forged.set_of(Epoch(0), Some(&world.genesis)).is_err());
    }
}
