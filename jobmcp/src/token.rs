//! The token that HTTP clients must send: from the environment or from a file that only its owner can read, never from
//! the command line, which every user of the machine can see.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use constant_time_eq::constant_time_eq;
use jobcore::ParseError;
use jobcore::front::{Failure, codes};

/// The variable that may hold the token. It is not passed on to jobs.
pub(crate) const VARIABLE: &str = "JOBMCP_TOKEN";

/// The least length of a token. Shorter ones could be guessed.
const SHORTEST: usize = 16;

/// The secret, which `Debug` does not show.
#[derive(Clone)]
pub(crate) struct Token(String);

/// The source of a token, to be printed when the server starts.
#[derive(Debug)]
pub(crate) enum Origin {
    Variable,
    File(PathBuf),
    /// It has just been created, and is shown this once.
    Made(PathBuf),
}

impl Token {
    /// Returns the token from the named file, or else from the variable, or else from the file in the store. A missing
    /// file is created with a new token.
    ///
    /// # Errors
    /// If the token cannot be read or created, if others can read the file, or if its contents are not a valid token.
    pub(crate) fn find(
        named: Option<PathBuf>,
        variable: Option<OsString>,
        store: &Path,
    ) -> Result<(Self, Origin), Failure> {
        if let (None, Some(text)) = (&named, variable.filter(|text| !text.is_empty())) {
            let wrong = |reason: &str| Failure::new(codes::USAGE, format!("variable `{VARIABLE}`: {reason}"));
            let text = text.into_string().map_err(|_| wrong("it is not valid UTF-8"))?;
            return Ok((text.parse().map_err(|error: ParseError| wrong(&error.to_string()))?, Origin::Variable));
        }
        let path = named.unwrap_or_else(|| store.join("mcp-token"));
        let failed = |action: &str, error: &dyn fmt::Display| {
            Failure::new(codes::FAILED, format!("cannot {action} the token file `{}`: {error}", path.display()))
        };
        let text = match read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let token = Self::mint().map_err(|error| failed("create", &error))?;
                match publish(&token, &path) {
                    Ok(()) => return Ok((token, Origin::Made(path))),
                    // Another server has created it meanwhile: use that one. Or it is a dangling link, and reading it
                    // fails.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(&path),
                    Err(error) => return Err(failed("create", &error)),
                }
            }
            read => read,
        };
        let text = text.map_err(|error| match fs::read_link(&path) {
            Ok(target) if error.kind() == io::ErrorKind::NotFound => {
                failed("read", &format!("it is a link to `{}`, which does not exist", target.display()))
                    .with_hint("remove the link, or create its target with a token in it")
            }
            _ => failed("read", &error),
        })?;
        let wrong =
            |reason: ParseError| Failure::new(codes::USAGE, format!("token file `{}`: {reason}", path.display()));
        Ok((text.trim().parse().map_err(wrong)?, Origin::File(path.clone())))
    }

    fn mint() -> io::Result<Self> {
        let mut random = [0; 32];
        getrandom::fill(&mut random)?;
        Ok(Self(random.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// Returns whether an authorization header, `Bearer` and the token, is valid. The comparison takes constant time.
    pub(crate) fn is_in(&self, header: &[u8]) -> bool {
        let Some((scheme, sent)) = header.split_at_checked(b"bearer ".len()) else { return false };
        scheme.eq_ignore_ascii_case(b"bearer ") && constant_time_eq(sent.trim_ascii(), self.0.as_bytes())
    }

    /// Returns the token itself.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl std::str::FromStr for Token {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            text if text.len() < SHORTEST => Err(ParseError::new("a token has 16 characters or more")),
            text if !text.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Err(ParseError::new("a token has only letters, digits and punctuation of ASCII, and no spaces"))
            }
            text => Ok(Self(text.to_owned())),
        }
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        let reason = format!("others can use it (mode {:o}); run `chmod 600` on it", mode & 0o777);
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
    }
    fs::read_to_string(path)
}

/// Writes a token to a file that does not exist, atomically: readers see all of it or no file.
fn publish(token: &Token, path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".mcp-token.").tempfile_in(directory)?;
    writeln!(file, "{}", token.0)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(result: Result<(Token, Origin), Failure>) -> String {
        format!("{:?}", result.unwrap_err())
    }

    #[test]
    fn the_token_is_created_once_and_private() {
        let store = tempfile::tempdir().unwrap();
        let (made, origin) = Token::find(None, None, store.path()).unwrap();
        let path = store.path().join("mcp-token");
        assert!(matches!(origin, Origin::Made(at) if at == path));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!((made.reveal().len(), fs::read_dir(store.path()).unwrap().count()), (64, 1));
        let (again, origin) = Token::find(None, Some("".into()), store.path()).unwrap();
        assert!(again.reveal() == made.reveal() && matches!(origin, Origin::File(_)));
        assert!(!format!("{made:?}").contains(made.reveal()));
    }

    #[test]
    fn several_servers_create_one_token() {
        let store = tempfile::tempdir().unwrap();
        let find = || Token::find(None, None, store.path()).unwrap().0.0;
        let tokens = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(find)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(tokens.iter().all(|token| *token == tokens[0]));
    }

    #[test]
    fn a_link_to_nothing_is_an_error_and_one_to_a_token_is_followed() {
        let store = tempfile::tempdir().unwrap();
        for named in [None, Some(store.path().join("named"))] {
            let link = named.clone().unwrap_or_else(|| store.path().join("mcp-token"));
            let target = store.path().join("elsewhere");
            std::os::unix::fs::symlink(&target, &link).unwrap();
            let refusal = refusal(Token::find(named.clone(), None, store.path()));
            assert!(refusal.contains("elsewhere`, which does not exist"), "{refusal}");
            assert!(!target.exists(), "nothing is written through a link");
            fs::write(&target, "0123456789abcdef").unwrap();
            fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
            assert!(Token::find(named, None, store.path()).is_ok());
            fs::remove_file(&target).unwrap();
        }
    }

    #[test]
    fn a_token_that_is_not_secret_is_refused() {
        let store = tempfile::tempdir().unwrap();
        let path = store.path().join("token");
        fs::write(&path, "0123456789abcdef").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(refusal(Token::find(Some(path.clone()), None, store.path())).contains("mode 640"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(Token::find(Some(path.clone()), Some("ignored".into()), store.path()).is_ok());
        fs::write(&path, "\n").unwrap();
        assert!(refusal(Token::find(Some(path), None, store.path())).contains("16 characters"));
        assert!(refusal(Token::find(None, Some("short".into()), store.path())).contains("JOBMCP_TOKEN"));
        assert!(refusal(Token::find(None, Some("a b c d e f g h i".into()), store.path())).contains("no spaces"));
    }

    #[test]
    fn only_the_whole_token_is_accepted() {
        let token: Token = "0123456789abcdef".parse().unwrap();
        for right in ["Bearer 0123456789abcdef", "bearer 0123456789abcdef", "BEARER  0123456789abcdef "] {
            assert!(token.is_in(right.as_bytes()), "{right}");
        }
        for wrong in ["", "Bearer", "Bearer ", "0123456789abcdef", "Basic 0123456789abcdef", "Bearer 0123456789abcde"] {
            assert!(!token.is_in(wrong.as_bytes()), "{wrong}");
        }
        assert!(!token.is_in(b"Bearer 0123456789abcdef0") && !token.is_in(b"Bearer 0123456789abcdeF"));
    }
}
