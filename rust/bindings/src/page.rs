//! `PoolPage`: the core's page over memory that Python has mapped.

use std::slice;
use std::sync::atomic::AtomicU64;

use celery_core::{Page, PAGE_WORDS};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::value_error;

const SIZE: usize = PAGE_WORDS * size_of::<AtomicU64>();

/// One child's page of shared memory: which job runs, how far it may go, and a ring of outcomes.
#[pyclass(frozen, module = "celery_rs._core")]
pub struct PoolPage {
    /// Held for as long as the page is used: the exporter neither moves nor unmaps it meanwhile.
    memory: PyBuffer<u8>,
    offset: usize,
}

impl PoolPage {
    fn page(&self) -> PyResult<Page<'_>> {
        let start = self.memory.buf_ptr().wrapping_byte_add(self.offset).cast::<AtomicU64>();
        // SAFETY: `new` has checked that `PAGE_WORDS` aligned words from `offset` on lie within the
        // writable, contiguous buffer, which `self.memory` keeps exported, hence mapped and in place,
        // for at least the lifetime of the slice. All bit patterns are valid words. The memory is
        // reached through atomics only, in this process and in the one that shares the mapping.
        #[allow(unsafe_code)]
        let words = unsafe { slice::from_raw_parts(start, PAGE_WORDS) };
        Page::over(words).ok_or_else(|| PyValueError::new_err("memory is too small for a page"))
    }
}

#[pymethods]
impl PoolPage {
    /// Bytes of shared memory that a page takes.
    #[classattr]
    #[pyo3(name = "SIZE")]
    const SIZE: usize = SIZE;

    #[new]
    #[pyo3(signature = (memory, offset = 0))]
    fn new(memory: &Bound<'_, PyAny>, offset: usize) -> PyResult<Self> {
        let memory = PyBuffer::<u8>::get(memory)?;
        if memory.readonly() || !memory.is_c_contiguous() {
            return Err(PyValueError::new_err(
                "memory must be writable and contiguous, as mmap.mmap(-1, PoolPage.SIZE) is",
            ));
        }
        let length = memory.len_bytes();
        if length.checked_sub(offset).is_none_or(|left| left < SIZE) {
            let text = format!("memory must hold {SIZE} bytes from offset {offset} on, got {length} in all");
            return Err(PyValueError::new_err(text));
        }
        if (memory.buf_ptr() as usize).wrapping_add(offset) % align_of::<AtomicU64>() != 0 {
            return Err(PyValueError::new_err(format!(
                "offset must be a multiple of 8, got {offset}"
            )));
        }
        Ok(Self { memory, offset })
    }

    /// Parent, before a (new) child starts: forget everything.
    fn reset(&self) -> PyResult<()> {
        self.page()?.reset();
        Ok(())
    }

    /// Start `job`, unless it was recalled or lies beyond the limit: then False, and it must be dropped.
    fn start(&self, job: u64, now: f64) -> PyResult<bool> {
        Ok(self.page()?.start(job, now))
    }

    /// `job` no longer runs; its outcome is in the ring (or on its way by the socket).
    fn finish(&self, job: u64) -> PyResult<()> {
        self.page()?.finish(job);
        Ok(())
    }

    /// Append to the ring; False when it does not fit now.
    fn push(&self, outcome: &[u8]) -> PyResult<bool> {
        Ok(self.page()?.push(outcome))
    }

    /// Whether the signal that just came means the job that runs now.
    fn targeted(&self) -> PyResult<bool> {
        Ok(self.page()?.targeted())
    }

    /// Jobs up to `limit` may start.
    fn allow(&self, limit: u64) -> PyResult<()> {
        self.page()?.allow(limit).map_err(value_error)
    }

    /// Void every job up to `sent` that has not started; returns the last one that has.
    fn recall(&self, sent: u64) -> PyResult<u64> {
        Ok(self.page()?.recall(sent))
    }

    /// Let nothing start any more (before a kill); returns the last job that started.
    fn freeze(&self) -> PyResult<u64> {
        Ok(self.page()?.freeze())
    }

    /// Name the job that the next signal means; False when it does not run now.
    fn target(&self, job: u64) -> PyResult<bool> {
        Ok(self.page()?.target(job))
    }

    /// The job that runs now, and when it began by the clock that all processes of a machine share.
    fn running(&self) -> PyResult<Option<(u64, f64)>> {
        Ok(self.page()?.running())
    }

    /// The last job that started; 0 = none.
    fn started(&self) -> PyResult<u64> {
        Ok(self.page()?.started())
    }

    /// Take every outcome out of the ring, oldest first; also after the child's death.
    fn drain<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        Ok(self
            .page()?
            .drain()
            .iter()
            .map(|outcome| PyBytes::new(py, outcome))
            .collect())
    }
}
