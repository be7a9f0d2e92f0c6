//! The control socket: commands to a speaker that runs.
//!
//! *Assumes* a folder that only those may enter who may command: who can connect is obeyed.
//! *Guarantees* one answer, a line of JSON, for each line of JSON, in their order; that a socket
//! which a killed process left is replaced; and that one in use is not taken away.
//!
//! What is announced or withdrawn here holds for as long as the process: it outlives sessions, and
//! a restart begins with its configuration again.

use std::io::{self, BufRead as _, Write as _};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

use super::peer::Status;
use crate::Command;

/// The longest line that is taken, octets.
const LONGEST: u64 = 64 << 10;
/// How long a speaker may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a socket may be in use by a process that is being killed.
const RELEASE: Duration = Duration::from_secs(2);

/// What is asked of a speaker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Request {
    /// Tell how the sessions are.
    Show,
    /// Tell a peer something else.
    #[serde(untagged)]
    Change(Command),
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Answer {
    /// It is done; of [`Request::Show`] with the sessions.
    Done {
        /// Always true.
        ok: bool,
        /// The sessions.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        peers: Vec<Status>,
    },
    /// It is not done.
    Refused {
        /// Why.
        error: String,
    },
}

impl Answer {
    pub(super) fn done(peers: Vec<Status>) -> Answer {
        Answer::Done { ok: true, peers }
    }

    pub(super) fn refused(error: impl ToString) -> Answer {
        Answer::Refused {
            error: error.to_string(),
        }
    }
}

/// Why a command was not carried out.
#[derive(Debug, Error)]
pub enum ControlError {
    /// Nobody is there.
    #[error(
        "cannot reach a speaker at {socket}: {source}; is `flaplab injector run` running, with \
             this path as `control`?"
    )]
    Unreachable {
        /// Where it should be.
        socket: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It gives no answer.
    #[error("the speaker at {socket} has not answered within {PATIENCE:?}: {source}")]
    Unanswered {
        /// Where it is.
        socket: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It says something else.
    #[error("what {socket} answers is no speaker's answer: {said:?}")]
    Unexpected {
        /// Where it is.
        socket: PathBuf,
        /// What it said.
        said: String,
    },
    /// It refuses.
    #[error("the speaker refuses: {0}")]
    Refused(String),
}

impl From<ControlError> for io::Error {
    fn from(error: ControlError) -> io::Error {
        let kind = match &error {
            ControlError::Unreachable { source, .. } | ControlError::Unanswered { source, .. } => {
                source.kind()
            }
            ControlError::Unexpected { .. } => io::ErrorKind::InvalidData,
            ControlError::Refused(_) => io::ErrorKind::InvalidInput,
        };
        io::Error::new(kind, error)
    }
}

/// Asks something of the speaker whose control socket this is, and waits for the answer.
///
/// # Errors
/// If it is not there, does not answer in time, or refuses.
pub fn ask(socket: &Path, request: &Request) -> Result<Vec<Status>, ControlError> {
    let unreachable = |source| ControlError::Unreachable {
        socket: socket.to_owned(),
        source,
    };
    let stream = BlockingStream::connect(socket).map_err(unreachable)?;
    let said = exchange(&stream, request).map_err(|source| ControlError::Unanswered {
        socket: socket.to_owned(),
        source,
    })?;
    match serde_json::from_str(&said) {
        Ok(Answer::Done { peers, .. }) => Ok(peers),
        Ok(Answer::Refused { error }) => Err(ControlError::Refused(error)),
        Err(_) => Err(ControlError::Unexpected {
            socket: socket.to_owned(),
            said,
        }),
    }
}

fn exchange(mut stream: &BlockingStream, request: &Request) -> io::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut said = String::new();
    match io::BufReader::new(stream).read_line(&mut said)? {
        0 => Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "it has closed the socket",
        )),
        _ => Ok(said),
    }
}

