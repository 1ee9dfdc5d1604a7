//! What the benches share: the physical limits (`limit`), what processes use (`used`, `syscalls`), and the table (`table`).
//! Each figure stands beside a limit that was measured in the same run, because this kind of hardware is noisy.

pub mod limit;
pub mod syscalls;
pub mod table;
pub mod used;
