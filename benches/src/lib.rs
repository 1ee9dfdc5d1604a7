//! Code that the benches share: the physical limits (`limit`), the usage of processes (`used`, `syscalls`), and the
//! table (`table`). Each figure has a limit beside it that is measured in the same run, because this hardware is noisy.

pub mod limit;
pub mod syscalls;
pub mod table;
pub mod used;
