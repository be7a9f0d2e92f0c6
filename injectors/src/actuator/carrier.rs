//! The carrier: a link that is set down at one end is dead at the other.
//!
//! *Assumes* a veth device, whose peer loses its carrier with it. *Guarantees* that once it is
//! prepared one netlink request sets it down.

use std::io;

use super::{ActuatorError, device_index};

/// Length of the request: a netlink header (`struct nlmsghdr`) and `struct ifinfomsg`.
const LENGTH: u32 = 32;
const SEQUENCE: u32 = 1;

/// A device that is ready to be set down.
pub(super) struct PreparedLink {
    device: String,
    socket: mnl::Socket,
    request: Vec<u8>,
}

impl PreparedLink {
    pub(super) fn new(device: &str) -> Result<Self, ActuatorError> {
        let index = device_index(device)?;
        let socket = mnl::Socket::new(mnl::Bus::Route).map_err(|source| ActuatorError::Link {
            device: device.to_owned(),
            source,
        })?;
        Ok(PreparedLink {
            device: device.to_owned(),
            socket,
            request: set_down(index),
        })
    }

    pub(super) fn set_down(&self) -> Result<(), ActuatorError> {
        self.ask().map_err(|source| ActuatorError::Link {
            device: self.device.clone(),
            source,
        })
    }

    fn ask(&self) -> io::Result<()> {
        self.socket.send(&self.request)?;
        let mut buffer = vec![0; 4096];
        for message in self.socket.recv(&mut buffer[..])? {
            mnl::cb_run(message?, SEQUENCE, self.socket.portid())?;
        }
        Ok(())
    }
}

/// RTM_NEWLINK that clears IFF_UP, and asks for an acknowledgment (rtnetlink(7)).
fn set_down(index: u32) -> Vec<u8> {
    let mut octets = Vec::with_capacity(LENGTH as usize);
    octets.extend_from_slice(&LENGTH.to_ne_bytes());
    octets.extend_from_slice(&libc::RTM_NEWLINK.to_ne_bytes());
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
    octets.extend_from_slice(&flags.to_ne_bytes());
    octets.extend_from_slice(&SEQUENCE.to_ne_bytes());
    octets.extend_from_slice(&0_u32.to_ne_bytes()); // to the kernel
    // struct ifinfomsg: family, padding, type, index, flags, mask of the flags that change.
    octets.extend_from_slice(&[libc::AF_UNSPEC as u8, 0, 0, 0]);
    octets.extend_from_slice(&index.to_ne_bytes());
    octets.extend_from_slice(&0_u32.to_ne_bytes());
    octets.extend_from_slice(&(libc::IFF_UP as u32).to_ne_bytes());
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_the_layout_of_ifinfomsg() {
        let octets = set_down(7);
        assert_eq!(octets.len(), LENGTH as usize);
        assert_eq!(octets[4..8], [16, 0, 5, 0], "RTM_NEWLINK, REQUEST | ACK");
        assert_eq!(octets[20..24], 7_u32.to_ne_bytes());
        assert_eq!(octets[24..28], [0; 4], "no flag set");
        assert_eq!(octets[28..32], 1_u32.to_ne_bytes(), "IFF_UP changes");
    }
}
