//! OpenBGPD as the peer.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tcpr_cli::bed::{Host, Throwaway};

use crate::bed::{OURS, PEER, wait_for};
use crate::interop::{Router, Seen};

const LOG: &str = "/run/openbgpd.log";
const SOCKET: &str = "/run/openbgpd.sock";

/// An OpenBGPD of AS 65002 at the peer's host.
pub(crate) struct OpenBgpd {
    _process: Throwaway,
}

impl OpenBgpd {
    pub(crate) fn start(host: &Host) -> OpenBgpd {
        let text = format!(
            "AS 65002\nrouter-id 192.0.2.2\nlisten on {PEER}\nfib-update no\nholdtime 9\n\
             socket \"{SOCKET}\"\nneighbor {OURS} {{\n remote-as 65001\n \
             announce restart yes\n}}\nallow from any\n"
        );
        fs::write("/run/openbgpd.conf", text).unwrap();
        // Home of its user, into which its processes change their root.
        fs::create_dir_all("/run/openbgpd").unwrap();
        let log = fs::File::create(LOG).unwrap();
        let mut command = host.command("/usr/sbin/bgpd");
        command
            .args(["-d", "-v", "-f", "/run/openbgpd.conf"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        // SAFETY: one system call on data of its own stack.
        unsafe { command.pre_exec(keep_groups) };
        let child = command
            .spawn()
            .expect("OpenBGPD is there: scripts/setup --test");
        let openbgpd = OpenBgpd {
            _process: Throwaway(child),
        };
        let ready = || Path::new(SOCKET).exists().then_some(());
        wait_for("OpenBGPD", ready, || openbgpd.log());
        openbgpd
    }

    fn ask(command: &str) -> Value {
        let output = Command::new("/usr/sbin/bgpctl")
            .args(["-j", "-s", SOCKET])
            .args(command.split(' '))
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }
}

/// OpenBGPD gives its supplementary groups up, and ends if it cannot. Where one user is mapped
/// nobody may (user_namespaces(7)), and there is no other group to give up: to its setgroups(2) the
/// kernel answers that it is done.
fn keep_groups() -> io::Result<()> {
    let instruction = |code: u32, jt, jf, k| libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let if_equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let answer = libc::BPF_RET | libc::BPF_K;
    let mut filter = [
        // The number of the call is what seccomp_data begins with (seccomp(2)).
        instruction(load, 0, 0, 0),
        instruction(if_equal, 0, 1, libc::SYS_setgroups as u32),
        // Error 0: no error.
        instruction(answer, 0, 0, libc::SECCOMP_RET_ERRNO),
        instruction(answer, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the program and its instructions live until the kernel has copied them.
    match unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

impl Router for OpenBgpd {
    fn route(&self, prefix: &str) -> Option<Seen> {
        let said = OpenBgpd::ask(&format!("show rib detail {prefix}"));
        let route = said["rib"].get(0)?.clone();
        let as_path = route["aspath"].as_str()?;
        Some(Seen {
            as_path: as_path.split(' ').map(|n| n.parse().unwrap()).collect(),
            med: route["metric"]
                .as_u64()
                .filter(|&m| m > 0)
                .map(|m| m as u32),
            next_hop: route["exit_nexthop"].as_str()?.to_owned(),
        })
    }

    fn has_end_of_rib(&self) -> bool {
        let said = OpenBgpd::ask(&format!("show neighbor {OURS}"));
        let updates = &said["neighbors"][0]["stats"]["update"];
        updates["received"]["eor"].as_u64() == Some(1)
    }

    fn log(&self) -> String {
        let log = fs::read_to_string(LOG).unwrap_or_default();
        format!("{log}\n{}", OpenBgpd::ask(&format!("show neighbor {OURS}")))
    }
}
