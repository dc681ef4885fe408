//! `die_with_parent`.

use pyo3::prelude::*;

/// Ask the kernel to kill this process when its parent dies (Linux); elsewhere does nothing.
#[pyfunction]
pub fn die_with_parent() -> PyResult<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{set_parent_process_death_signal, Signal};
        set_parent_process_death_signal(Some(Signal::KILL)).map_err(std::io::Error::from)?;
    }
    Ok(())
}
