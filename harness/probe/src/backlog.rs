//! Whether the kernel has deferred packets.
//!
//! The kernel handles a packet before the system call that sent it returns, unless it has too many at once:
//! then it defers them to a kernel thread, which may not run for a while on a busy machine. Until they are
//! handled, a missing packet proves nothing.

use std::fs;

/// Statistics of each processor (linux/net/core/net-procfs.c), the same in all namespaces.
const STATISTICS: &str = "/proc/net/softnet_stat";
/// The column with the number of waiting packets, since Linux 5.10.
const BACKLOG: usize = 11;

/// Whether packets wait on any processor. False if the kernel does not say.
pub(crate) fn is_waiting() -> bool {
    fs::read_to_string(STATISTICS).is_ok_and(|text| waits(&text))
}

fn waits(statistics: &str) -> bool {
    let mut backlogs = statistics.lines().filter_map(|line| line.split_whitespace().nth(BACKLOG));
    backlogs.any(|backlog| u32::from_str_radix(backlog, 16).is_ok_and(|packets| packets > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_is_found_on_any_processor() {
        let line =
            |backlog: &str| format!("0036d0b0{} {backlog} 00000001 00000000\n", " 00000000".repeat(10));
        assert!(!waits(&(line("00000000") + &line("00000000"))));
        assert!(waits(&(line("00000000") + &line("0000001a"))));
        // As older kernels write it, and nonsense.
        assert!(!waits(&format!("0036d0b0{}", " 00000001".repeat(10))));
        assert!(!waits(&line("many")));
    }

    #[test]
    fn a_kernel_that_does_not_keep_up_is_an_error() {
        insta::assert_snapshot!(
            crate::ProbeError::Backlog { waited: std::time::Duration::from_secs(5) },
            @"the kernel has packets left to handle after 5 s: the machine is too busy to deliver them in time; run fewer scenarios at once (--jobs)"
        );
    }
}
