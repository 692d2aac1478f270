//! Where packets get their verdict.

/// Who decides about a packet that an enforcer judges, and so, when the verdict is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DataPath {
    /// The kernel, by rules: a packet has passed, or not, when the system call that sent it returns.
    #[default]
    Kernel,
    /// A program that the kernel hands each packet to (NFQUEUE): the packet waits until the program has decided.
    UserSpace,
}
