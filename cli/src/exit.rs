//! Exit codes, and errors that say what, why and what to do.

use std::path::Path;

use api::ApiError;

/// How a run ended. The numbers are a promise to scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, and the answer is yes.
    Success,
    /// The answer is no: a proof is invalid, a payment was refused, a check failed.
    Invalid,
    /// Wrong usage, or input that cannot be read.
    Usage,
    /// The network, the disk or another process failed.
    Unavailable,
    /// Data is damaged.
    Corrupt,
    /// Data is of another version.
    Version,
    /// A mistake in this program.
    Bug,
}

impl Exit {
    /// Every code, for the help text and tests.
    pub(crate) const ALL: [Self; 7] = [
        Self::Success,
        Self::Invalid,
        Self::Usage,
        Self::Unavailable,
        Self::Corrupt,
        Self::Version,
        Self::Bug,
    ];

    /// The process's exit code.
    #[must_use]
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Invalid => 1,
            Self::Usage => 2,
            Self::Unavailable => 3,
            Self::Corrupt => 4,
            Self::Version => 5,
            Self::Bug => 70,
        }
    }

    /// What the code means, for the help text.
    #[must_use]
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Success => "done; the answer is yes",
            Self::Invalid => "the answer is no: invalid, refused or failed",
            Self::Usage => "wrong usage or unreadable input",
            Self::Unavailable => "network, disk or another process failed",
            Self::Corrupt => "data is damaged",
            Self::Version => "data is of another version",
            Self::Bug => "a mistake in this program; please report it",
        }
    }

    /// The code of this number; anything unknown is a mistake of ours.
    #[must_use]
    pub(crate) fn from_code(code: u8) -> Self {
        Self::ALL
            .into_iter()
            .find(|exit| exit.code() == code)
            .unwrap_or(Self::Bug)
    }
}

/// Why a command ended without its result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub(crate) struct CliError {
    /// Decides the exit code.
    pub(crate) exit: Exit,
    /// What failed.
    pub(crate) what: String,
    /// Why it failed, with values.
    pub(crate) why: String,
    /// What to do about it.
    pub(crate) todo: String,
}

impl CliError {
    /// An error of this kind.
    pub(crate) fn new(
        exit: Exit,
        what: impl Into<String>,
        why: impl ToString,
        todo: impl Into<String>,
    ) -> Self {
        Self {
            exit,
            what: what.into(),
            why: why.to_string(),
            todo: todo.into(),
        }
    }

    /// A file that the user named cannot be read.
    pub(crate) fn unreadable(path: &Path, why: impl ToString) -> Self {
        let what = format!("cannot read {}", path.display());
        Self::new(Exit::Usage, what, why, "check the path and its permissions")
    }

    /// A file cannot be written.
    pub(crate) fn unwritable(path: &Path, why: impl ToString) -> Self {
        let what = format!("cannot write {}", path.display());
        let todo = "check the directory, its permissions and the free space";
        Self::new(Exit::Unavailable, what, why, todo)
    }

    /// The node refused a request.
    pub(crate) fn refused(what: impl Into<String>, error: &ApiError) -> Self {
        let exit = match error.code {
            api::ErrorCode::Unavailable | api::ErrorCode::Internal => Exit::Unavailable,
            _ => Exit::Invalid,
        };
        let why = format!(
            "{}: {} (code {})",
            error.code.message(),
            error.reason,
            error.code.number()
        );
        Self::new(exit, what, why, error.code.hint())
    }
}

/// What a command returns: the exit code of a finished command may still be a "no".
pub(crate) type Outcome = Result<Exit, CliError>;

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn codes_are_the_documented_ones() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 70]);
        assert!(
            Exit::ALL
                .iter()
                .all(|exit| Exit::from_code(exit.code()) == *exit)
        );
        assert_eq!(Exit::from_code(99), Exit::Bug);
    }
}