/// The socket of a speaker, removed with it.
#[derive(Debug)]
pub(super) struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Control {
    /// Makes the socket.
    pub(super) async fn bind(path: &Path) -> io::Result<Control> {
        let began = Instant::now();
        let listener = loop {
            match UnixListener::bind(path) {
                Err(e) if e.kind() == io::ErrorKind::AddrInUse => {}
                bound => break bound?,
            }
            match BlockingStream::connect(path) {
                // Its process is being killed, maybe.
                Ok(_) if began.elapsed() < RELEASE => {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
                // Nobody listens: a killed process has left it.
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
                    match std::fs::remove_file(path) {
                        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                        _ => {}
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        };
        Ok(Control {
            listener,
            path: path.to_owned(),
        })
    }

    /// Serves everyone who connects, for ever.
    pub(super) async fn serve<F, A>(&self, answer: F)
    where
        F: Fn(Request) -> A + 'static,
        A: Future<Output = Answer> + 'static,
    {
        let answer = Rc::new(answer);
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let answer = Rc::clone(&answer);
                    tokio::task::spawn_local(async move {
                        // Who has gone needs no answer.
                        let _ = converse(stream, &*answer).await;
                    });
                }
                Err(e) => {
                    // Descriptors are lacking, or the like.
                    tracing::warn!("the control socket accepts nobody: {e}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn converse<F, A>(mut stream: UnixStream, answer: &F) -> io::Result<()>
where
    F: Fn(Request) -> A,
    A: Future<Output = Answer>,
{
    let (reading, mut writing) = stream.split();
    let mut reading = BufReader::new(reading);
    loop {
        let mut line = Vec::new();
        if (&mut reading)
            .take(LONGEST)
            .read_until(b'\n', &mut line)
            .await?
            == 0
        {
            return Ok(());
        }
        let said = match serde_json::from_slice(&line) {
            Ok(request) => answer(request).await,
            Err(e) => Answer::refused(format!("this is no command: {e}")),
        };
        let mut text = serde_json::to_vec(&said)?;
        text.push(b'\n');
        writing.write_all(&text).await?;
        if !line.ends_with(b"\n") {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::task::LocalSet;

    use super::*;

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(LocalSet::new().run_until(test));
    }

    #[test]
    fn a_socket_that_a_killed_process_left_is_replaced_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        run(async {
            let control = Control::bind(&path).await.unwrap();
            let second = Control::bind(&path).await.unwrap_err();
            assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
            drop(control);
            assert!(!path.exists());
        });
    }

    #[test]
    fn each_line_has_its_answer_and_what_is_no_command_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        run(async {
            let control = Control::bind(&path).await.unwrap();
            tokio::task::spawn_local(async move {
                let answer = |request| async move {
                    match request {
                        Request::Show => Answer::done(Vec::new()),
                        _ => Answer::refused("not here"),
                    }
                };
                control.serve(answer).await;
            });
            let asked = tokio::task::spawn_blocking(move || {
                let mut stream = BlockingStream::connect(&path).unwrap();
                stream
                    .write_all(b"{\"command\":\"show\"}\nnonsense\n")
                    .unwrap();
                let mut lines = io::BufReader::new(stream).lines();
                assert_eq!(lines.next().unwrap().unwrap(), "{\"ok\":true}");
                let refused = lines.next().unwrap().unwrap();
                assert!(refused.contains("this is no command"), "{refused}");
                let withdraw = Request::Change(Command::Withdraw {
                    peer: std::net::Ipv4Addr::LOCALHOST,
                    prefix: "192.0.2.0/24".parse().unwrap(),
                });
                let refused = ask(&path, &withdraw).unwrap_err();
                assert_eq!(refused.to_string(), "the speaker refuses: not here");
            });
            asked.await.unwrap();
        });
    }

    #[test]
    fn who_is_not_there_is_named_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let told = ask(&folder.path().join("none.sock"), &Request::Show).unwrap_err();
        let told = told.to_string();
        assert!(
            told.contains("none.sock") && told.contains("flaplab injector run"),
            "{told}"
        );
    }
}
