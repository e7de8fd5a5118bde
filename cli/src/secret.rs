//! Where a secret comes from: a prompt, a file, or a named environment variable. Never an argument: arguments are
//! visible to every process of the machine.

use std::path::PathBuf;
use std::str::FromStr;

use zeroize::Zeroizing;

use crate::exit::{CliError, Exit};
use crate::files;

/// Longest secret, in bytes.
const SECRET_BYTES_MAX: usize = 4_096;

/// Text that is wiped from memory when dropped.
pub(crate) type Secret = Zeroizing<String>;

/// Where to ask for a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SecretSource {
    /// The terminal, without echo.
    Prompt,
    /// First line of a file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
}

impl FromStr for SecretSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(PathBuf::from(path))),
            Some(("env", name)) if !name.is_empty() => Ok(Self::Environment(name.to_owned())),
            None if text == "prompt" => Ok(Self::Prompt),
            // The text itself is not repeated: somebody may have typed the secret.
            _ => Err(
                "expected prompt, file:PATH or env:NAME; a secret itself is never an argument"
                    .to_owned(),
            ),
        }
    }
}

impl SecretSource {
    /// Reads a key of 64 hex digits; `what` names it.
    ///
    /// # Errors
    /// `Usage` if there is none, or it is something else.
    pub(crate) fn read_key(&self, what: &str) -> Result<Zeroizing<[u8; 32]>, CliError> {
        let text = self.read(what, false)?;
        let digits = text.trim();
        let digits = digits.strip_prefix("0x").unwrap_or(digits);
        let mut bytes = Zeroizing::new([0; 32]);
        // The text is not repeated: it is the secret.
        hex::decode_to_slice(digits, bytes.as_mut_slice()).map_err(|_| {
            CliError::new(
                Exit::Usage,
                format!("the {what} is not usable"),
                "it is not 64 hex digits",
                "look at the file or variable it comes from",
            )
        })?;
        Ok(bytes)
    }

    /// Reads the secret; `what` names it, and a prompt asks twice if `repeat`.
    ///
    /// # Errors
    /// `Usage` if there is none, it is empty, or two entries differ.
    pub(crate) fn read(&self, what: &str, repeat: bool) -> Result<Secret, CliError> {
        let secret = match self {
            Self::Prompt => prompt(what, repeat)?,
            Self::File(path) => {
                let text = Zeroizing::new(files::read_text(path, SECRET_BYTES_MAX)?);
                Zeroizing::new(text.lines().next().unwrap_or("").to_owned())
            }
            Self::Environment(name) => Zeroizing::new(std::env::var(name).map_err(|error| {
                let what = format!("cannot read the {what} from the environment variable {name}");
                CliError::new(
                    Exit::Usage,
                    what,
                    error,
                    format!("set {name}, or use prompt or file:PATH"),
                )
            })?),
        };
        if secret.is_empty() {
            return Err(CliError::new(
                Exit::Usage,
                format!("the {what} is empty"),
                "an empty secret protects nothing",
                "give one by prompt, file:PATH or env:NAME",
            ));
        }
        Ok(secret)
    }
}

fn prompt(what: &str, repeat: bool) -> Result<Secret, CliError> {
    let ask = |text: String| {
        rpassword::prompt_password(text)
            .map(Zeroizing::new)
            .map_err(|error| {
                let todo = "run it in a terminal, or give file:PATH or env:NAME";
                CliError::new(
                    Exit::Usage,
                    format!("cannot ask for the {what}"),
                    error,
                    todo,
                )
            })
    };
    let secret = ask(format!("{what}: "))?;
    if repeat && *ask(format!("{what}, again: "))? != *secret {
        let why = "the two entries differ";
        return Err(CliError::new(
            Exit::Usage,
            format!("the {what} was mistyped"),
            why,
            "try again",
        ));
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::SecretSource;

    #[test]
    fn a_secret_as_argument_is_refused_and_not_repeated() {
        for text in ["hunter2", "file:", "env:", "pass:hunter2", ""] {
            let error = text.parse::<SecretSource>().expect_err("refused");
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert_eq!("prompt".parse(), Ok(SecretSource::Prompt));
        assert_eq!(
            "env:PW".parse(),
            Ok(SecretSource::Environment("PW".to_owned()))
        );
    }

    #[test]
    fn first_line_of_a_file_is_the_secret() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("password");
        std::fs::write(&path, "correct horse\nnot this\n").expect("write");
        let source: SecretSource = format!("file:{}", path.display())
            .parse()
            .expect("a source");
        assert_eq!(
            source.read("password", true).expect("read").as_str(),
            "correct horse"
        );
        std::fs::write(&path, "\n").expect("write");
        assert!(source.read("password", true).is_err(), "empty");
    }
}
