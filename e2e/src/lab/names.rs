//! A name server that knows no names. Without it, a container's look-up of a name outside the Swarm waits for an answer that
//! never comes; with it, the look-up fails at once. It must never forward a query.

use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::command::finish;
use crate::wait::eventually;

const HEADER: usize = 12;
/// Recursion available, and "no such name".
const NO_SUCH_NAME: u8 = 0x83;

/// Answers every query that arrives at `address` with "no such name", until the process is killed.
pub fn refuse_names(address: &str) -> Result<()> {
    let socket = UdpSocket::bind((address, 53)).with_context(|| format!("listen for DNS queries at {address}"))?;
    let mut packet = [0; 1500];
    loop {
        let (length, sender) = socket.recv_from(&mut packet).context("receive a DNS query")?;
        if let Some(answer) = refusal(&packet[..length]) {
            // A client that is gone needs no answer.
            let _ = socket.send_to(&answer, sender);
        }
    }
}

/// The answer to one query: its own header turned into a refusal, followed by the query. `None` if there is no query.
fn refusal(question: &[u8]) -> Option<Vec<u8>> {
    let flags = *question.get(2)?;
    let is_question = flags & 0x80 == 0;
    let has_one_question = question.get(4..6)? == [0, 1];
    if !is_question || !has_one_question {
        return None;
    }
    let mut answer = question.get(..end_of_question(question)?)?.to_vec();
    answer[2] = flags | 0x80;
    answer[3] = NO_SUCH_NAME;
    answer[6..HEADER].fill(0);
    Some(answer)
}

fn end_of_question(packet: &[u8]) -> Option<usize> {
    let mut at = HEADER;
    loop {
        match *packet.get(at)? {
            0 => return Some(at + 5),
            length if length < 64 => at += 1 + usize::from(length),
            _ => return None,
        }
    }
}

/// Starts the name server of a lab as a separate process inside `namespace`, where the tear-down finds it.
pub(crate) fn start(namespace: &Path, helper: &Path, address: &str) -> Result<()> {
    let mut command = Command::new("setsid");
    command.args(["--fork", "nsenter"]).arg(format!("--net={}", namespace.display())).arg("--");
    command.arg(helper).args(["refuse-names", address]).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.stdin(Stdio::null()).status().context("start the name server")?;
    ensure!(status.success(), "the name server did not start: {status}");
    eventually(Duration::from_secs(5), "the name server listens", || {
        let listening =
            finish(Command::new("nsenter").arg(format!("--net={}", namespace.display())).args(["--", "cat", "/proc/self/net/udp"]))?;
        ensure!(listening.contains(":0035 "), "nothing listens at {address} (helper {})", helper.display());
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::refusal;

    #[test]
    fn a_question_is_refused_and_repeated() {
        let mut question = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1, b'a', 0, 0, 1, 0, 1];
        let answer = refusal(&question);
        assert_eq!(answer, Some(vec![7, 7, 0x81, 0x83, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 0, 0, 1, 0, 1]));
        question[2] = 0x81;
        assert_eq!(refusal(&question), None, "an answer is not answered");
        assert_eq!(refusal(&[0; 5]), None);
    }
}
