//! Whose socket listens at an address, from `/proc`: address → inode of the socket → process that has it open.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// State of a listening socket in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// The process that listens at `address` of this machine, if we may look into it: ours, or we are root.
pub(super) fn pid_of(address: SocketAddr) -> Option<u32> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
    let inodes: Vec<_> = tables.iter().flat_map(|table| inodes(table, address)).collect();
    if inodes.is_empty() {
        return None;
    }
    let names: Vec<_> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let pids = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| {
        let files = fs::read_dir(format!("/proc/{pid}/fd"));
        let mut files = files.into_iter().flatten().flatten();
        files.any(|file| {
            fs::read_link(file.path())
                .is_ok_and(|link| names.iter().any(|name| link.as_os_str() == name.as_str()))
        })
    })
}

/// Inodes of the sockets in a table that listen at `address`, or at every address with its port.
fn inodes(table: &str, address: SocketAddr) -> Vec<u64> {
    let rows = table.lines().skip(1).filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (local, _, state) = (words.next()?, words.next()?, words.next()?);
        let inode = words.nth(5)?.parse().ok()?;
        (state == LISTEN && is_at(local, address)?).then_some(inode)
    });
    rows.collect()
}

/// `local` as the kernel writes it: the address as 32-bit words of the machine's byte order in hex, `:`, the port in hex.
fn is_at(local: &str, address: SocketAddr) -> Option<bool> {
    let (ip, port) = local.split_once(':')?;
    if u16::from_str_radix(port, 16).ok()? != address.port() {
        return Some(false);
    }
    let words: Option<Vec<u32>> =
        (0..ip.len() / 8).map(|at| u32::from_str_radix(ip.get(at * 8..at * 8 + 8)?, 16).ok()).collect();
    let bytes: Vec<u8> = words?.into_iter().flat_map(u32::to_ne_bytes).collect();
    let ip = match *bytes.as_slice() {
        [a, b, c, d] => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        _ => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
    };
    Some(ip.is_unspecified() || ip.to_canonical() == address.ip().to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:5E74 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 6009322 1 00 100 0 0 10 0
   1: 0100007F:5E74 0100007F:B1F2 01 00000000:00000000 00:00000000 00000000     0        0 6009400 1 00 20 4 30 10 -1
   2: 00000000:075B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 77 1 00 100 0 0 10 0
   3: 0200007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 78 1 00 100 0 0 10 0
   4: 0100007F:5E74 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 6008422 1 00 100 0 0 10 0";
    const TABLE_6: &str = "\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:075B 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 90 1 00 100 0 0 10 0
   1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 91 1 00 100 0 0 10 0
   2: 0000000000000000FFFF00000100007F:0051 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 92 1 00 100 0 0 10 0";

    #[cfg(target_endian = "little")]
    #[test]
    fn tables() {
        let cases: &[(&str, &str, &[u64])] = &[
            (TABLE, "127.0.0.1:24180", &[6_009_322, 6_008_422]),
            (TABLE, "127.0.0.1:1883", &[77]),
            (TABLE, "127.0.0.9:1883", &[77]),
            (TABLE, "127.0.0.1:80", &[]),
            (TABLE, "127.0.0.2:80", &[78]),
            (TABLE, "127.0.0.1:81", &[]),
            (TABLE_6, "127.0.0.1:1883", &[90]),
            (TABLE_6, "[::1]:80", &[91]),
            (TABLE_6, "[::2]:80", &[]),
            (TABLE_6, "127.0.0.1:81", &[92]),
            ("", "127.0.0.1:80", &[]),
            ("heading\n garbage in a line\n", "127.0.0.1:80", &[]),
        ];
        for (table, address, expected) in cases {
            assert_eq!(inodes(table, address.parse().expect("an address")), *expected, "{address}");
        }
    }

    #[test]
    fn our_own_socket_is_ours() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        assert_eq!(pid_of(address), Some(std::process::id()));
        drop(listener);
        assert_eq!(pid_of(address), None);
    }
}
